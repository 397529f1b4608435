"""What the samples of a line are known by: the digests of all of them, sorted, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from raygp.errors import InputError
from raygp.store import Location, Manifest, kept_index, make_index
from raygp.store.samples import DIGEST_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

DIGEST = np.dtype(f"S{DIGEST_BYTES}")
"""Of an array of digests."""
_READERS = 4
"""Arrivals whose indexes are read side by side; each reads its files side by side."""


class KnownSamples:
    """The samples of published arrivals.

    About 60 bytes of memory for each of them, plus its label and key: 180 MiB for a million.

    Args:
        arrivals: names, in the order in which they were published.
        tables: their indexes, with columns as :func:`raygp.store.samples.samples_schema` says.
    """

    def __init__(self, arrivals: Sequence[str], tables: Sequence[pa.Table]) -> None:
        self.arrivals = tuple(arrivals)
        self._tables = tuple(tables)
        self._starts = np.cumsum([0, *(table.num_rows for table in tables)])
        digests = np.concatenate([np.empty(0, DIGEST), *map(digests_of, tables)])
        held_out = np.concatenate([np.empty(0, bool), *map(held_out_of, tables)])
        # Stable: of rows with the same bytes, that of the earliest arrival comes first.
        order = np.argsort(digests, kind="stable")
        digests = digests[order]
        first = np.flatnonzero(np.concatenate([np.ones(min(1, len(digests)), bool), digests[1:] != digests[:-1]]))
        self._digests, self._rows = digests[first], order[first]
        self._held_out = np.logical_or.reduceat(held_out[order], first) if len(first) else np.empty(0, bool)

    @classmethod
    def read(cls, location: Location, manifests: Sequence[Manifest], tell: Callable[[str], None]) -> KnownSamples:
        """The samples of arrivals, from their indexes. One that is missing is made, and kept.

        Args:
            location: root of the line.
            manifests: of the arrivals, in the order in which they were published.
            tell: told in words what takes so long.

        Raises:
            InputError: an index or a shard is missing, or is not what it should be.
        """
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(partial(kept_index, location), manifests))
        tables = [
            make_index(location, manifest, tell) if table is None else table
            for manifest, table in zip(manifests, found, strict=True)
        ]
        return cls([manifest.arrival for manifest in manifests], tables)

    def and_of(self, other: KnownSamples) -> KnownSamples:
        """The samples of both; those of ``other`` came later."""
        return KnownSamples([*self.arrivals, *other.arrivals], [*self._tables, *other._tables])

    def __len__(self) -> int:
        """How many different samples there are."""
        return len(self._digests)

    def find(self, digests: np.ndarray) -> np.ndarray:
        """Where the samples are known: numbers for the other methods, -1 for one that is new.

        Args:
            digests: of :data:`DIGEST`, shape (N,).

        Returns:
            int64, shape (N,).
        """
        if not len(self):
            return np.full(len(digests), -1)
        place = np.minimum(np.searchsorted(self._digests, digests), len(self) - 1)
        return np.where(self._digests[place] == digests, place, -1)

    def held_out(self, places: np.ndarray) -> np.ndarray:
        """Whether any arrival holds the sample out; bool, shape (N,)."""
        held_out: np.ndarray = self._held_out[places]
        return held_out

    def labels(self, places: np.ndarray) -> list[str]:
        """The label that each sample has in the first arrival that has it."""
        labels = [""] * len(places)
        rows = self._rows[places]
        for number, table in enumerate(self._tables):
            inside = np.flatnonzero((rows >= self._starts[number]) & (rows < self._starts[number + 1]))
            taken = table.column("label").take(rows[inside] - self._starts[number]).to_pylist()
            for position, label in zip(inside.tolist(), taken, strict=True):
                labels[position] = label
        return labels

    def describe(self, place: int) -> str:
        """Where a sample lies, for people: ``cat/07.png of arrival monday (val)``."""
        row = int(self._rows[place])
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        table, within = self._tables[number], row - int(self._starts[number])
        key, split = (table.column(name)[within].as_py() for name in ("key", "split"))
        return f"{key} of arrival {self.arrivals[number]} ({split})"


def digests_of(table: pa.Table) -> np.ndarray:
    """The digests of an index, of :data:`DIGEST`, shape (N,)."""
    chunks = table.column("digest").chunks
    return np.concatenate(
        [np.empty(0, DIGEST)]
        + [np.frombuffer(c.buffers()[1], DIGEST, len(c), c.offset * DIGEST_BYTES) for c in chunks if len(c)]
    )


def held_out_of(table: pa.Table) -> np.ndarray:
    """Which rows of an index are held out; bool, shape (N,)."""
    import pyarrow.compute as pc

    held_out: np.ndarray = pc.not_equal(table.column("split"), "train").to_numpy()
    return held_out.astype(bool)


def check_disjoint(location: Location, seen: Sequence[Manifest], new: Manifest) -> None:
    """Refuse an update in which rows that one arrival holds out are training rows of another.

    An ingest keeps them apart, and so do two at once: they publish one after the other. This is for storage that could
    not keep two publishers apart. Arrivals that were published without an index are not looked at.

    Args:
        location: root of the line.
        seen: arrivals that the parent has seen.
        new: the one that is folded in.

    Raises:
        InputError: there are such rows, or an index is not what it should be.
    """
    others = [manifest for manifest in seen if manifest.samples]
    if not new.samples or not others:
        return
    with ThreadPoolExecutor(_READERS) as pool:
        table, *tables = pool.map(partial(kept_index, location), [new, *others])
    digests, held_out = digests_of(table), held_out_of(table)
    for manifest, other in zip(others, tables, strict=True):
        theirs, out = digests_of(other), held_out_of(other)
        shared = np.isin(digests[~held_out], theirs[out]).sum() + np.isin(digests[held_out], theirs[~out]).sum()
        if shared:
            raise InputError(
                f"arrivals {manifest.arrival} and {new.arrival} share {shared:,} samples that one trains on and the "
                "other holds out: two ingests published at once on storage that cannot keep them apart. raygp "
                f"withdraw {new.arrival} takes it out: then ingest its source again"
            )
