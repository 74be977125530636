#!/usr/bin/env python3
"""Parquet files of other writers, and what they hold by PyArrow and the independent fingerprint.

    parquet_files.py make DIR          writes files with every codec, encoding and type by PyArrow, pandas, fastparquet and DuckDB
    parquet_files.py broken DIR           writes a sound file, and files that are broken, hostile or refused
    parquet_files.py many DIR             writes files that make one table, and `other`, which does not fit
    parquet_files.py fingerprints FILE…   prints {file: fingerprint} as JSON

The fingerprint is of what docs/types.md says a file's columns become in a table.
"""
import decimal
import json
import pathlib
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

import fingerprint

ROWS = 3000
GROUP = 1000


def holes(values, every=7):
    return [None if place % every == 3 else value for place, value in enumerate(values)]


def columns():
    """Every type that PyArrow can write."""
    r = random.Random(20240607)
    whole = lambda low, high: holes([r.randint(low, high) for _ in range(ROWS)])
    digits = lambda precision, scale: holes(
        [decimal.Decimal(r.randint(1 - 10**precision, 10**precision - 1)).scaleb(-scale, decimal.Context(prec=80)) for _ in range(ROWS)]
    )
    texts = holes([f"wert {r.randint(0, 10**9)} ü 🧊" for _ in range(ROWS)])
    floats = holes([r.gauss(0, 1) for _ in range(ROWS - 3)] + [float("nan"), float("inf"), -0.0])
    result = {
        "bool": pa.array(holes([place % 3 == 0 for place in range(ROWS)])),
        **{f"i{bits}": pa.array(whole(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), getattr(pa, f"int{bits}")()) for bits in (8, 16, 32, 64)},
        **{f"u{bits}": pa.array(whole(0, 2**bits - 1), getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)},
        "f16": pa.array(floats, pa.float32()).cast(pa.float16()),
        "f32": pa.array(floats, pa.float32()),
        "f64": pa.array(floats, pa.float64()),
        "d5": pa.array(digits(5, 2), pa.decimal128(5, 2)),
        "d18": pa.array(digits(18, 6), pa.decimal128(18, 6)),
        "d38": pa.array(digits(38, 10), pa.decimal128(38, 10)),
        "d60": pa.array(digits(60, 20), pa.decimal256(60, 20)),
        "text": pa.array(texts),
        "label": pa.array(holes([f"k{r.randint(0, 20)}" for _ in range(ROWS)])).dictionary_encode(),
        "large": pa.array(["x" * r.randint(0, 50) for _ in range(ROWS)], pa.large_string()),
        "bytes": pa.array(holes([r.randbytes(r.randint(0, 30)) for _ in range(ROWS)])),
        "fixed": pa.array(holes([r.randbytes(5) for _ in range(ROWS)]), pa.binary(5)),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array(holes([r.randbytes(16) for _ in range(ROWS)]), pa.binary(16))),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(holes([json.dumps({"a": place}) for place in range(ROWS)]))),
        "date": pa.array(whole(-719162, 2932896), pa.date32()),
        "time_ms": pa.array(whole(0, 86399999), pa.time32("ms")),
        "time_us": pa.array(whole(0, 86399999999), pa.time64("us")),
        "time_ns": pa.array([None if v is None else v * 1000 for v in whole(0, 86399999999)], pa.time64("ns")),
        "at_ms": pa.array(whole(-(10**13), 10**13), pa.timestamp("ms")),
        "at_us": pa.array(whole(-(10**16), 10**16), pa.timestamp("us")),
        "at_ns": pa.array([None if v is None else v * 1000 for v in whole(-(10**15), 10**15)], pa.timestamp("ns")),
        "at_zone": pa.array(whole(-(10**16), 10**16), pa.timestamp("us", "Europe/Zurich")),
        "null": pa.nulls(ROWS),
    }
    return result | nested(r)


def nested(r):
    ints = [[None if item % 5 == 4 else r.randint(-9, 9) for item in range(place % 7)] for place in range(ROWS)]
    lists = [[None if inner % 4 == 2 else [f"a{item}" for item in range(inner % 3)] for inner in range(place % 5)] for place in range(ROWS)]
    structs = [{"a": place, "b": {"c": f"c{place}" if place % 3 else None, "d": [place, None]}} for place in range(ROWS)]
    maps = [[(f"k{key}", key if key % 2 else None) for key in range(place % 4)] for place in range(ROWS)]
    inner = pa.struct([("c", pa.string()), ("d", pa.list_(pa.int16()))])
    return {
        "list": pa.array(holes(ints), pa.list_(pa.int32())),
        "lists": pa.array(holes(lists), pa.list_(pa.list_(pa.string()))),
        "struct": pa.array(holes(structs), pa.struct([("a", pa.int64()), ("b", inner)])),
        "map": pa.array(holes(maps), pa.map_(pa.string(), pa.int32())),
        "three": pa.array(holes([[place, 1.5, None] for place in range(ROWS)]), pa.list_(pa.float32(), 3)),
    }


ENCODINGS = {
    "i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "u32": "DELTA_BINARY_PACKED", "at_us": "DELTA_BINARY_PACKED",
    "date": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "large": "DELTA_LENGTH_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY",
    "fixed": "DELTA_BYTE_ARRAY", "d60": "DELTA_BYTE_ARRAY", "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT",
    "u64": "BYTE_STREAM_SPLIT", "d38": "BYTE_STREAM_SPLIT", "f16": "BYTE_STREAM_SPLIT", "bool": "RLE",
}


def by_pyarrow(folder):
    table = pa.table(columns())
    for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        for version in ("1.0", "2.0"):
            options = {"compression": codec, "data_page_version": version, "row_group_size": GROUP, "data_page_size": 4096}
            pq.write_table(table, folder / f"pyarrow-{codec}-v{version[0]}.parquet", **options)
    plain = table.select([name for name in table.column_names if name not in nested(random.Random())])
    for version in ("1.0", "2.0"):
        options = {"use_dictionary": False, "column_encoding": ENCODINGS, "data_page_version": version, "data_page_size": 4096}
        pq.write_table(plain, folder / f"pyarrow-encodings-v{version[0]}.parquet", compression="zstd", **options)
    pq.write_table(table, folder / "pyarrow-plain.parquet", use_dictionary=False, compression="none")
    checked = {"write_page_checksum": True, "write_page_index": True, "store_decimal_as_integer": True}
    pq.write_table(table, folder / "pyarrow-checked.parquet", **checked)
    pq.write_table(table, folder / "pyarrow-old-lists.parquet", store_schema=False, use_compliant_nested_type=False)
    stamps = pa.table({"at": table["at_ns"]})
    pq.write_table(stamps, folder / "pyarrow-int96.parquet", use_deprecated_int96_timestamps=True)
    pq.write_table(table.slice(0, 0), folder / "pyarrow-empty.parquet")


def by_pandas(folder):
    import pandas as pd

    frame = pd.DataFrame({
        "n": [1, 2, None, 4], "word": ["a", None, "ü", ""], "at": pd.to_datetime(["2024-01-01", None, "1969-12-31 23:59:59.999999", "2100-01-01"], format="ISO8601"),
        "zone": pd.to_datetime(["2024-03-31 01:30", "2024-01-01", None, "2024-06-01"], format="ISO8601").tz_localize("UTC").tz_convert("America/New_York"),
        "kind": pd.Categorical(["x", "y", "x", None]), "flag": [True, False, True, True],
    }, index=pd.Index([10, 20, 30, 40], name="place"))
    frame.to_parquet(folder / "pandas-pyarrow.parquet", engine="pyarrow")
    for codec in ("SNAPPY", "GZIP", "ZSTD", "LZ4_RAW", "BROTLI", "UNCOMPRESSED"):
        frame.to_parquet(folder / f"pandas-fastparquet-{codec.lower()}.parquet", engine="fastparquet", compression=codec)


def by_duckdb(folder):
    import duckdb

    sql = """select i as id, i::tinyint as tiny, i::utinyint as utiny, i::uhugeint::ubigint + 18446744073709551000::ubigint as ubig,
        (i * 1.01)::decimal(4,1) as d4, (i * 1.01)::decimal(38,20) as d38, 'word ' || i % 9 as word, ('k' || i % 3)::enum_k as label,
        uuid() as id2, date '2024-01-01' + i::int as day, time '00:00:01' + interval (i) second as clock,
        timestamp '1969-12-31' + interval (i) hour as at, timestamptz '2024-01-01 00:00:00+00' + interval (i) minute as zone,
        (timestamp '2024-01-01' + interval (i) second)::timestamp_ms as at_ms, encode('b' || i) as raw, [i, null, i + 1] as list,
        {'a': i, 'b': ['x', 'y' || i]} as struct, map {'k' || i: i, 'z': null} as map, if(i % 4 = 0, null, i / 3.0)::double as ratio
        from range(60) t(i)"""
    with duckdb.connect() as database:
        database.execute("set TimeZone = 'UTC'; create type enum_k as enum ('k0', 'k1', 'k2')")
        for codec in ("uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"):
            for version in ("v1", "v2"):
                place = folder / f"duckdb-{codec}-{version}.parquet"
                database.execute(f"copy ({sql}) to '{place}' (format parquet, codec {codec}, parquet_version {version}, row_group_size 2048)")


def make(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for writer in (by_pyarrow, by_pandas, by_duckdb):
        writer(folder)


def broken(folder):
    folder = pathlib.Path(folder)
    numbers = pa.table({"id": pa.array(range(100), pa.int32())})
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(numbers, folder / "sound.parquet")
    pq.write_table(numbers, folder / "rows.broken", **plain)
    rows = bytearray((folder / "rows.broken").read_bytes())
    # 100, doubled and in groups of seven bits, becomes 101 wherever the footer says it.
    begin = len(rows) - 8 - int.from_bytes(rows[-8:-4], "little")
    rows[begin:] = rows[begin:].replace(b"\xc8\x01", b"\xca\x01")
    (folder / "rows.broken").write_bytes(rows)
    pq.write_table(numbers, folder / "crc.broken", write_page_checksum=True, **plain)
    damaged = bytearray((folder / "crc.broken").read_bytes())
    damaged[200] ^= 1
    (folder / "crc.broken").write_bytes(damaged)
    pq.write_table(pa.table({"at": pa.array([1000, 1001], pa.timestamp("ns"))}), folder / "nanos.broken")
    lists = pa.ListArray.from_arrays(pa.array([0, 9_000_000], pa.int32()), pa.repeat(pa.scalar(7, pa.int32()), 9_000_000))
    pq.write_table(pa.table({"list": lists}), folder / "list.broken")
    pq.write_table(pa.table({"text": ["a" * (300 << 20)]}), folder / "bomb.broken", **plain | {"compression": "zstd"})
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), folder / "twice.broken")


def many(folder):
    folder = pathlib.Path(folder)
    price = lambda texts, kind: pa.array([decimal.Decimal(text) for text in texts], kind)
    tables = {
        "a.parquet": {"n": pa.array([1, 2, 3], pa.int32()), "x": pa.array([0.5, None, 1], pa.float32()),
                      "price": price(["1.10", "2.20", "-3.30"], pa.decimal128(5, 2))},
        "b.parquet": {"only": pa.nulls(3), "price": price(["1.1111", "0", "9999999999.9999"], pa.decimal128(14, 4)),
                      "n": pa.array([4, 5, 6], pa.int64()), "x": pa.array([1.5, 2, 3], pa.float64())},
        "c.parquet": {"n": pa.array([7, 8, 5_000_000_000], pa.int64()), "only": ["x", None, "z"], "x": pa.array([0, 1, 2], pa.float32()),
                      "price": price(["0", "1", "1234567890.3456"], pa.decimal128(14, 4))},
        "other": {"n": ["one"]},
    }
    for name, columns_ in tables.items():
        pq.write_table(pa.table(columns_), folder / name)


def expected(path):
    """The fingerprint of the rows as the table has them."""
    table = pq.read_table(path, coerce_int96_timestamp_unit="us", partitioning=None)
    uuids = {column.path for column in pq.ParquetFile(path).schema if str(column.logical_type) == "UUID"}
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if isinstance(field.type, pa.BaseExtensionType) and not isinstance(field.type, pa.UuidType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], field.type.storage_type)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_decimal256(column.type):
            column = pa.chunked_array([[None if value is None else format(value, "f") for value in column.to_pylist()]], pa.string())
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        if field.name in uuids and not isinstance(column.type, pa.UuidType):
            column = pa.chunked_array([pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in column.chunks], pa.uuid())
        table = table.set_column(place, field.name, column)
    return fingerprint.arrow_fingerprint(table.schema, table.to_batches())


def main(action, *arguments):
    if action in ("make", "broken", "many"):
        {"make": make, "broken": broken, "many": many}[action](*arguments)
    else:
        print(json.dumps({path: expected(path) for path in arguments}))


if __name__ == "__main__":
    main(*sys.argv[1:])
