#!/usr/bin/env python3
"""A PyIceberg user who writes into a table while Icehaul does:   interop.py CATALOG_URI NAMESPACE.TABLE ROUNDS

Each round appends the rows with ids 1 to 10 again under new ids and deletes one of those. What loses a race is tried again on the new state,
as PyIceberg asks its users to. Prints how many rows came and went, as JSON.
"""
import json
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException

TRIES = 50


def again(change):
    """Calls until no other commit comes between."""
    for _ in range(TRIES):
        try:
            return change()
        except CommitFailedException:
            continue
    raise SystemExit(f"lost {TRIES} races")


def main():
    uri, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    catalog = SqlCatalog("default", uri=uri)
    appended = deleted = 0
    for turn in range(1, rounds + 1):
        rows = catalog.load_table(name).scan(row_filter="id <= 10", limit=10).to_arrow()
        ids = pa.array([turn * 1_000_000 + place for place in range(len(rows))], pa.int64())
        rows = rows.set_column(rows.schema.get_field_index("id"), rows.schema.field("id"), ids)
        again(lambda: catalog.load_table(name).append(rows))
        again(lambda: catalog.load_table(name).delete(f"id = {turn * 1_000_000}"))
        appended, deleted = appended + len(rows), deleted + 1
    print(json.dumps({"appended": appended, "deleted": deleted}))


main()
