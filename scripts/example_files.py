#!/usr/bin/env python3
"""Makes the files that the example calls load, with the row counts that the original system's guide shows: example_files.py FOLDER

Every run makes the same files. Needs pyarrow.
"""
import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

CITIES = [("Lisbon", "Portugal"), ("Lagos", "Nigeria"), ("Singapore", "Singapore"), ("Hamburg", "Germany"), ("Izmir", "Türkiye")]
CATEGORIES = ["electronics", "furniture", "stationery", "kitchen", "travel"]
STATUSES = ["completed", "pending", "shipped", "cancelled"]
REGIONS = ["Europe", "Africa", "Asia", "North America"]


def price(n):
    return Decimal(n * 37 % 90_000 + 100) / 100


def day(n):
    return dt.date(2023, 7, 1) + dt.timedelta(days=n % 365)


def customers(rows):
    numbers = range(1, rows + 1)
    return pa.table({
        "customer_id": list(numbers),
        "name": [f"Customer {n}" for n in numbers],
        "email": [f"customer{n}@example.com" for n in numbers],
        "city": [CITIES[n % 5][0] for n in numbers],
        "country": [CITIES[n % 5][1] for n in numbers],
        "signup_date": [day(n) for n in numbers],
        "customer_type": [["retail", "business", "vip"][n % 3] for n in numbers],
    })


def products(rows):
    numbers = range(1, rows + 1)
    return pa.table({
        "product_id": list(numbers),
        "name": [f"Product {n}" for n in numbers],
        "price": pa.array([price(n) for n in numbers], pa.decimal128(10, 2)),
        "category": [CATEGORIES[n % 5] for n in numbers],
    })


def sales(rows):
    numbers = range(1, rows + 1)
    return pa.table({
        "order_id": list(numbers),
        "customer_id": [n % 10 + 1 for n in numbers],
        "product_id": [101 + n % 8 for n in numbers],
        "quantity": [n % 5 + 1 for n in numbers],
        "amount": pa.array([(n % 5 + 1) * price(n) for n in numbers], pa.decimal128(12, 2)),
        "status": [STATUSES[n % 4] for n in numbers],
        "region": [REGIONS[n % 4] for n in numbers],
        "order_date": [day(n) for n in numbers],
    })


def revenue():
    table = sales(2000)
    return table.group_by("region").aggregate([("amount", "sum"), ("order_id", "count")]).sort_by("region")


def main(folder):
    files = {
        "customers.csv": customers(1000),
        "products.parquet": products(50_000),
        "analysis_results.csv": revenue(),
        "s3/datalake/data/products.parquet": products(5000),
        "s3/datalake/input/sales.csv": sales(2000),
        "s3/datalake/input/data.csv": sales(100),
        "s3/data-exports/monthly/products.parquet": products(500),
        "s3/exports/products/daily.csv": products(50),
        "s3/archive/2023/transactions.parquet": sales(3000).select(["order_id", "customer_id", "amount", "order_date"]),
    }
    for name, table in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write = pa.csv.write_csv if path.suffix == ".csv" else pa.parquet.write_table
        write(table, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
