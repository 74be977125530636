#!/usr/bin/env python3
"""What PyIceberg sees in, and does to, a table of ours. Prints one JSON object.

  iceberg.py URI CATALOG show TABLE [FILTER]     schema, partition spec, rows, counts and sums, snapshots
  iceberg.py URI CATALOG append TABLE FIRST N    appends N rows of (id, text), ids from FIRST
  iceberg.py URI CATALOG delete TABLE FILTER     deletes the rows for which the filter holds
  iceberg.py URI CATALOG create TABLE WAREHOUSE  creates a table of (id int, text string) and its namespace

More options of the catalog, such as those of S3, come as JSON in ICEBERG_OPTIONS. Needs pyiceberg[sql-sqlite,pyarrow] (sql-postgres for a PostgreSQL catalog).
"""
import json
import os
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog


def show(table, row_filter="true"):
    from pyiceberg.expressions import AlwaysTrue

    rows = table.scan(row_filter=AlwaysTrue() if row_filter == "true" else row_filter).to_arrow()
    current = table.current_snapshot()
    manifests = current.manifests(table.io) if current else []
    live = [e.data_file for m in manifests for e in m.fetch_manifest_entry(table.io, discard_deleted=True)]
    return {
        "format_version": table.metadata.format_version,
        "location": table.location(),
        "schema": {f.name: [f.field_id, str(f.field_type), f.required] for f in table.schema().fields},
        "docs": {f.name: f.doc for f in table.schema().fields if f.doc},
        "spec": [str(f.transform) + " " + f.name for f in table.spec().fields],
        "properties": dict(table.properties),
        "rows": rows.num_rows,
        "values": {n: [None if v is None else str(v) for v in rows[n].to_pylist()] for n in rows.column_names}
        if rows.num_rows <= 50
        else {},
        "sums": {f.name: str(pa.compute.sum(rows[f.name])) for f in rows.schema if pa.types.is_integer(f.type) or pa.types.is_decimal(f.type)},
        "snapshots": [{"id": str(s.snapshot_id), "operation": s.summary.operation.value, **s.summary.additional_properties} for s in sorted(table.snapshots(), key=lambda s: s.sequence_number)],
        "records_in_files": sum(f.record_count for f in live if f.content.value == 0),
        "files": len(live),
        "bounds": bounds(table) if live else "none",
    }


def bounds(table):
    """Whether every file's bounds and counts hold for the rows in it: 'ok' or what does not."""
    import pyarrow.parquet as pq
    from pyiceberg.conversions import from_bytes

    for task in table.scan().plan_files():
        f, content = task.file, pq.read_table(table.io.new_input(task.file.file_path).open())
        assert f.record_count == content.num_rows, (f.file_path, f.record_count, content.num_rows)
        for field in table.schema().fields:
            if not field.field_type.is_primitive or field.name not in content.column_names:
                continue
            column = content[field.name]
            nulls = (f.null_value_counts or {}).get(field.field_id)
            assert nulls == column.null_count, (field.name, nulls, column.null_count)
            assert (f.value_counts or {}).get(field.field_id) == content.num_rows, field.name
            values = [v for v in column.to_pylist() if v is not None and v == v]
            for which, edge, holds in [("lower", f.lower_bounds, lambda b, v: b <= v), ("upper", f.upper_bounds, lambda b, v: b >= v)]:
                raw = (edge or {}).get(field.field_id)
                if raw is None or not values:
                    continue
                bound, kind = from_bytes(field.field_type, raw), str(field.field_type)
                pick = min(values) if which == "lower" else max(values)
                assert holds(bound, comparable(kind, pick)), (field.name, which, bound, pick)
    return "ok"


def comparable(kind, value):
    """A Python value in the form that PyIceberg keeps bounds in."""
    import datetime as dt
    import uuid

    from pyiceberg.utils import datetime as pdt

    if kind == "date":
        return pdt.date_to_days(value)
    if kind == "time":
        return pdt.time_to_micros(value)
    if kind == "timestamp":
        return pdt.datetime_to_micros(value)
    if kind == "timestamptz":
        return pdt.datetime_to_micros(value.astimezone(dt.timezone.utc).replace(tzinfo=None))
    if kind == "uuid":
        return value.bytes if isinstance(value, uuid.UUID) else value
    return value


def append(table, first, n):
    ids = list(range(int(first), int(first) + int(n)))
    table.append(pa.table({"id": pa.array(ids, pa.int32()), "text": [f"py {i}" for i in ids]}))
    return {}


def delete(table, row_filter):
    table.delete(row_filter)
    return {}


def rename(table, old, new):
    with table.update_schema() as change:
        change.rename_column(old, new)
    return {}


def main(uri, name, action, identifier, *rest):
    options = {"uri": uri, **json.loads(os.environ.get("ICEBERG_OPTIONS", "{}"))}
    if action == "create":
        catalog = SqlCatalog(name, **options, warehouse=rest[0])
        catalog.create_namespace_if_not_exists(identifier.split(".")[0])
        catalog.create_table(identifier, schema=pa.schema([("id", pa.int32()), ("text", pa.string())]))
        return {}
    table = SqlCatalog(name, **options).load_table(identifier)
    return {"show": show, "append": append, "delete": delete, "rename": rename}[action](table, *rest)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
