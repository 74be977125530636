#!/usr/bin/env python3
"""What another engine sees in Iceberg tables: fingerprints, as docs/fingerprint.md has them, of the rows that the engine gives, and its own figures.

    engines.py pyiceberg URI [CATALOG]        URI of the SQL catalog, as SQLAlchemy writes it; CATALOG is `default` if not given
    engines.py duckdb URI [CATALOG]
    engines.py spark URI [CATALOG]
    engines.py trino URI CATALOG URL NAME     URL of the server, NAME of the catalog there

Reads one request a line, as JSON: {"table": "raw.orders", "snapshot": null}. Answers with one line:
{"rows": n, "fingerprint": "…", "columns": {column: fingerprint}, "figures": {column: [values, least, greatest, sum]}}.
Spark also takes {"parquet": "folder", "options": {"compression": "zstd"}}: it writes a Parquet file with one column of each of its types.

pyiceberg needs pyiceberg and pyarrow; duckdb both and duckdb-extensions; spark the environment that scripts/engines.sh makes, with pyiceberg
for the schemas; trino only pyiceberg. The classes of columns come from the table's metadata, all values from the engine.
"""
import base64
import json
import os
import struct
import sys
import urllib.request
from decimal import Decimal

import fingerprint as fp

SIMPLE = {
    "boolean": "boolean", "int": "integer", "long": "integer", "float": "float", "double": "float", "date": "date", "time": "time",
    "timestamp": "timestamp", "timestamptz": "timestamptz", "string": "string", "uuid": "uuid", "binary": "binary",
}
# The classes whose least and greatest values every engine tells in the same order.
ORDERED = ("integer", "decimal", "date", "string")


def class_of(kind):
    """The class of an Iceberg type."""
    from pyiceberg.types import DecimalType, FixedType, ListType, MapType, StructType

    if isinstance(kind, DecimalType):
        return "decimal"
    if isinstance(kind, FixedType):
        return "binary"
    if isinstance(kind, ListType):
        return ("list", class_of(kind.element_type))
    if isinstance(kind, StructType):
        return ("struct", [(field.name, class_of(field.field_type)) for field in kind.fields])
    if isinstance(kind, MapType):
        return ("map", class_of(kind.key_type), class_of(kind.value_type))
    return SIMPLE[str(kind)]


class Engine:
    """A SQL engine: `select` gives Python values, `name` is how it calls a table."""

    def __init__(self, uri, catalog="default"):
        from pyiceberg.catalog.sql import SqlCatalog

        self.catalog = SqlCatalog(catalog, uri=uri, **s3_properties())

    def columns(self, table, snapshot):
        snapshot = table.snapshot_by_id(snapshot) if snapshot else None
        schema = table.schemas()[snapshot.schema_id] if snapshot else table.schema()
        return [(field.name, class_of(field.field_type)) for field in schema.fields]

    def answer(self, request):
        table = self.catalog.load_table(request["table"])
        columns = self.columns(table, request.get("snapshot"))
        rows = [tuple(value(cell, cls) for cell, (_, cls) in zip(row, columns)) for row in self.rows(table, request, columns)]
        return {
            "rows": len(rows),
            "fingerprint": fp.fingerprint(columns, rows),
            "columns": {name: fp.fingerprint([(name, cls)], [(row[place],) for row in rows]) for place, (name, cls) in enumerate(columns)},
            "figures": self.figures(table, request, [(name, cls) for name, cls in columns if cls in ORDERED]),
        }

    def rows(self, table, request, columns):
        return self.select(f"SELECT {', '.join(map(self.quoted, (name for name, _ in columns)))} FROM {self.name(table, request)}")

    def figures(self, table, request, columns):
        if not columns:
            return {}
        items = ["count(*)"]
        for name, cls in columns:
            name = self.quoted(name)
            items += [f"count({name})", f"min({name})", f"max({name})", self.sum(name, cls)]
        got = [figure(cell) for cell in list(self.select(f"SELECT {', '.join(items)} FROM {self.name(table, request)}"))[0]]
        return {"*": [got[0]], **{name: got[1 + 4 * place : 5 + 4 * place] for place, (name, _) in enumerate(columns)}}

    def sum(self, name, cls):
        """Of integers as decimals: 64 bits may not hold it."""
        return {"integer": f"sum(CAST({name} AS decimal(38, 0)))", "decimal": f"sum({name})"}.get(cls, "NULL")

    @staticmethod
    def quoted(name):
        return '"' + name.replace('"', '""') + '"'


def figure(cell):
    """A figure as text that does not depend on how an engine writes it."""
    if cell is None:
        return None
    text = str(cell)
    try:
        number = Decimal(text)
        return format(number.normalize(), "f") if number.is_finite() else text
    except ArithmeticError:
        return text


def value(cell, cls):
    """An engine's value as the fingerprint takes it."""
    if cell is None:
        return None
    match fp.kind(cls):
        case "list":
            return [value(item, cls[1]) for item in cell]
        case "struct":
            members = cell if isinstance(cell, dict) else cell.asDict() if hasattr(cell, "asDict") else dict(zip((n for n, _ in cls[1]), cell))
            return {name: value(members[name], member) for name, member in cls[1]}
        case "map":
            pairs = cell.items() if isinstance(cell, dict) else cell
            return [(value(key, cls[1]), value(item, cls[2])) for key, item in pairs]
        case "integer":
            return int(cell)
        case "timestamptz" if getattr(cell, "tzinfo", True) is None:
            import datetime

            return cell.replace(tzinfo=datetime.timezone.utc)
        case "binary":
            return bytes(cell)
    return cell


def s3_properties():
    """What PyIceberg needs for a warehouse on S3, from the variables that trino/catalogs takes too."""
    if not os.environ.get("S3_ENDPOINT"):
        return {}
    names = {"endpoint": "S3_ENDPOINT", "region": "S3_REGION", "access-key-id": "S3_ACCESS_KEY", "secret-access-key": "S3_SECRET_KEY"}
    return {f"s3.{name}": os.environ[variable] for name, variable in names.items()}


class PyIceberg(Engine):
    def scan(self, table, request, columns):
        return table.scan(snapshot_id=request.get("snapshot"), selected_fields=tuple(name for name, _ in columns)).to_arrow()

    def rows(self, table, request, columns):
        # Arrow keeps no order that one could rely on: by name.
        arrow = self.scan(table, request, columns).select([name for name, _ in columns])
        return zip(*(fp.plain(arrow[name].combine_chunks()) for name, _ in columns))

    def sum(self, column, cls):
        import pyarrow as pa
        import pyarrow.compute as pc

        return pc.sum(column.cast(pa.decimal128(38, 0)) if cls == "integer" else column) if cls in ("integer", "decimal") else None

    def figures(self, table, request, columns):
        import pyarrow.compute as pc

        if not columns:
            return {}
        arrow = self.scan(table, request, columns)
        got = {"*": [figure(arrow.num_rows)]}
        for name, cls in columns:
            column = arrow[name]
            values = [len(column) - column.null_count, *pc.min_max(column).values(), self.sum(column, cls)]
            got[name] = [figure(cell.as_py() if hasattr(cell, "as_py") else cell) for cell in values]
        return got


class DuckDB(Engine):
    def __init__(self, *arguments):
        import duckdb
        from duckdb_extensions import import_extension

        super().__init__(*arguments)
        self.db = duckdb.connect()
        for name in ("avro", "httpfs", "iceberg"):
            import_extension(name, con=self.db) if "con" in import_extension.__code__.co_varnames else import_extension(name)
            self.db.execute(f"LOAD {name}")
        self.db.execute("SET TimeZone = 'UTC'")
        if os.environ.get("S3_ENDPOINT"):
            of = {key: os.environ["S3_" + key.upper()] for key in ("endpoint", "region", "access_key", "secret_key")}
            self.db.execute(
                f"CREATE SECRET (TYPE s3, KEY_ID '{of['access_key']}', SECRET '{of['secret_key']}', REGION '{of['region']}', "
                f"ENDPOINT '{of['endpoint'].split('://')[1]}', URL_STYLE 'path', USE_SSL false)"
            )

    def name(self, table, request):
        snapshot = f", snapshot_from_id => {request['snapshot']}" if request.get("snapshot") else ""
        return f"iceberg_scan('{table.metadata_location}'{snapshot})"

    def select(self, sql):
        return self.db.execute(sql).fetchall()


class Spark(Engine):
    def __init__(self, uri, catalog="default"):
        from pyspark.sql import SparkSession

        super().__init__(uri, catalog)
        os.environ["TZ"] = "UTC"
        jdbc, user = jdbc_url(uri)
        settings = {
            "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.session.timeZone": "UTC", "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "2",
            "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.lake.type": "jdbc",
            "spark.sql.catalog.lake.uri": jdbc, "spark.sql.catalog.lake.warehouse": "file:///nowhere", "spark.sql.catalog.lake.jdbc.schema-version": "V1",
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions", **user,
        }
        # Spark's catalog is called as the layout calls it.
        settings = {name.replace("catalog.lake", f"catalog.{catalog}"): setting for name, setting in settings.items()}
        self.spark_catalog = catalog
        builder = SparkSession.builder.master("local[2]").appName("icehaul")
        for name, setting in settings.items():
            builder = builder.config(name, setting)
        self.spark = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("ERROR")

    @staticmethod
    def quoted(name):
        return "`" + name.replace("`", "``") + "`"

    def name(self, table, request):
        name = ".".join(map(self.quoted, (self.spark_catalog, *table.name()[-2:])))
        self.spark.sql(f"REFRESH TABLE {name}")
        return name + (f" VERSION AS OF {request['snapshot']}" if request.get("snapshot") else "")

    def select(self, sql):
        return [tuple(row) for row in self.spark.sql(sql).collect()]

    def answer(self, request):
        return self.write(request) if "parquet" in request else super().answer(request)

    def write(self, request):
        """A file of every type that Spark writes, for who reads Parquet."""
        frame = self.spark.sql(
            "SELECT id, CAST(id AS int) i, CAST(id AS byte) b, CAST(id AS short) s, id / 3.0D d, CAST(id / 3.0D AS float) f, "
            "CAST(id * 1.01 AS decimal(9,2)) d9, CAST(id * 1.01 AS decimal(18,2)) d18, CAST(id * 1.01 AS decimal(38,10)) d38, id % 2 = 0 even, "
            "CASE WHEN id % 7 > 0 THEN concat('text ', id) END t, CAST(concat('b', id) AS binary) raw, date_add(DATE'2024-01-01', CAST(id AS int)) day, "
            "timestamp_micros(id * 1000001) at, CAST(timestamp_micros(id * 1000001) AS timestamp_ntz) local, array(id, NULL, id + 1) l, "
            "named_struct('x', id, 'y', CAST(id AS string)) st, map(concat('k', id), id) m FROM range(1000)"
        )
        # Not an option of the writer, as the others are: what Spark knows by its session only.
        self.spark.conf.set("spark.sql.parquet.outputTimestampType", request.get("moments", "INT96"))
        self.spark.conf.set("spark.sql.parquet.writeLegacyFormat", request.get("legacy", False))
        frame.coalesce(1).write.mode("overwrite").options(**request["options"]).parquet(request["parquet"])
        return {"rows": 1000}


def jdbc_url(uri):
    """The catalog's address as Java writes it, and the user's settings."""
    if uri.startswith("sqlite"):
        return "jdbc:sqlite:" + uri.removeprefix("sqlite:///"), {}
    user, rest = uri.split("://", 1)[1].split("@", 1)
    user, password = user.split(":", 1)
    return f"jdbc:postgresql://{rest}?sslmode=disable", {"spark.sql.catalog.lake.jdbc.user": user, "spark.sql.catalog.lake.jdbc.password": password}


class Trino(Engine):
    def __init__(self, uri, catalog, url, trino_catalog):
        super().__init__(uri, catalog)
        self.url, self.trino_catalog = url, trino_catalog

    def name(self, table, request):
        name = ".".join(map(self.quoted, (self.trino_catalog, *table.name()[-2:])))
        return name + (f" FOR VERSION AS OF {request['snapshot']}" if request.get("snapshot") else "")

    def select(self, sql):
        # Without the capability Trino cuts times to milliseconds.
        headers = {"X-Trino-User": "test", "X-Trino-Time-Zone": "UTC", "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME"}
        page = json.load(urllib.request.urlopen(urllib.request.Request(self.url + "/v1/statement", sql.encode(), headers)))
        rows, types = [], []
        while True:
            if "error" in page:
                raise RuntimeError(f"{page['error']['message']}: {sql}")
            types = types or [column["typeSignature"] for column in page.get("columns", [])]
            rows += page.get("data", [])
            if "nextUri" not in page:
                return [tuple(trino_value(cell, of) for cell, of in zip(row, types)) for row in rows]
            page = json.load(urllib.request.urlopen(urllib.request.Request(page["nextUri"], headers=headers)))


def trino_value(cell, of):
    """A value of Trino's JSON."""
    if cell is None:
        return None
    inner = [argument["value"] for argument in of["arguments"]]
    match of["rawType"]:
        case "array":
            return [trino_value(item, inner[0]) for item in cell]
        case "map":
            return [(trino_value(key, inner[0]), trino_value(item, inner[1])) for key, item in cell.items()]
        case "row":
            return [trino_value(item, member["typeSignature"]) for item, member in zip(cell, inner)]
        case "real":
            return struct.unpack("f", struct.pack("f", float(cell)))[0]
        case "varbinary":
            return base64.b64decode(cell)
        case "timestamp with time zone":
            return cell.replace(" UTC", "+00:00")
    return cell


def main():
    kind, *arguments = sys.argv[1:]
    engine = {"pyiceberg": PyIceberg, "duckdb": DuckDB, "spark": Spark, "trino": Trino}[kind](*arguments)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        try:
            answer = engine.answer(json.loads(line))
        except Exception as error:  # The one who asks must hear it, whatever it is.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
