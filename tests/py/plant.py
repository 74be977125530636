"""Plants a difference in a Parquet file, written anew with the same field ids and of the same size: FILE WHAT.

The size stays because the one who wrote the file knows it: what is missing is filled up before the footer.
"""
import decimal
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def edited(table, name, edit, of=None):
    """The table with the values of a column edited, given as a list by row; `of` is another type for them."""
    place = table.schema.get_field_index(name)
    field = table.schema.field(place).with_type(of or table.schema.field(place).type)
    values = table.column(name).to_pylist()
    edit(values)
    return table.set_column(place, field, pa.array(values, field.type))


def swap(values, a, b):
    values[a], values[b] = values[b], values[a]


def put(row, value):
    return lambda values: values.__setitem__(row, value)


def keep(values):
    pass


def one_bit(values):
    values[123] = values[123][:-1] + chr(ord(values[123][-1]) ^ 1)


def rows(first, rest):
    """These rows, then all from `rest` on."""
    return lambda table: table.take(first + list(range(rest, len(table))))


# Row n holds the id n.
PLANTS = {
    "nothing": lambda table: table,
    "one_bit": lambda table: edited(table, "name", one_bit),
    "lost": rows([0], 2),
    "doubled": rows([0, 1, 1], 2),
    "lost_and_doubled": rows([0, 2, 2], 3),
    "swapped": lambda table: edited(table, "note", lambda values: swap(values, 21, 22)),
    "null_for_empty": lambda table: edited(table, "note", put(7, None)),
    "empty_for_null": lambda table: edited(table, "note", put(8, "")),
    "minus_zero": lambda table: edited(table, "ratio", put(5, -0.0)),
    "cents": lambda table: edited(table, "price", put(99, decimal.Decimal("297.01"))),
    "type": lambda table: edited(table, "id", keep, pa.int64()),
    "float": lambda table: edited(table, "ratio", keep, pa.float32()),
    "scale": lambda table: edited(table, "price", keep, pa.decimal128(12, 3)),
    "text": lambda table: edited(table, "name", lambda values: values.__setitem__(
        slice(None), [value.encode() for value in values]), pa.binary()),
    "less": lambda table: table.drop_columns(["flag"]),
}


def main(path, what):
    size = os.path.getsize(path)
    table = PLANTS[what](pq.ParquetFile(path).read())
    pq.write_table(table, path, compression="zstd", store_schema=False, store_decimal_as_integer=True)
    with open(path, "rb") as file:
        data = file.read()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    assert len(data) <= size, (len(data), size)
    with open(path, "wb") as file:
        file.write(data[:-footer] + bytes(size - len(data)) + data[-footer:])


main(*sys.argv[1:])
