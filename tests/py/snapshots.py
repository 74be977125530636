#!/usr/bin/env python3
"""Tables for migrations, made by PyIceberg, and what it sees in all of their snapshots. Prints JSON.

  snapshots.py URI make KIND TABLE WAREHOUSE   makes a table of two appends, a delete by copy-on-write and an overwrite; KIND is one of
                                               v1, v2        that format version
                                               named         v2 with a branch, a tag, and files of statistics
                                               v3, v9        v2 whose metadata then says another version
                                               orc, avro     v2 with one more data file in that format
                                               encrypted     v2 with the property that says so
                                               gone          v2 without the manifest list of its first snapshot
  snapshots.py URI equality TABLE ID...        deletes rows by the values of `id`, as Flink does
  snapshots.py URI show TABLE [CATALOG]        each snapshot with its rows, and the names that lead to them

More options of the catalog, such as those of S3, come as JSON in ICEBERG_OPTIONS.
"""
import hashlib
import json
import os
import sys

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DATA_FILE_TYPE, DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.schema import Schema
from pyiceberg.table.statistics import BlobMetadata, StatisticsFile
from pyiceberg.typedef import Record
from pyiceberg.types import IntegerType, ListType, LongType, NestedField, StringType, StructType

# PyIceberg writes `equality_ids` as longs; the specification has ints, and Trino reads nothing else.
DATA_FILE_TYPE[2] = StructType(*(
    field.model_copy(update={"field_type": ListType(136, IntegerType(), element_required=True)}) if field.name == "equality_ids" else field
    for field in DATA_FILE_TYPE[2].fields
))


def rows(first, last, name):
    return pa.table({"id": pa.array(range(first, last), pa.int64()), "name": [f"{name}{i}" for i in range(first, last)]})


def path_of(location):
    return location.removeprefix("file://")


def make(uri, kind, name, warehouse):
    catalog = SqlCatalog("default", uri=uri, warehouse=warehouse)
    catalog.create_namespace_if_not_exists(name.split(".")[0])
    schema = Schema(NestedField(1, "id", LongType(), required=False), NestedField(2, "name", StringType(), required=False))
    properties = {"format-version": "1" if kind == "v1" else "2"}
    if kind == "encrypted":
        properties["encryption.key-id"] = "k"
    table = catalog.create_table(name, schema=schema, properties=properties)
    table.append(rows(0, 100, "a"))
    table.append(rows(100, 150, "b"))
    table.delete("id >= 20 and id < 30")
    ids = [s.snapshot_id for s in table.snapshots()]
    if kind == "named":
        table.manage_snapshots().create_tag(ids[1], "both").create_branch(ids[0], "early", max_ref_age_ms=86400000).commit()
        statistics(table, ids[1])
    table.overwrite(rows(0, 40, "c"))
    if kind in ("v3", "v9"):
        other_version(table, int(kind[1:]))
    if kind in ("orc", "avro"):
        other_format(table, kind)
    if kind == "gone":
        os.remove(path_of(table.snapshots()[0].manifest_list))
    return {"snapshots": len(table.snapshots())}


def statistics(table, snapshot):
    """A file of statistics; who carries it does not look into it."""
    place = f"{table.location()}/metadata/{snapshot}.stats"
    with table.io.new_output(place).create() as out:
        out.write(b"PFA1" + bytes(range(200)))
    blob = BlobMetadata(**{"type": "apache-datasketches-theta-v1", "snapshot-id": snapshot, "sequence-number": 2, "fields": [1], "properties": {"ndv": "150"}})
    with table.update_statistics() as update:
        update.set_statistics(StatisticsFile(**{"snapshot-id": snapshot, "statistics-path": place, "file-size-in-bytes": 204, "file-footer-size-in-bytes": 20, "blob-metadata": [blob]}))


def other_version(table, version):
    """Lets the metadata say that the table has another version."""
    place = path_of(table.metadata_location)
    metadata = json.load(open(place))
    metadata.update({"format-version": version, "next-row-id": 1000})
    for snapshot in metadata["snapshots"]:
        snapshot.update({"first-row-id": 0, "added-rows": 0})
    json.dump(metadata, open(place, "w"))


def other_format(table, kind):
    place = f"{table.location()}/data/one.{kind}"
    if kind == "orc":
        pyarrow.orc.write_table(rows(500, 510, "o"), path_of(place))
    else:
        open(path_of(place), "wb").write(b"Obj\x01" + bytes(100))
    add_file(table, place, 10, file_format=FileFormat[kind.upper()])


class DeletesWriter(ManifestWriterV2):
    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, "content": "deletes"}


def add_file(table, place, records, file_format=FileFormat.PARQUET, content=DataFileContent.DATA, equality_ids=None):
    file = DataFile.from_args(
        content=content, file_path=place, file_format=file_format, partition=Record(), record_count=records,
        file_size_in_bytes=os.path.getsize(path_of(place)), column_sizes=None, value_counts=None, null_value_counts=None, nan_value_counts=None,
        lower_bounds=None, upper_bounds=None, split_offsets=None, sort_order_id=None, equality_ids=equality_ids, key_metadata=None)
    file.spec_id = table.spec().spec_id
    with table.transaction() as transaction:
        with transaction.update_snapshot().fast_append() as append:
            if content != DataFileContent.DATA:
                # It writes no manifests of deletes by itself.
                append.new_manifest_writer = lambda spec: DeletesWriter(
                    spec, table.schema(), append.new_manifest_output(), append.snapshot_id, append._compression)
            append.append_data_file(file)


def equality(uri, name, *ids):
    table = SqlCatalog("default", uri=uri).load_table(name)
    place = f"{table.location()}/data/equality-{len(table.snapshots())}.parquet"
    schema = pa.schema([pa.field("id", pa.int64(), metadata={"PARQUET:field_id": "1"})])
    pyarrow.parquet.write_table(pa.table({"id": [int(i) for i in ids]}, schema=schema), path_of(place))
    add_file(table, place, len(ids), content=DataFileContent.EQUALITY_DELETES, equality_ids=[1])
    return {"deleted": len(ids)}


def show(uri, name, catalog="default"):
    table = SqlCatalog(catalog, uri=uri, **json.loads(os.environ.get("ICEBERG_OPTIONS", "{}"))).load_table(name)
    def seen(s):
        read = table.scan(snapshot_id=s.snapshot_id).to_arrow().sort_by("id")
        files = sorted((e.status.value, str(e.snapshot_id), e.sequence_number) for m in s.manifests(table.io) for e in m.fetch_manifest_entry(table.io, discard_deleted=False))
        return {
            "id": str(s.snapshot_id), "parent": str(s.parent_snapshot_id), "sequence": s.sequence_number, "at": s.timestamp_ms,
            "operation": s.summary.operation.value, "schema": s.schema_id, "rows": read.num_rows, "read": hashlib.sha256(str(read.to_pydict()).encode()).hexdigest(), "files": files,
            "summary": {k: v for k, v in s.summary.additional_properties.items() if not k.startswith("icehaul.")},
        }
    return {
        "snapshots": [seen(s) for s in sorted(table.snapshots(), key=lambda s: (s.sequence_number or 0, s.timestamp_ms))],
        "current": str(table.current_snapshot().snapshot_id),
        "refs": {k: json.loads(v.model_dump_json()) for k, v in sorted(table.metadata.refs.items())},
        "log": [[str(e.snapshot_id), e.timestamp_ms] for e in table.history()],
        "statistics": [[str(s.snapshot_id), s.file_size_in_bytes, [b.properties for b in s.blob_metadata]] for s in table.metadata.statistics],
        "statistics_files": [s.statistics_path for s in table.metadata.statistics],
    }


if __name__ == "__main__":
    uri, command, *arguments = sys.argv[1:]
    print(json.dumps({"make": make, "show": show, "equality": equality}[command](uri, *arguments)))
