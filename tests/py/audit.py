"""Checks the audit trail by docs/audit.md alone, or damages it for a test.

audit.py verify URI            prints the number of records and the newest hash, or the first broken record
audit.py change|delete|insert|time URI SEQ, audit.py drop URI
"""

import datetime
import hashlib
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

NAME = "icehaul.audit"
TEXTS = (
    "queue event_id action requester client address job_id kind table batch_id request_sha256 status error_code "
    "snapshot_id fingerprint"
).split()


def canonical(record):
    values = {**record, "at": round(record["at"].timestamp() * 1000)}
    lines = []
    for name in ["seq", "at", "rows", *TEXTS]:
        value = values[name]
        data = b"" if value is None else str(value).encode()
        lines.append(name.encode() + b"=" + (b"" if value is None else b"%d:" % len(data) + data) + b"\n")
    return b"".join(lines)


def verify(table):
    records = sorted(table.scan().to_arrow().to_pylist(), key=lambda record: record["seq"])
    previous = "0" * 64
    for expected, record in enumerate(records, 1):
        digest = hashlib.sha256(previous.encode() + canonical(record)).hexdigest()
        if record["at"].microsecond % 1000:
            return f"broken at {expected}"
        if (record["seq"], record["previous_hash"], record["hash"]) != (expected, previous, digest):
            return f"broken at {expected}"
        previous = digest
    return f"{len(records)} {previous}"


def damage(table, what, seq):
    rows = table.scan(row_filter=f"seq = {seq}").to_arrow()
    if what != "insert":
        table.delete(f"seq = {seq}")
    if what != "delete":
        changed = rows.to_pylist()
        if what == "time":
            changed[0]["at"] += datetime.timedelta(microseconds=999)
        else:
            changed[0]["address"] = "203.0.113.7"
        table.append(pa.Table.from_pylist(changed, schema=rows.schema))


if __name__ == "__main__":
    command, uri = sys.argv[1:3]
    catalog = SqlCatalog("default", uri=uri)
    if command == "drop":
        catalog.drop_table(NAME)
    elif command == "verify":
        print(verify(catalog.load_table(NAME)))
    else:
        damage(catalog.load_table(NAME), command, int(sys.argv[3]))
