"""What a version has to answer before it is asked by others: rows that were held out when it was trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from raygp.errors import InputError
from raygp.serve.served import Served
from raygp.store import Card, Location, Manifest, ShardInfo, find_manifest, read_shard

if TYPE_CHECKING:
    from raygp.tasks import Answer

ROWS = 32
"""Held-out rows that are asked at most."""
_LARGEST_SHARD = 64 * 2**20
"""Bytes; a larger shard is not read for the sake of a few rows."""
_ENOUGH = 16
"""Rows from which on shares are compared."""
_SIGMAS = 5.0
"""So far below the card's accuracy, in standard deviations of a share of so many rows, is no coincidence."""


@dataclass(frozen=True)
class Probe:
    """Rows to ask, and what to expect."""

    samples: tuple[bytes, ...] = ()
    labels: tuple[str, ...] = ()
    expected: float | None = None
    """Part of them that the card promises to be right; None if it says nothing of such rows."""


class NoAnswer(InputError):
    """A version was loaded and does not answer as it should."""


def find_probe(location: Location, card: Card) -> Probe:
    """Held-out rows of the youngest arrival that has a shard of them of moderate size; empty if there are none.

    Raises:
        RaygpError: storage failed, or a manifest or shard is damaged.
    """
    for arrival in reversed(card.arrivals):
        manifest = find_manifest(location, arrival)
        shard = _smallest(manifest) if manifest else None
        if shard is not None:
            table = read_shard(location, arrival, shard)
            rows = np.linspace(0, table.num_rows - 1, min(ROWS, table.num_rows)).round().astype(int).tolist()
            columns = [[table.column(name)[row].as_py() for row in rows] for name in ("sample", "label")]
            measured = card.by_arrival.get(arrival)
            return Probe(tuple(columns[0]), tuple(columns[1]), measured.accuracy if measured else None)
    return Probe()


def ask(served: Served, probe: Probe) -> None:
    """Have a version answer, one row and then all at once, which also warms it up.

    Raises:
        NoAnswer: it does not answer, answers with no numbers, or is wrong far more often than its card says.
    """
    rows = list(probe.samples)
    try:
        answers = (served.answers(rows[:1]), served.answers(rows))[1] if rows else []
    except Exception as error:  # A model may raise whatever it likes.
        raise NoAnswer(f"{served.version} cannot answer: {type(error).__name__}: {error}") from error
    for answer in answers:
        if answer.problem:
            raise NoAnswer(f"{served.version} cannot read a row that was held out: {answer.problem}")
        numbers = [value for _, value in answer.probabilities] + ([] if answer.value is None else [answer.value])
        if not all(map(math.isfinite, numbers)):
            raise NoAnswer(f"{served.version} answers with numbers that are not finite")
    if served.task.labels_are_classes and probe.expected is not None and len(rows) >= _ENOUGH:
        _compare(served, probe, answers, probe.expected)


def _compare(served: Served, probe: Probe, answers: Sequence[Answer], expected: float) -> None:
    right = sum(answer.label == label for answer, label in zip(answers, probe.labels, strict=True)) / len(answers)
    # No share is certain: of one right in all rows, too, a few may be wrong.
    share = min(max(expected, 0.05), 0.95)
    lowest = expected - _SIGMAS * math.sqrt(share * (1 - share) / len(answers))
    if right < lowest:
        raise NoAnswer(
            f"{served.version} is right on {right:.0%} of {len(answers)} held-out rows; its card says {expected:.0%}"
        )


def _smallest(manifest: Manifest) -> ShardInfo | None:
    shards = [shard for split in ("val", "test") for shard in manifest.shards if shard.split == split and shard.rows]
    fitting = [shard for shard in shards if shard.bytes <= _LARGEST_SHARD]
    return min(fitting, key=lambda shard: shard.bytes, default=None)
