"""One Parquet file of labelled samples, and what is checked when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raygp.errors import InputError
from raygp.store.files import read_checked
from raygp.store.location import Location
from raygp.store.manifest import ShardInfo, arrival_folder

SCHEMA = pa.schema([("sample", pa.binary()), ("label", pa.string()), ("key", pa.string())])
"""``sample``: the encoded sample; ``label``: its class by name; ``key``: what the source calls it."""

Row = tuple[bytes, str, str]
"""Sample, label, key."""


def write_shard(rows: Sequence[Row], metadata: dict[str, str], file: Path) -> None:
    """Write the rows as a Parquet file with ``metadata`` in its footer.

    Uncompressed, as samples are already; no statistics, as they would repeat samples.
    """
    columns = zip(zip(*rows, strict=True), SCHEMA, strict=True)
    arrays = [pa.array(column, type=field.type) for column, field in columns]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata(metadata))
    pq.write_table(table, file, compression="none", use_dictionary=["label"], write_statistics=False)


def read_shard(location: Location, arrival: str, shard: ShardInfo) -> pa.Table:
    """A shard with columns ``sample`` (binary), ``label`` and ``key`` (string), rows in the order they were added.

    Raises:
        InputError: the file is missing, or its size, SHA-256, columns or number of rows are not what they should be.
    """
    data = read_checked(location, arrival_folder(arrival), shard)
    where = location.url(f"{arrival_folder(arrival)}/{shard.file}")
    try:
        table = pq.read_table(pa.BufferReader(data))
    except pa.ArrowException as error:
        raise InputError(f"{where} is no Parquet file: {' '.join(str(error).split())}") from error
    if not table.schema.equals(SCHEMA):
        raise InputError(f"{where}: expected columns {_columns(SCHEMA)}, found {_columns(table.schema)}")
    if table.num_rows != shard.rows:
        raise InputError(f"{where}: expected {shard.rows} rows, found {table.num_rows}")
    return table


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
