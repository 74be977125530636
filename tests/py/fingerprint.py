#!/usr/bin/env python3
"""icehaul-fp-1 in Python, written from docs/fingerprint.md alone.

The core needs only the standard library; `iceberg` needs pyiceberg and pyarrow, `postgres` needs psycopg 3.

    fingerprint.py vectors [--write]
    fingerprint.py iceberg (--metadata FILE | --catalog-uri URI [--catalog-name N] --table NS.T) [--snapshot ID] [--columns a,b]
    fingerprint.py postgres --dsn DSN [--class column=class ...] SQL

A class is one of SIMPLE, or ("list", class), ("struct", [(name, class), ...]), ("map", class, class); lists serve for tuples.
A column is (name, class). Dates and times may be given as datetime objects, as ISO strings or as plain counts.
"""

import argparse
import datetime as dt
import hashlib
import json
import pathlib
import struct
import sys
import uuid
from decimal import Decimal

SIMPLE = ["boolean", "integer", "float", "decimal", "date", "time", "timestamp", "timestamptz", "string", "binary", "uuid"]
TAGS = {name: tag for tag, name in enumerate(SIMPLE + ["list", "struct", "map"], start=1)}
EPOCH_DATE = dt.date(1970, 1, 1)
EPOCH = dt.datetime(1970, 1, 1)
EPOCH_UTC = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
MICROSECOND = dt.timedelta(microseconds=1)
VECTORS = pathlib.Path(__file__).with_name("fingerprint_vectors.json")


class Fingerprint:
    """Rows in, text out."""

    def __init__(self, columns):
        self.columns = in_name_order(columns)
        self.places = [[name for name, _ in columns].index(name) for name, _ in self.columns]
        self.hash = hashlib.sha256(description(self.columns)).hexdigest()
        self.rows = 0
        self.sum = 0

    def message(self, row):
        return b"".join(encode(row[place], cls) for place, (_, cls) in zip(self.places, self.columns))

    def add(self, row):
        """Adds a row: a sequence in the order of the columns as they were given."""
        self.rows += 1
        self.sum = (self.sum + int.from_bytes(hashlib.sha256(self.message(row)).digest(), "big")) % 2**256

    def __str__(self):
        return f"icehaul-fp-1:{self.rows}:{self.hash}:{self.sum:064x}"


def fingerprint(columns, rows):
    """The text of the fingerprint of an iterable of rows."""
    result = Fingerprint(columns)
    for row in rows:
        result.add(row)
    return str(result)


def in_name_order(columns):
    ordered = sorted(((name, cls) for name, cls in columns), key=lambda column: column[0].encode())
    names = [name for name, _ in ordered]
    if len(set(names)) != len(names):
        raise ValueError(f"a column name occurs twice: {names}")
    return ordered


def kind(cls):
    return cls if isinstance(cls, str) else cls[0]


def description(columns):
    """Number of columns, then each one's name and class."""
    parts = [struct.pack("<I", len(columns))]
    for name, cls in in_name_order(columns):
        parts += [sized(name.encode()), describe(cls)]
    return b"".join(parts)


def describe(cls):
    tag = bytes([TAGS[kind(cls)]])
    match kind(cls):
        case "list":
            return tag + describe(cls[1])
        case "struct":
            return tag + description(cls[1])
        case "map":
            return tag + describe(cls[1]) + describe(cls[2])
    return tag


def encode(value, cls):
    """Tag and canonical bytes, or the null's tag."""
    if value is None:
        return b"\x00"
    return bytes([TAGS[kind(cls)]]) + canonical(value, cls)


def canonical(value, cls):
    match kind(cls):
        case "boolean":
            return b"\x01" if value else b"\x00"
        case "integer":
            return struct.pack("<q", value)
        case "float":
            value = float(value)
            return bytes.fromhex("000000000000f87f") if value != value else struct.pack("<d", value)
        case "decimal":
            return decimal(Decimal(value))
        case "date":
            return struct.pack("<i", days(value))
        case "time" | "timestamp" | "timestamptz":
            return struct.pack("<q", micros(value, cls))
        case "string":
            return sized(value.encode())
        case "binary":
            return sized(as_bytes(value))
        case "uuid":
            return (value if isinstance(value, uuid.UUID) else uuid_of(value)).bytes
        case "list":
            return struct.pack("<I", len(value)) + b"".join(encode(item, cls[1]) for item in value)
        case "struct":
            return b"".join(encode(value.get(name), member) for name, member in in_name_order(cls[1]))
        case "map":
            pairs = list(value.items()) if isinstance(value, dict) else value
            entries = sorted(encode(key, cls[1]) + encode(item, cls[2]) for key, item in pairs)
            return struct.pack("<I", len(entries)) + b"".join(entries)
    raise ValueError(f"no such class: {cls}")


def sized(data):
    return struct.pack("<I", len(data)) + data


def as_bytes(value):
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


def uuid_of(value):
    return uuid.UUID(value) if isinstance(value, str) else uuid.UUID(bytes=bytes(value))


def decimal(value):
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no finite number")
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    scale = -exponent
    if scale < 0:
        unscaled, scale = unscaled * 10**-scale, 0
    while scale > 0 and unscaled % 10 == 0:
        unscaled, scale = unscaled // 10, scale - 1
    size = 1
    while not -(1 << 8 * size - 1) <= unscaled < 1 << 8 * size - 1:
        size += 1
    return bytes([scale, size]) + unscaled.to_bytes(size, "big", signed=True)


def days(value):
    if isinstance(value, str):
        value = dt.date.fromisoformat(value)
    return value if isinstance(value, int) else (value - EPOCH_DATE).days


def micros(value, cls):
    if isinstance(value, int):
        return value
    if cls == "time":
        value = dt.time.fromisoformat(value) if isinstance(value, str) else value
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    value = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if (value.tzinfo is None) != (cls == "timestamp"):
        raise ValueError(f"{value} is no {cls}")
    return (value - (EPOCH if cls == "timestamp" else EPOCH_UTC)) // MICROSECOND


# Iceberg, through PyIceberg and Arrow.


def iceberg_table(metadata=None, catalog_uri=None, catalog_name="default", table=None):
    """Loads a table from a metadata file, or from a SQL catalog."""
    if metadata:
        from pyiceberg.table import StaticTable

        return StaticTable.from_metadata(str(metadata))
    from pyiceberg.catalog.sql import SqlCatalog

    return SqlCatalog(catalog_name, uri=catalog_uri).load_table(table)


def iceberg_fingerprint(table, snapshot=None, columns=None):
    """The fingerprint of a PyIceberg table, read batch by batch."""
    fields = columns or ["*"]
    reader = table.scan(snapshot_id=snapshot, selected_fields=tuple(fields)).to_arrow_batch_reader()
    return arrow_fingerprint(reader.schema, reader)


def arrow_fingerprint(schema, batches):
    result = Fingerprint([(field.name, arrow_class(field.type)) for field in schema])
    for batch in batches:
        for row in zip(*(plain(column) for column in batch.columns)) if batch.num_columns else []:
            result.add(row)
    return str(result)


def plain(column):
    """Python values; times as counts, so that no unit or time zone comes between."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    elif pa.types.is_time(column.type):
        column = column.cast(pa.time64("us")).cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return column.to_pylist()


def arrow_class(kind_):
    import pyarrow as pa
    import pyarrow.types as t

    if isinstance(kind_, pa.UuidType):
        return "uuid"
    if t.is_timestamp(kind_):
        return "timestamptz" if kind_.tz else "timestamp"
    if t.is_list(kind_) or t.is_large_list(kind_) or t.is_fixed_size_list(kind_):
        return ("list", arrow_class(kind_.value_type))
    if t.is_struct(kind_):
        return ("struct", [(field.name, arrow_class(field.type)) for field in kind_])
    if t.is_map(kind_):
        return ("map", arrow_class(kind_.key_type), arrow_class(kind_.item_type))
    if kind_ == pa.uint64():
        return "decimal"
    tests = {
        "boolean": t.is_boolean, "integer": t.is_integer, "float": t.is_floating, "decimal": t.is_decimal, "date": t.is_date,
        "time": t.is_time, "string": lambda k: t.is_string(k) or t.is_large_string(k) or t.is_string_view(k),
        "binary": lambda k: t.is_binary(k) or t.is_large_binary(k) or t.is_binary_view(k) or t.is_fixed_size_binary(k),
    }
    for name, test in tests.items():
        if test(kind_):
            return name
    raise ValueError(f"{kind_} has no class")


# PostgreSQL, through psycopg 3.

OIDS = {
    16: "boolean", 20: "integer", 21: "integer", 23: "integer", 26: "integer", 700: "float", 701: "float", 1700: "decimal",
    1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 17: "binary", 2950: "uuid",
}
ARRAY_OIDS = {
    1000: 16, 1016: 20, 1005: 21, 1007: 23, 1021: 700, 1022: 701, 1231: 1700, 1182: 1082, 1183: 1083, 1115: 1114, 1185: 1184,
    1001: 17, 2951: 2950, 1009: 25, 1015: 1043,
}


def postgres_class(oid):
    """By type; what has no class of its own is taken as the text that PostgreSQL writes for it."""
    if oid in ARRAY_OIDS:
        return ("list", postgres_class(ARRAY_OIDS[oid]))
    return OIDS.get(oid, "string")


def postgres_fingerprint(dsn, sql, classes=None):
    """The fingerprint of a query's rows, read through a server-side cursor; `classes` overrides by column name."""
    import psycopg
    from psycopg.types.string import TextLoader

    with psycopg.connect(dsn, options="-c timezone=UTC -c extra_float_digits=3") as connection:
        for name in ("json", "jsonb", "timetz", "interval", "inet", "cidr"):
            connection.adapters.register_loader(name, TextLoader)
        with connection.cursor(name="fingerprint") as cursor:
            cursor.itersize = 10_000
            cursor.execute(sql)
            described = [(column.name, column.type_code) for column in cursor.description]
            columns = [(name, (classes or {}).get(name, postgres_class(oid))) for name, oid in described]
            result = Fingerprint(columns)
            single = [index for index, (_, oid) in enumerate(described) if oid == 700]
            texts = [index for index, (_, cls) in enumerate(columns) if cls == "string"]
            for row in cursor:
                row = list(row)
                for index in single:
                    # The shortest text of a 4-byte float names another 8-byte one.
                    row[index] = None if row[index] is None else struct.unpack("f", struct.pack("f", row[index]))[0]
                for index in texts:
                    row[index] = None if row[index] is None else str(row[index])
                result.add(row)
    return str(result)


# The vectors that both implementations must give.


def check_vectors(write=False):
    """Checks (or, with `write`, fills in) the expected results; returns the names of those that differ."""
    vectors = json.loads(VECTORS.read_text())
    wrong = []
    for vector in vectors:
        made = Fingerprint([tuple(column) for column in vector["columns"]])
        values = [[row[name] for name, _ in vector["columns"]] for row in vector["rows"]]
        messages = [made.message(row).hex() for row in values]
        for row in values:
            made.add(row)
        actual = {"messages": messages, "fingerprint": str(made)}
        if any(vector.get(key) != text for key, text in actual.items()):
            wrong.append(vector["name"])
        vector.update(actual)
    if write:
        VECTORS.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")
    return wrong


def main():
    parser = argparse.ArgumentParser(description="icehaul-fp-1, independently of Icehaul")
    commands = parser.add_subparsers(dest="command", required=True)
    vectors = commands.add_parser("vectors")
    vectors.add_argument("--write", action="store_true")
    iceberg = commands.add_parser("iceberg")
    iceberg.add_argument("--metadata")
    iceberg.add_argument("--catalog-uri")
    iceberg.add_argument("--catalog-name", default="default")
    iceberg.add_argument("--table")
    iceberg.add_argument("--snapshot", type=int)
    iceberg.add_argument("--columns", type=lambda text: text.split(","))
    postgres = commands.add_parser("postgres")
    postgres.add_argument("--dsn", required=True)
    postgres.add_argument("--class", dest="classes", action="append", default=[], metavar="column=class")
    postgres.add_argument("sql")
    args = parser.parse_args()
    if args.command == "vectors":
        wrong = check_vectors(args.write)
        if wrong and not args.write:
            sys.exit(f"these vectors differ: {wrong}")
    elif args.command == "iceberg":
        table = iceberg_table(args.metadata, args.catalog_uri, args.catalog_name, args.table)
        print(iceberg_fingerprint(table, args.snapshot, args.columns))
    else:
        print(postgres_fingerprint(args.dsn, args.sql, dict(text.split("=", 1) for text in args.classes)))


if __name__ == "__main__":
    main()
