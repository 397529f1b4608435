"""Writing an arrival: shards first, then the manifest that publishes them in one step."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import get_args

from raygp.errors import ConflictError, InputError
from raygp.store.documents import encode, utc_now
from raygp.store.files import describe_file
from raygp.store.location import Location
from raygp.store.manifest import (
    QUARANTINE_FILE,
    Manifest,
    ShardInfo,
    Split,
    arrival_folder,
    check_arrival_name,
    find_manifest,
    manifest_path,
)
from raygp.store.shards import Row, write_shard

MAX_SHARD_BYTES = 1 << 30
_WAITING = 4
"""Shards on this machine that wait to be hashed and stored."""


class ArrivalWriter:
    """Writes one arrival. Nobody sees it before :meth:`publish`; leaving the ``with`` block without it leaves nothing.

    Args:
        arrival: its name, new in this line.
        source: where the samples come from, for people.
        shard_bytes: a shard is closed when its samples reach this many bytes (at most 1 GiB).
        symbols: what the line's vocabulary must hold for a label; the label itself if not given.

    Raises:
        InputError: the name cannot be used.
        ConflictError: an arrival of this name is published already.
    """

    def __init__(
        self,
        location: Location,
        arrival: str,
        source: str,
        shard_bytes: int = 32 << 20,
        symbols: Callable[[str], set[str]] | None = None,
    ) -> None:
        check_arrival_name(arrival)
        if not 1 <= shard_bytes <= MAX_SHARD_BYTES:
            raise InputError(f"shard_bytes is {shard_bytes}: give 1 to {MAX_SHARD_BYTES}")
        if find_manifest(location, arrival) is not None:
            raise ConflictError(_taken(location, arrival))
        self.location = location
        self.arrival = arrival
        self.source = source
        self.shard_bytes = shard_bytes
        self._symbols = symbols or (lambda label: {label})
        # Part of every shard's bytes, so of its name: writers racing for one arrival never share a file, not even
        # with equal samples, and so may delete what they wrote.
        self._writer = uuid.uuid4().hex
        self._rows: dict[Split, list[Row]] = {split: [] for split in get_args(Split)}
        self._bytes: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._held_out: set[str] = set()
        self._quarantine: list[dict[str, str | int]] = []
        self._shards: list[ShardInfo] = []
        self._numbers: Counter[str] = Counter()
        # Hashing and syncing let go of the interpreter: shards are stored while the next ones fill.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="raygp-shards")
        self._unfinished: deque[Future[None]] = deque()
        self._closed = False

    def __enter__(self) -> ArrivalWriter:
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

    @property
    def labels(self) -> set[str]:
        """Labels (symbols of labels) of the training rows so far."""
        return set(self._labels)

    @property
    def held_out_labels(self) -> set[str]:
        """Labels (symbols of labels) of the other rows so far."""
        return self._held_out

    def finish(self) -> None:
        """Write the rows that are still in memory. Publishes nothing."""
        self._check_open()
        for split in self._rows:
            self._flush(split)
        self._settle()

    def publish(self) -> Manifest:
        """Write what is left, then the manifest: from then on the arrival exists and cannot change.

        Raises:
            InputError: no training row was added.
            ConflictError: another writer published this arrival first; what this one wrote is deleted.
        """
        if not self._labels:
            raise InputError(f"arrival '{self.arrival}' has no training rows: nothing to publish")
        self.finish()
        order = list(self._rows)
        manifest = Manifest(
            arrival=self.arrival,
            published=utc_now(),
            shards=sorted(self._shards, key=lambda shard: (order.index(shard.split), shard.file)),
            # A symbol that only held-out rows have needs an id all the same.
            labels=dict(sorted({**dict.fromkeys(self._held_out, 0), **self._labels}.items())),
            source=self.source,
            quarantined=len(self._quarantine),
        )
        quarantine = f"{arrival_folder(self.arrival)}/{QUARANTINE_FILE}"
        lines = "".join(f"{json.dumps(row)}\n" for row in self._quarantine).encode()
        if lines and find_manifest(self.location, self.arrival) is None:
            self.location.write_bytes(quarantine, lines)
        try:
            self.location.create(manifest_path(self.arrival), encode(manifest))
        except ConflictError as error:
            # A repeated request can lose against itself: the manifest that is there decides.
            if find_manifest(self.location, self.arrival) != manifest:
                self.abort()
                raise ConflictError(_taken(self.location, self.arrival)) from error
        self._close()
        # A racing writer may have put its own there before it lost.
        if lines and self.location.read_if_exists(quarantine) != lines:
            self.location.write_bytes(quarantine, lines)
        return manifest

    def abort(self) -> None:
        """Delete what this writer wrote. After :meth:`publish` it does nothing."""
        if self._closed:
            return
        self._close()
        folder = arrival_folder(self.arrival)
        for shard in self._shards:
            self.location.delete(f"{folder}/{shard.file}")
        if self._quarantine and find_manifest(self.location, self.arrival) is None:
            self.location.delete(f"{folder}/{QUARANTINE_FILE}")
        if self.location.is_local:
            # Not empty: another writer is at it.
            with contextlib.suppress(OSError):
                self.location.local_path(folder).rmdir()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"arrival '{self.arrival}' is already published or aborted")

    def _close(self) -> None:
        """Wait for the shards that are being stored; what becomes of them no longer matters."""
        self._closed = True
        self._pool.shutdown()

    def _flush(self, split: Split) -> None:
        rows = self._rows[split]
        if not rows:
            return
        self._rows[split] = []
        self._bytes[split] = 0
        stem = f"{split}-{self._numbers[split]:05d}"
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

    def _settle(self, most: int = 0) -> None:
        """Wait until at most so many shards are still to be stored. Raises what went wrong with the others."""
        while len(self._unfinished) > most:
            self._unfinished.popleft().result()


def _check_unicode(label: str, key: str) -> None:
    try:
        f"{label}{key}".encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{key!r}: label or key is not valid Unicode: rename it") from error


def _taken(location: Location, arrival: str) -> str:
    return f"{location.root}: arrival '{arrival}' is published already and never changes: choose another name"
