#!/usr/bin/env python3
"""A table of 200 columns of every type, made by PyIceberg, and rows of it deleted by copy-on-write:

    wide_table.py URI make TABLE WAREHOUSE     300 rows in two files
    wide_table.py URI delete TABLE FILTER      rewrites the files that hold such rows
"""
import datetime as dt
import json
import sys
import uuid
from decimal import Decimal

import pyarrow as pa
from pyiceberg import types as t
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema

COLUMNS, ROWS = 200, 300
UTC = dt.timezone.utc
PAIR = t.StructType(t.NestedField(1, "x", t.IntegerType()), t.NestedField(2, "y", t.StringType()))
# Sums of decimals must not overflow, in whatever order: of the greatest ones, one is enough.
# Each type with the values that are easily got wrong, and how a common one is made of a number.
KINDS = [
    (t.BooleanType(), [True, False], lambda n: n % 2 == 0),
    (t.IntegerType(), [-(2**31), 2**31 - 1, 0], lambda n: n - 150),
    (t.LongType(), [-(2**63), 2**63 - 1, 2**53 + 1], lambda n: n * 10**12),
    (t.FloatType(), [0.0, -0.0, float("nan"), float("inf"), 1e-45], lambda n: n / 8),
    (t.DoubleType(), [0.0, -0.0, float("nan"), float("-inf"), 5e-324, 0.1], lambda n: n / 3),
    (t.DecimalType(9, 2), [Decimal("-9999999.99"), Decimal("9999999.99"), Decimal("0.00")], lambda n: Decimal(n).scaleb(-2)),
    (t.DecimalType(18, 6), [Decimal("-999999999999.999999"), Decimal("0.000001")], lambda n: Decimal(n * 7).scaleb(-6)),
    (t.DecimalType(38, 10), [Decimal("-" + "9" * 28 + "." + "9" * 10), Decimal("1" * 27 + "." + "9" * 10)], lambda n: Decimal(n * 3).scaleb(-10)),
    (t.DecimalType(38, 0), [Decimal("-" + "9" * 38), Decimal("1" * 37)], lambda n: Decimal(n)),
    (t.DateType(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1969, 12, 31)], lambda n: dt.date(2024, 1, 1) + dt.timedelta(days=n)),
    (t.TimeType(), [dt.time(0), dt.time(23, 59, 59, 999999)], lambda n: dt.time(n % 24, n % 60, 0, n)),
    (t.TimestampType(), [dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(9999, 12, 31)], lambda n: dt.datetime(2024, 1, 1) + dt.timedelta(microseconds=n)),
    (t.TimestamptzType(), [dt.datetime(1900, 1, 1, tzinfo=UTC), dt.datetime(2024, 2, 29, tzinfo=UTC)], lambda n: dt.datetime(2024, 1, 1, tzinfo=UTC) + dt.timedelta(hours=n)),
    (t.StringType(), ["", " ", "é\"🧊\n", "a" * 300, "NULL"], lambda n: f"word {n}"),
    (t.BinaryType(), [b"", b"\x00\xff"], lambda n: n.to_bytes(4, "big")),
    (t.FixedType(5), [bytes(5), b"\xff" * 5], lambda n: n.to_bytes(5, "big")),
    (t.UUIDType(), [uuid.UUID(int=0).bytes, uuid.UUID(int=2**128 - 1).bytes], lambda n: uuid.UUID(int=n).bytes),
    (t.ListType(1, t.IntegerType(), element_required=False), [[], [None], [1, None, 3]], lambda n: [n, n + 1]),
    (t.ListType(1, t.DecimalType(20, 4), element_required=False), [[], [Decimal("0.0001"), None]], lambda n: [Decimal(n).scaleb(-4)]),
    (t.MapType(1, t.StringType(), 2, t.LongType(), value_required=False), [[], [("", None)]], lambda n: [(f"k{n}", n)]),
    (PAIR, [{"x": None, "y": None}, {"x": 0, "y": ""}], lambda n: {"x": n, "y": str(n)}),
    (t.StructType(t.NestedField(1, "day", t.DateType()), t.NestedField(2, "many", t.ListType(3, PAIR, element_required=False))),
     [{"day": None, "many": []}, {"day": dt.date(1, 1, 1), "many": [None, {"x": 1, "y": None}]}], lambda n: {"day": dt.date(2024, 1, 1), "many": [{"x": n, "y": "z"}]}),
]


def kind_of(column):
    return KINDS[column % len(KINDS)]


def value(column, row):
    """Nothing in every seventh row, else the odd values in their turn, else a common one."""
    _, odd, common = kind_of(column)
    if (row + column) % 7 == 0:
        return None
    return odd[row] if row < len(odd) else common(row * 31 % ROWS + column)


def make(catalog, name):
    catalog.create_namespace_if_not_exists(name.split(".")[0])
    fields = [t.NestedField(1, "id", t.LongType(), required=False)]
    fields += [t.NestedField(column + 1, f"c{column:03}", kind_of(column)[0], required=False) for column in range(1, COLUMNS)]
    table = catalog.create_table(name, schema=Schema(*fields), properties={"format-version": "2"})
    arrow = table.schema().as_arrow()
    for rows in (range(0, ROWS // 2), range(ROWS // 2, ROWS)):
        record = lambda row: {"id": row, **{f"c{column:03}": value(column, row) for column in range(1, COLUMNS)}}
        table.append(pa.Table.from_pylist([record(row) for row in rows], schema=arrow))
    return {"columns": len(table.schema().fields), "rows": ROWS}


def main():
    uri, command, name, argument = sys.argv[1:]
    if command == "make":
        return make(SqlCatalog("default", uri=uri, warehouse=argument), name)
    table = SqlCatalog("default", uri=uri).load_table(name)
    table.delete(argument)
    return {"operation": table.current_snapshot().summary.operation.value, "rows": table.scan().to_arrow().num_rows}


if __name__ == "__main__":
    print(json.dumps(main()))
