#!/usr/bin/env python3
"""The source tables of bench/migrate.sh, by PyIceberg:   migrate_sources.py WAREHOUSE ORDERS_PARQUET

Beside the peers' `orders`: `large`, ten times its rows in ten files, and `part_0` to `part_9`, a tenth of its rows each.
"""
import sys

import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

PARTS = 10


def main(warehouse, orders):
    catalog = SqlCatalog("bench", uri=f"sqlite:///{warehouse}/cat.db", warehouse=f"file://{warehouse}")
    rows = pq.read_table(orders)
    schema = catalog.load_table("bench.orders").schema()
    rows = rows.cast(schema.as_arrow())
    for name, contents in [("large", [rows] * PARTS)] + [(f"part_{part}", [part_of(rows, part)]) for part in range(PARTS)]:
        if not catalog.table_exists(f"bench.{name}"):
            table = catalog.create_table(f"bench.{name}", schema=schema)
            for content in contents:
                table.append(content)


def part_of(rows, part):
    size = len(rows) // PARTS
    return rows.slice(part * size, size)


main(*sys.argv[1:])
