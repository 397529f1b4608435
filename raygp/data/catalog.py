"""Which rows an update reads, and by which numbers it knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygp.data.batches import Split
from raygp.data.sources import SplitName
from raygp.errors import InputError
from raygp.store import Location, Manifest, ShardInfo


@dataclass(frozen=True)
class ShardRef:
    """A shard and the id of its first row."""

    arrival: str
    shard: ShardInfo
    first: int

    @property
    def stop(self) -> int:
        """The id after its last row."""
        return self.first + self.shard.rows


@dataclass(frozen=True)
class Catalog:
    """All shards of an update, in the order of their rows' ids. Plain data: it travels to every worker."""

    location: Location
    train: tuple[ShardRef, ...]
    held_out: dict[Split, tuple[ShardRef, ...]]
    old_rows: int
    classes: tuple[str, ...]
    """Vocabulary, classes or a text's symbols: position is id."""

    @property
    def train_rows(self) -> int:
        """Training examples of all arrivals."""
        return self.train[-1].stop if self.train else 0

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return self.train_rows + sum(refs[-1].stop for refs in self.held_out.values() if refs)

    def groups(self, split: Split) -> dict[str, slice]:
        """By arrival, its rows of a held-out split."""
        groups: dict[str, slice] = {}
        for ref in self.held_out.get(split, ()):
            start = groups[ref.arrival].start if ref.arrival in groups else ref.first
            groups[ref.arrival] = slice(start, ref.stop)
        return groups


def build_catalog(
    location: Location, seen: Sequence[Manifest], new: Sequence[Manifest], classes: Sequence[str], replays: bool = True
) -> Catalog:
    """The catalog of an update that folds ``new`` into a model that has seen ``seen``, in that order.

    Args:
        location: root of the line.
        seen: arrivals whose held-out rows count too.
        new: the arrivals, one at least.
        classes: vocabulary.
        replays: whether training examples of ``seen`` are wanted; if not, their shards are not read at all.

    Raises:
        InputError: there is no validation row, so neither phases nor the gate could judge.
    """
    manifests = [*seen, *new]
    held_out: dict[Split, tuple[ShardRef, ...]] = {split: _number(manifests, split) for split in ("val", "test")}
    if not held_out["val"]:
        raise InputError(
            f"arrival {new[-1].arrival}: no validation rows in it or before it, so nothing could be judged: raygp "
            f"withdraw {new[-1].arrival} takes it out; then ingest its source again, with --val-share above 0"
        )
    replayed = seen if replays else ()
    train = _number([*replayed, *new], "train")
    return Catalog(location, train, held_out, sum(m.rows("train") for m in replayed), tuple(classes))


def extend_classes(known: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The vocabulary with new labels appended in sorted order; class ids already given never move."""
    return [*known, *sorted(set(labels) - set(known))]


def _number(manifests: Sequence[Manifest], split: SplitName) -> tuple[ShardRef, ...]:
    refs: list[ShardRef] = []
    first = 0
    for manifest in manifests:
        for shard in manifest.shards_of(split):
            refs.append(ShardRef(manifest.arrival, shard, first))
            first += shard.rows
    return tuple(refs)
