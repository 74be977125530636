#!/usr/bin/env python3
"""Does an Iceberg table hold exactly what the PostgreSQL table holds? Compares, for every column, the count of values, the smallest and
the largest one and, for numbers, the sum; and, with --fingerprints, icehaul-fp-1 of all rows. Reads with PyIceberg, not with Icehaul;
with --icehaul also asks Icehaul's own query and fingerprint. Ends with 1 if anything differs.
"""
import argparse
import datetime as dt
import glob
import json
import os
import pathlib
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import StaticTable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "py"))
import fingerprint  # noqa: E402

WORKERS = os.cpu_count() or 1


def open_table(folder, table):
    found = glob.glob(f"{folder}/**/{table}/metadata/*.metadata.json", recursive=True)
    return StaticTable.from_metadata(max(found, key=os.path.getmtime)) if found else sys.exit(f"no table {table} in {folder}")


def is_number(kind):
    return pa.types.is_integer(kind) or pa.types.is_decimal(kind)


def asked(schema):
    """What is asked of every engine, as (SQL, column, aggregate)."""
    for field in schema:
        for aggregate in ["count", "min", "max"] + ["sum"] * is_number(field.type):
            yield f"{aggregate}({field.name})", field.name, aggregate


def same_text(value):
    """One spelling for equal values of different engines."""
    if isinstance(value, (int, float, Decimal)):
        return format(Decimal(str(value)).normalize(), "f")
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def facts_of_postgres(dsn, table, schema):
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"SELECT {', '.join(sql for sql, _, _ in asked(schema))} FROM {table}").fetchone()
    return dict(zip((sql for sql, _, _ in asked(schema)), map(same_text, row)))


def facts_of_pyiceberg(table, schema):
    counts, sums, lows, highs = {}, {}, {}, {}
    for batch in table.scan().to_arrow_batch_reader():
        for name, column in zip(batch.schema.names, batch.columns):
            counts[name] = counts.get(name, 0) + len(column) - column.null_count
            if column.null_count == len(column):
                continue
            ends = pc.min_max(column).as_py()
            lows[name], highs[name] = min(lows.get(name, ends["min"]), ends["min"]), max(highs.get(name, ends["max"]), ends["max"])
            if is_number(column.type):
                sums[name] = sums.get(name, 0) + pc.sum(column).as_py()
    values = {"count": counts, "sum": sums, "min": lows, "max": highs}
    return {sql: same_text(values[aggregate].get(column)) for sql, column, aggregate in asked(schema)}


def client(args, *words):
    run = subprocess.run([args.icehaul, *words, "--url", args.url, "--json"], capture_output=True, text=True)
    return json.loads(run.stdout) if run.returncode == 0 else sys.exit(f"icehaul {words[0]}: {run.stderr}{run.stdout}")


def facts_of_icehaul(args, schema):
    questions = [sql for sql, _, _ in asked(schema)]
    listed = ", ".join(f"{sql} AS a{place}" for place, sql in enumerate(questions))
    row = client(args, "query", f"SELECT {listed} FROM bench.{args.table}")["rows"][0]
    values = row if isinstance(row, list) else [row[f"a{place}"] for place in range(len(questions))]
    texts = (same_text(Decimal(value)) if is_number_text(value) else same_text(value) for value in values)
    return dict(zip(questions, texts))


def is_number_text(value):
    try:
        return Decimal(value).is_finite()
    except (ArithmeticError, TypeError, ValueError):
        return False


def postgres_part(dsn, table, part):
    """The fingerprint of one of WORKERS equal ranges of pages."""
    with psycopg.connect(dsn) as connection:
        (pages,) = connection.execute("SELECT pg_relation_size(%s) / 8192", (table,)).fetchone()
    first, last = (pages * edge // WORKERS for edge in (part, part + 1))
    end = f" AND ctid < '({last},0)'" if part + 1 < WORKERS else ""
    return fingerprint.postgres_fingerprint(dsn, f"SELECT * FROM {table} WHERE ctid >= '({first},0)'{end}")


def pyiceberg_part(folder, table, part):
    """The fingerprint of every WORKERS-th batch."""
    reader = open_table(folder, table).scan().to_arrow_batch_reader()
    mine = (batch for place, batch in enumerate(reader) if place % WORKERS == part)
    return fingerprint.arrow_fingerprint(reader.schema, mine)


def added_up(texts):
    """Fingerprints of parts make that of the whole: rows and sums add."""
    parts = [text.split(":") for text in texts]
    (head, *_), *_ = parts
    hashes = {part[2] for part in parts}
    assert len(hashes) == 1, f"the parts have different columns: {hashes}"
    return f"{head}:{sum(int(part[1]) for part in parts)}:{hashes.pop()}:{sum(int(part[3], 16) for part in parts) % 2**256:064x}"


def in_parts(function, *arguments):
    with ProcessPoolExecutor(WORKERS) as pool:
        return added_up(pool.map(function, *([argument] * WORKERS for argument in arguments), range(WORKERS)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--fingerprints", action="store_true")
    parser.add_argument("--icehaul")
    parser.add_argument("--url")
    parser.add_argument("--job")
    parser.add_argument("--worker-peak-mb", type=int)
    parser.add_argument("--out")
    args = parser.parse_args()
    begin = time.monotonic()
    table = open_table(args.folder, args.table)
    schema = table.scan().to_arrow_batch_reader().schema

    facts = {"PostgreSQL": facts_of_postgres(args.dsn, args.table, schema), "PyIceberg": facts_of_pyiceberg(table, schema)}
    prints = {}
    if args.icehaul:
        facts["Icehaul"] = facts_of_icehaul(args, schema)
        prints["Icehaul, of the table"] = client(args, "fingerprint", f"bench.{args.table}")["fingerprint"]
    if args.job:
        prints["Icehaul, of the rows read"] = json.loads(pathlib.Path(args.job).read_text())["result"]["fingerprint"]
    if args.fingerprints:
        prints["PostgreSQL"] = in_parts(postgres_part, args.dsn, args.table)
        prints["PyIceberg"] = in_parts(pyiceberg_part, args.folder, args.table)

    truth = facts["PostgreSQL"]
    differences = [f"{sql}: {truth[sql]} in PostgreSQL, {value} in {engine}" for engine, found in facts.items()
                   for sql, value in found.items() if value != truth[sql]]
    if len(set(prints.values())) > 1:
        differences.append(f"fingerprints: {prints}")
    result = {"table": args.table, "equal": not differences, "differences": differences, "values_compared": len(truth),
              "rows": int(max(truth[sql] for sql in truth if sql.startswith("count("))), "engines": sorted(facts), "fingerprints": prints,
              "worker_peak_mb": args.worker_peak_mb, "seconds": round(time.monotonic() - begin, 1), "facts": truth}
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"{args.table}: {result['rows']} rows, {len(truth)} values of {len(schema)} columns, {' = '.join(sorted(facts))}"
          if not differences else "\n".join(differences))
    for engine, text in prints.items():
        print(f"  {text}  {engine}")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
