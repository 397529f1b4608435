"""The index of an arrival's samples: a digest of each row's bytes, by which a sample is known when it comes again.

A Parquet file beside the shards for each part of an arrival; the manifest lists them. Arrivals that earlier versions
published have none: theirs is made once from the shards, and kept in ``samples/`` below the line's root.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING

from raygp.errors import ConflictError, InputError
from raygp.store.documents import check_format
from raygp.store.files import FileInfo, read_checked
from raygp.store.location import READERS, Location
from raygp.store.manifest import Manifest, ShardInfo, Split, arrival_folder
from raygp.store.shards import read_shard

# pyarrow is imported where an index is written or read: most commands on a line do neither.
if TYPE_CHECKING:
    import pyarrow as pa

    from raygp.store.arrivals import Part

SAMPLES_FOLDER = "samples"
"""Indexes of arrivals that were published without."""
INDEX_SUFFIX = ".index"
"""End of the names of indexes. They are Parquet files, but no shards, and what looks for shards must not find them."""
DIGEST_BYTES = 16
"""Of the SHA-256 of a sample, so many bytes are kept: no two different samples will ever share them."""
SAMPLES_FORMAT = 1
"""Newest format of an index that this raygp reads, and the one that it writes."""
_FORMAT_KEY = b"raygp.format"
_TOLD_EVERY_S, _TOLD_EVERY_ROWS = 20.0, 1000

SampleRow = tuple[bytes, Split, str, str]
"""Digest, split, label, key."""


def sample_digest(sample: bytes) -> bytes:
    """The first :data:`DIGEST_BYTES` bytes of the sample's SHA-256."""
    return hashlib.sha256(sample).digest()[:DIGEST_BYTES]


@cache
def samples_schema() -> pa.Schema:
    """Columns of an index. ``digest``: see :func:`sample_digest`; ``split``, ``label`` and ``key``: of the row."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("split", "label", "key")]
    return pa.schema([("digest", pa.binary(DIGEST_BYTES)), *texts])


def encode_samples(rows: Sequence[SampleRow], metadata: dict[str, str]) -> bytes:
    """The rows as a Parquet file with ``metadata`` in its footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(zip(*rows, strict=True), samples_schema(), strict=True)
    arrays = [pa.array(column, type=field.type) for column, field in columns]
    described = samples_schema().with_metadata({_FORMAT_KEY.decode(): str(SAMPLES_FORMAT), **metadata})
    file = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=described),
        file,
        compression="zstd",
        use_dictionary=["split", "label"],
        write_statistics=False,
        # The files of earlier arrivals stand in no manifest that has their hash.
        write_page_checksum=True,
    )
    return bytes(file.getvalue())


def read_index(location: Location, arrival: str, files: Iterable[FileInfo]) -> pa.Table:
    """The index of an arrival, or of a part of one: columns as :func:`samples_schema` says.

    Raises:
        InputError: a file is missing, or is not what it should be.
    """
    import pyarrow as pa

    folder = arrival_folder(arrival)
    with ThreadPoolExecutor(READERS) as pool:
        tables = list(pool.map(partial(_read_file, location, folder), files))
    return pa.concat_tables([samples_schema().empty_table(), *tables])


def kept_index(location: Location, manifest: Manifest) -> pa.Table | None:
    """The index of a published arrival; None if it was published without, and none has been made since.

    Raises:
        InputError: a file is missing, or is not what it should be.
    """
    if manifest.samples:
        return read_index(location, manifest.arrival, manifest.samples)
    data = location.read_if_exists(made_path(manifest))
    return None if data is None else _decode(data, location.url(made_path(manifest)))


def make_index(location: Location, manifest: Manifest, tell: Callable[[str], None]) -> pa.Table:
    """Make the index of an arrival that was published without, from its shards, and keep it.

    Args:
        location: root of the line.
        manifest: of the arrival.
        tell: told in words what takes so long.

    Raises:
        InputError: a shard is missing, or is not what it should be.
    """
    shards, arrival = manifest.shards, manifest.arrival
    size = sum(shard.rows for shard in shards)
    tell(f"{arrival} was published without an index of its samples: reading its {size:,} rows, this once")
    rows: list[SampleRow] = []
    told = time.monotonic()
    for row in rows_of_shards(location, arrival, shards):
        rows.append(row)
        if len(rows) % _TOLD_EVERY_ROWS == 0 and time.monotonic() - told > _TOLD_EVERY_S:
            told = time.monotonic()
            tell(f"{arrival}: {len(rows):,} of {size:,} rows read")
    data, path = encode_samples(rows, {"raygp.arrival": arrival}), made_path(manifest)
    try:
        # Whole or not at all, and once: of several who make it, the first one's is kept. All are the same.
        location.create(path, data)
    except ConflictError:
        data = location.read_bytes(path)
    return _decode(data, location.url(path))


def part_digests(location: Location, arrival: str, part: Part) -> bytes:
    """The digests of a part's rows, one after the other, from its index.

    Raises:
        InputError: a file is missing, or is not what it should be.
    """
    return b"".join(read_index(location, arrival, part.samples).column("digest").to_pylist())


def rows_of_shards(location: Location, arrival: str, shards: Iterable[ShardInfo]) -> Iterator[SampleRow]:
    """What an index says of the rows of some shards, in order; one shard at a time is in memory.

    Raises:
        InputError: a shard is missing, or is not what it should be.
    """
    for info in shards:
        table = read_shard(location, arrival, info)
        columns = (table.column(name).to_pylist() for name in ("sample", "label", "key"))
        for sample, label, key in zip(*columns, strict=True):
            yield sample_digest(sample), info.split, label, key


def made_name(manifest: Manifest) -> str:
    """File in :data:`SAMPLES_FOLDER` that holds the index of an arrival without one of its own. It depends on the
    manifest, as an arrival that is made anew under the same name holds other samples."""
    return f"{manifest.arrival}-{manifest.digest[:16]}{INDEX_SUFFIX}"


def made_path(manifest: Manifest) -> str:
    """Where the index of an arrival without one of its own lies, if it has been made."""
    return f"{SAMPLES_FOLDER}/{made_name(manifest)}"


def _read_file(location: Location, folder: str, info: FileInfo) -> pa.Table:
    return _decode(read_checked(location, folder, info), location.url(f"{folder}/{info.file}"))


def _decode(data: bytes, where: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{where} is no index of samples: {' '.join(str(error).split())}") from error
    number = (table.schema.metadata or {}).get(_FORMAT_KEY, b"1")
    check_format(int(number) if number.isdigit() else 1, SAMPLES_FORMAT, where)
    if not table.schema.equals(samples_schema()):
        raise InputError(f"{where}: its columns are not those of an index of samples: restore it from a copy")
    return table.replace_schema_metadata()
