#!/usr/bin/env python3
"""A table with everything that a migration must carry, made by PyIceberg:   rich_table.py make URI TABLE WAREHOUSE
What is carried, as PyIceberg sees it:                                        rich_table.py show URI TABLE [CATALOG]

`make`: columns of every type with comments, required ones among them; partitioned, sorted, with properties; two appends and a delete by copy-on-write.
More options of the catalog, such as those of S3, come as JSON in ICEBERG_OPTIONS. Prints JSON.
"""
import datetime as dt
import json
import os
import sys
import uuid
from decimal import Decimal

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import BucketTransform, IdentityTransform, MonthTransform
from pyiceberg import types as t

ROWS = 400


def schema():
    field = lambda i, name, kind, required=False, doc=None: t.NestedField(i, name, kind, required=required, doc=doc)
    return Schema(
        field(1, "id", t.LongType(), True, "the key"),
        field(2, "small", t.IntegerType()),
        field(3, "ratio", t.DoubleType()),
        field(4, "single", t.FloatType()),
        field(5, "price", t.DecimalType(12, 2), False, "in euros"),
        field(6, "flag", t.BooleanType()),
        field(7, "day", t.DateType(), True),
        field(8, "clock", t.TimeType()),
        field(9, "local", t.TimestampType()),
        field(10, "at", t.TimestamptzType()),
        field(11, "word", t.StringType()),
        field(12, "key", t.UUIDType()),
        field(13, "code", t.FixedType(4)),
        field(14, "raw", t.BinaryType()),
        field(15, "tags", t.ListType(16, t.StringType(), element_required=False)),
        field(17, "sizes", t.MapType(18, t.StringType(), 19, t.IntegerType(), value_required=False)),
        field(20, "place", t.StructType(field(21, "city", t.StringType()), field(22, "zip", t.IntegerType()))),
        identifier_field_ids=[1],
    )


def rows(first, count, arrow):
    def row(i):
        null = i % 7 == 0
        return {
            "id": i, "small": None if null else i % 11, "ratio": [0.0, -0.0, 1.5, float("nan")][i % 4], "single": i / 4,
            "price": None if null else Decimal(i * 7 - 500).scaleb(-2), "flag": i % 3 == 0, "day": dt.date(2024, 1 + i % 12, 1 + i % 28),
            "clock": dt.time(i % 24, i % 60, 1, i), "local": dt.datetime(2024, 1, 1) + dt.timedelta(minutes=i),
            "at": dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=i), "word": ["", None, "ü" * (i % 90)][i % 3],
            "key": uuid.UUID(int=i).bytes, "code": i.to_bytes(4, "big"), "raw": b"\x00\xff" * (i % 3), "tags": None if null else ["a", None][: i % 3],
            "sizes": [("s", i)], "place": {"city": "Oslo" if i % 2 else None, "zip": i},
        }
    return pa.Table.from_pylist([row(i) for i in range(first, first + count)], schema=arrow)


def make(uri, name, warehouse):
    catalog = SqlCatalog("default", uri=uri, warehouse=warehouse)
    catalog.create_namespace_if_not_exists(name.split(".")[0])
    spec = PartitionSpec(PartitionField(6, 1000, IdentityTransform(), "flag"))
    order = SortOrder(SortField(11, IdentityTransform(), SortDirection.DESC, NullOrder.NULLS_LAST))
    properties = {"comment": "everything", "owner": "tests", "write.parquet.compression-codec": "snappy"}
    table = catalog.create_table(name, schema=schema(), partition_spec=spec, sort_order=order, properties=properties)
    arrow = table.schema().as_arrow()
    for first in (0, ROWS // 2):
        table.append(rows(first, ROWS // 2, arrow))
    table.delete("id >= 50 and id < 60")
    # Later rows would be partitioned by more: without pyiceberg-core it cannot write such rows itself.
    with table.update_spec() as update:
        update.add_field("day", MonthTransform(), "day_month")
        update.add_field("id", BucketTransform(2), "id_bucket")
    return {"snapshot": str(table.current_snapshot().snapshot_id), "rows": table.scan().to_arrow().num_rows}


def show(uri, name, catalog="default"):
    table = SqlCatalog(catalog, uri=uri, **json.loads(os.environ.get("ICEBERG_OPTIONS", "{}"))).load_table(name)
    names = {f.field_id: f.name for f in table.schema().fields}
    return {
        "columns": [[f.name, str(f.field_type), f.required, f.doc] for f in table.schema().fields],
        "identifiers": sorted(names[i] for i in table.schema().identifier_field_ids),
        "partitioning": [[names[f.source_id], str(f.transform), f.name] for f in table.spec().fields],
        "order": [[names[f.source_id], str(f.transform), f.direction.value, f.null_order.value] for f in table.sort_order().fields],
        "properties": {k: v for k, v in table.properties.items() if not k.startswith(("commit.retry.", "icehaul."))},
        "rows": table.scan().to_arrow().num_rows,
        "snapshots": len(table.snapshots()),
    }


if __name__ == "__main__":
    print(json.dumps({"make": make, "show": show}[sys.argv[1]](*sys.argv[2:])))
