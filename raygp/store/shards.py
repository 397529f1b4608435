"""One Parquet file of labelled samples, and what is checked when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from raygp.errors import InputError
from raygp.store.documents import check_format
from raygp.store.files import read_checked
from raygp.store.location import Location
from raygp.store.manifest import ShardInfo, arrival_folder

# pyarrow is imported where a shard is written or read: most commands on a line do neither.
if TYPE_CHECKING:
    import pyarrow as pa

SHARD_FORMAT = 1
"""Newest format of a shard that this raygp reads, and the one that it writes into the file's metadata. Shards of raygp
0.1.0 hold no number; they are of format 1."""
_FORMAT_KEY = "raygp.format"

Row = tuple[bytes, str, str]
"""Sample, label, key."""


@cache
def schema() -> pa.Schema:
    """Columns of a shard. ``sample``: the encoded sample; ``label``: its class by name; ``key``: what the source calls
    it."""
    import pyarrow as pa

    return pa.schema([("sample", pa.binary()), ("label", pa.string()), ("key", pa.string())])


def write_shard(rows: Sequence[Row], metadata: dict[str, str], file: Path) -> None:
    """Write the rows as a Parquet file with ``metadata`` in its footer.

    Uncompressed, as samples are already; no statistics, as they would repeat samples.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(zip(*rows, strict=True), schema(), strict=True)
    arrays = [pa.array(column, type=field.type) for column, field in columns]
    described = schema().with_metadata({_FORMAT_KEY: str(SHARD_FORMAT), **metadata})
    table = pa.Table.from_arrays(arrays, schema=described)
    pq.write_table(table, file, compression="none", use_dictionary=["label"], write_statistics=False)


def read_shard(location: Location, arrival: str, shard: ShardInfo) -> pa.Table:
    """A shard with columns ``sample`` (binary), ``label`` and ``key`` (string), rows in the order they were added.

    Raises:
        InputError: the file is missing, or its size, SHA-256, columns or number of rows are not what they should be, or
            a newer raygp wrote it in a format of its own.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_checked(location, arrival_folder(arrival), shard)
    where = location.url(f"{arrival_folder(arrival)}/{shard.file}")
    try:
        table = pq.read_table(pa.BufferReader(data))
    except pa.ArrowException as error:
        raise InputError(f"{where} is no Parquet file: {' '.join(str(error).split())}") from error
    check_format(_format_of(table), SHARD_FORMAT, where)
    if not table.schema.equals(schema()):
        raise InputError(f"{where}: expected columns {_columns(schema())}, found {_columns(table.schema)}")
    if table.num_rows != shard.rows:
        raise InputError(f"{where}: expected {shard.rows} rows, found {table.num_rows}")
    return table


def read_labels(location: Location, arrival: str, shard: ShardInfo) -> list[str]:
    """The labels of a shard's rows, in order. No sample is read, so the file's SHA-256 is not compared.

    Raises:
        InputError: the file is missing, or is not what it should be.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = f"{arrival_folder(arrival)}/{shard.file}"
    where = location.url(path)
    with location.opened(path) as file:
        try:
            table = pq.ParquetFile(file).read(columns=["label"])
        except (pa.ArrowException, KeyError) as error:
            raise InputError(f"{where} is no Parquet file: {' '.join(str(error).split())}") from error
    check_format(_format_of(table), SHARD_FORMAT, where)
    if table.column_names != ["label"] or table.num_rows != shard.rows:
        raise InputError(f"{where}: expected labels of {shard.rows} rows, found {table.num_rows}")
    labels: list[str] = table.column("label").to_pylist()
    return labels


def _format_of(table: pa.Table) -> int:
    number = (table.schema.metadata or {}).get(_FORMAT_KEY.encode(), b"1")
    return int(number) if number.isdigit() else 1


def _columns(found: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in found)
