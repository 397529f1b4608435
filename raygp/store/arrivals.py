"""Writing an arrival: shards first, then the manifest that publishes them in one step."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, get_args

from pydantic import Field

from raygp.errors import ConflictError, InputError
from raygp.store.documents import Document, Upgrade, encode, utc_now
from raygp.store.files import FileInfo, describe_file
from raygp.store.location import Location
from raygp.store.manifest import (
    QUARANTINE_FILE,
    Duplicates,
    Manifest,
    ShardInfo,
    Split,
    arrival_folder,
    check_arrival_name,
    find_manifest,
    manifest_path,
)
from raygp.store.samples import INDEX_SUFFIX, SampleRow, encode_samples, sample_digest
from raygp.store.shards import Row, write_shard

MAX_SHARD_BYTES = 1 << 30
SHARD_BYTES = 32 << 20
"""Samples in a shard, unless said otherwise."""
SPLITS: tuple[Split, ...] = get_args(Split)
_WAITING = 4
"""Shards on this machine that wait to be hashed and stored."""


class Part(Document):
    """Rows that are in storage: a piece of an arrival, or all of it. Unseen until the manifest names them."""

    FORMAT: ClassVar[int] = 2
    UPGRADES: ClassVar[Mapping[int, Upgrade]] = {1: lambda part: {"samples": [], **part}}
    """Format 2 has ``samples``."""

    shards: list[ShardInfo]
    labels: dict[str, int]
    """Training rows by label (by symbol of the label, where labels are texts)."""
    held_out: list[str]
    """Labels (symbols of labels) of the other rows, sorted."""
    quarantine: list[dict[str, str | int]]
    """Rows of the source that were left out: key, row, label, reason."""
    samples: list[FileInfo] = Field(default_factory=list)
    """Index of the rows' digests: a file, or none."""

    @property
    def files(self) -> list[FileInfo]:
        """All that it consists of."""
        return [*self.shards, *self.samples]


class PartWriter:
    """Writes rows into shards of an arrival. Leaving the ``with`` block without :meth:`finish` leaves nothing.

    Args:
        arrival: its name.
        shard_bytes: a shard is closed when its samples reach this many bytes (at most 1 GiB).
        symbols: what the line's vocabulary must hold for a label; the label itself if not given.
        number: of the part, which orders its shards among those of the others; None: it is the only one.
        indexed: also write the index of the samples' digests.

    Raises:
        InputError: the name or the size cannot be used.
    """

    def __init__(
        self,
        location: Location,
        arrival: str,
        shard_bytes: int = SHARD_BYTES,
        symbols: Callable[[str], set[str]] | None = None,
        number: int | None = None,
        indexed: bool = False,
    ) -> None:
        check_arrival_name(arrival)
        if not 1 <= shard_bytes <= MAX_SHARD_BYTES:
            raise InputError(f"shard_bytes is {shard_bytes}: give 1 to {MAX_SHARD_BYTES}")
        self.location = location
        self.arrival = arrival
        self.shard_bytes = shard_bytes
        self._symbols = symbols or (lambda label: {label})
        self._number = number
        # Part of every shard's bytes, so of its name: writers racing for one arrival never share a file, not even
        # with equal samples, and so may delete what they wrote.
        self._writer = uuid.uuid4().hex
        self._rows: dict[Split, list[Row]] = {split: [] for split in SPLITS}
        self._bytes: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._held_out: set[str] = set()
        self._quarantine: list[dict[str, str | int]] = []
        self._shards: list[ShardInfo] = []
        self._index: dict[Split, list[SampleRow]] | None = {split: [] for split in SPLITS} if indexed else None
        self._samples: list[FileInfo] = []
        self._numbers: Counter[str] = Counter()
        # Hashing and syncing let go of the interpreter: shards are stored while the next ones fill.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="raygp-shards")
        self._unfinished: deque[Future[None]] = deque()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._closed:
            self.abort()

    def add(self, split: Split, sample: bytes, label: str, key: str) -> None:
        """Append a row; rows keep their order within a split.

        Args:
            sample: encoded bytes, stored as they are.
            label: class by name.
            key: what the source calls the sample (such as a file name), for messages.

        Raises:
            InputError: the split is unknown, the sample or label empty, or a text is not valid Unicode.
        """
        self._check_open()
        if split not in self._rows:
            raise InputError(f"{key}: split '{split}' is none of {', '.join(self._rows)}")
        if not sample or not label:
            raise InputError(f"{key}: the {'label' if sample else 'sample'} is empty")
        if not (label.isascii() and key.isascii()):
            _check_unicode(label, key)
        self._rows[split].append((sample, label, key))
        if self._index is not None:
            self._index[split].append((sample_digest(sample), split, label, key))
        self._bytes[split] += len(sample)
        (self._labels if split == "train" else self._held_out).update(self._symbols(label))
        if self._bytes[split] >= self.shard_bytes:
            self._flush(split)

    def quarantine(self, key: str, row: int, label: str, reason: str) -> None:
        """Note a row of the source that is left out, in ``quarantine.jsonl``.

        Args:
            key: what the source calls it.
            row: its position in the source, from 0.
            label: as the source has it.
            reason: why it cannot be used.
        """
        self._check_open()
        self._quarantine.append({"key": key, "row": row, "label": label, "reason": reason})

    def finish(self) -> Part:
        """Write the rows that are still in memory. Publishes nothing; :meth:`abort` deletes them all the same."""
        self._check_open()
        for split in self._rows:
            self._flush(split)
        self._settle()
        self._write_index()
        return Part(
            shards=sorted(self._shards, key=_by_split_and_name),
            labels=dict(sorted(self._labels.items())),
            held_out=sorted(self._held_out),
            quarantine=self._quarantine,
            samples=self._samples,
        )

    @property
    def digests(self) -> bytes:
        """Digests of the rows, one after the other, by split and then in the order in which they were added. Empty
        without an index."""
        index = self._index or {}
        return b"".join(digest for rows in index.values() for digest, _, _, _ in rows)

    def close(self) -> None:
        """Keep what was written: from now on it is somebody else's."""
        self._closed = True
        # Shards that are still being stored after a failure; what becomes of them no longer matters.
        self._pool.shutdown()

    def abort(self) -> None:
        """Delete what this writer wrote. After :meth:`close` it does nothing."""
        if not self._closed:
            self.close()
            delete_files(self.location, self.arrival, [*self._shards, *self._samples])

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"arrival '{self.arrival}' is already published or aborted")

    def _flush(self, split: Split) -> None:
        rows = self._rows[split]
        if not rows:
            return
        self._rows[split] = []
        self._bytes[split] = 0
        part = "" if self._number is None else f"{self._number:05d}-"
        stem = f"{split}-{part}{self._numbers[split]:05d}"
        self._numbers[split] += 1
        with self.location.new_file(arrival_folder(self.arrival)) as file:
            write_shard(rows, {"raygp.arrival": self.arrival, "raygp.writer": self._writer}, file)
            self._settle(most=_WAITING)
        self._unfinished.append(self._pool.submit(self._complete, file, stem, split, len(rows)))

    def _complete(self, file: Path, stem: str, split: Split, rows: int) -> None:
        """Hash a shard, and store it under the name that this gives."""
        try:
            info = describe_file(stem, ".parquet", file)
            # Listed before it is there: an abort after a failed write looks for it too.
            self._shards.append(ShardInfo(**info.model_dump(), split=split, rows=rows))
            self.location.adopt(file, f"{arrival_folder(self.arrival)}/{info.file}")
        finally:
            file.unlink(missing_ok=True)

    def _write_index(self) -> None:
        """Write the digests of all rows, if that is wanted and there are any."""
        rows = [row for of_split in (self._index or {}).values() for row in of_split]
        if not rows or self._samples:
            return
        folder = arrival_folder(self.arrival)
        with self.location.new_file(folder) as file:
            file.write_bytes(encode_samples(rows, {"raygp.arrival": self.arrival, "raygp.writer": self._writer}))
            part = "" if self._number is None else f"-{self._number:05d}"
            self._samples.append(describe_file(f"samples{part}", INDEX_SUFFIX, file))
            self.location.adopt(file, f"{folder}/{self._samples[0].file}")
            file.unlink(missing_ok=True)

    def _settle(self, most: int = 0) -> None:
        """Wait until at most so many shards are still to be stored. Raises what went wrong with the others."""
        while len(self._unfinished) > most:
            self._unfinished.popleft().result()


class ArrivalWriter(PartWriter):
    """Writes one arrival whole. Nobody sees it before :meth:`publish`; leaving the ``with`` block without it leaves
    nothing.

    Args:
        arrival: its name, new in this line.
        source: where the samples come from, for people.
        shard_bytes, symbols: as for :class:`PartWriter`.

    Raises:
        InputError: the name cannot be used.
        ConflictError: an arrival of this name is published already.
    """

    def __init__(
        self,
        location: Location,
        arrival: str,
        source: str,
        shard_bytes: int = SHARD_BYTES,
        symbols: Callable[[str], set[str]] | None = None,
    ) -> None:
        super().__init__(location, arrival, shard_bytes, symbols)
        check_free(location, arrival)
        self.source = source

    def publish(self) -> Manifest:
        """Write what is left, then the manifest: from then on the arrival exists and cannot change.

        Raises:
            InputError: no training row was added.
            ConflictError: another writer published this arrival first; what this one wrote is deleted.
        """
        part = self.finish()
        if not any(shard.split == "train" for shard in part.shards):
            raise InputError(f"arrival '{self.arrival}' has no training rows: nothing to publish")
        try:
            manifest = publish_parts(self.location, self.arrival, self.source, [part])
        except ConflictError:
            self.abort()
            raise
        self.close()
        return manifest


def check_free(location: Location, arrival: str) -> None:
    """Raises ConflictError if an arrival of this name is published."""
    if find_manifest(location, arrival) is not None:
        raise ConflictError(_taken(location, arrival))


def publish_parts(
    location: Location, arrival: str, source: str, parts: Sequence[Part], duplicates: Duplicates | None = None
) -> Manifest:
    """Publish an arrival that is in storage: write its manifest. From then on it exists and cannot change.

    Args:
        arrival: its name.
        source: where the samples come from, for people.
        parts: all of them, in order.
        duplicates: rows of the source that were there already; None: none.

    Raises:
        InputError: there is no row.
        ConflictError: another arrival of this name is published; all that was written is still there.
    """
    labels: Counter[str] = Counter()
    for part in parts:
        labels.update(part.labels)
    if not any(part.shards for part in parts):
        raise InputError(f"arrival '{arrival}' has no rows: nothing to publish")
    left_out = [row for part in parts for row in part.quarantine]
    # A symbol that only held-out rows have needs an id all the same.
    counts = {**dict.fromkeys((symbol for part in parts for symbol in part.held_out), 0), **labels}
    manifest = Manifest(
        arrival=arrival,
        published=utc_now(),
        shards=sorted((shard for part in parts for shard in part.shards), key=_by_split_and_name),
        labels=dict(sorted(counts.items())),
        source=source,
        quarantined=len(left_out),
        # An index of some of the rows is none: what an earlier version began has parts without.
        samples=[file for part in parts for file in part.samples] if all(map(_has_index, parts)) else [],
        duplicates=duplicates or Duplicates(),
    )
    quarantine = f"{arrival_folder(arrival)}/{QUARANTINE_FILE}"
    lines = "".join(f"{json.dumps(row)}\n" for row in left_out).encode()
    if lines and find_manifest(location, arrival) is None:
        location.write_bytes(quarantine, lines)
    try:
        location.create(manifest_path(arrival), encode(manifest))
    except ConflictError as error:
        # A repeated request can lose against itself: the manifest that is there decides.
        if find_manifest(location, arrival) != manifest:
            raise ConflictError(_taken(location, arrival)) from error
    # A racing writer may have put its own there before it lost.
    if lines and location.read_if_exists(quarantine) != lines:
        location.write_bytes(quarantine, lines)
    return manifest


def delete_files(location: Location, arrival: str, files: Iterable[FileInfo]) -> None:
    """Delete files of an arrival, but those that its manifest names if it is published; and what is left of the
    folder if it is not."""
    folder, manifest = arrival_folder(arrival), find_manifest(location, arrival)
    published = {info.file for info in manifest.files} if manifest else set()
    for info in files:
        if info.file not in published:
            location.delete(f"{folder}/{info.file}")
    if manifest is None and location.list(folder) == [QUARANTINE_FILE]:
        location.delete(f"{folder}/{QUARANTINE_FILE}")
    if location.is_local:
        # Not empty: another writer is at it.
        with contextlib.suppress(OSError):
            location.local_path(folder).rmdir()


def _has_index(part: Part) -> bool:
    return bool(part.samples) or not part.shards


def _by_split_and_name(shard: ShardInfo) -> tuple[int, str]:
    return SPLITS.index(shard.split), shard.file


def _check_unicode(label: str, key: str) -> None:
    try:
        f"{label}{key}".encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{key!r}: label or key is not valid Unicode: rename it") from error


def _taken(location: Location, arrival: str) -> str:
    return f"{location.root}: arrival '{arrival}' is published already and never changes: choose another name"
