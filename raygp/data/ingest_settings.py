"""How a source becomes arrivals: names, shares and limits, which :func:`raygp.data.ingest.ingest` follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from raygp.data.sources.split import check_shares
from raygp.errors import InputError
from raygp.store import check_arrival_name

PART_ROWS = 4096
"""Rows of a part: seconds to minutes of work, and as many as fill a shard if each has 8 KiB."""
_FIRST_SHARE = 0.6
DuplicatesSetting = Literal["skip", "keep"]


@dataclass(frozen=True)
class IngestSettings:
    """How a source becomes arrivals. Without any argument: one arrival of all samples, under the next free name."""

    arrivals: Sequence[str] = ()
    """Names, in the order in which they are to be folded in. Empty: one arrival, with the next free name of
    arrival-000, arrival-001, ..."""
    shares: Sequence[float] = ()
    """Part of the training samples that each arrival gets, adding up to 1. Empty: see :func:`default_shares`."""
    val_share: float = 0.15
    """Part held out for validation, where the source does not say which."""
    test_share: float = 0.15
    """Part held out for testing, where the source does not say which."""
    seed: int = 0
    """Of the draw of held-out samples and of each arrival's samples."""
    new_classes: bool = False
    """Whether labels that the line has not seen are admitted."""
    max_bad_share: float = 0.01
    """Part of an arrival's rows that may be unusable: they are left out. If more are, nothing is published."""
    part_rows: int = PART_ROWS
    """Rows that are checked and stored together."""
    duplicates: DuplicatesSetting = "skip"
    """What becomes of a row whose bytes the line trains on already, or another training row of the source has: it is
    skipped, or kept as one more training row. What is held out anywhere is never kept."""
    strict: bool = False
    """Whether something in the source that gives no row, or a row that is a duplicate, is an error."""

    def filled_in(self, published: Collection[str]) -> IngestSettings:
        """The same with names and shares given.

        Args:
            published: names of the line's arrivals.

        Raises:
            InputError: there are not as many shares as arrivals, a name comes twice or is none, or another setting is
                out of range.
        """
        if self.seed < 0:
            raise InputError(f"--seed must be at least 0, not {self.seed}")
        if self.part_rows < 1:
            raise InputError(f"part_rows must be at least 1, not {self.part_rows}")
        if not 0 <= self.max_bad_share < 1:
            raise InputError(f"--max-bad-share must be at least 0 and less than 1, not {self.max_bad_share:g}")
        if self.duplicates not in get_args(DuplicatesSetting):
            raise InputError(f"duplicates are to be skip or keep, not '{self.duplicates}'")
        arrivals = list(self.arrivals) or [next_arrival(published)]
        shares = list(self.shares) or default_shares(len(arrivals))
        if len(set(arrivals)) != len(arrivals):
            raise InputError(f"every arrival needs a name of its own, not {', '.join(arrivals)}")
        if len(shares) != len(arrivals):
            raise InputError(f"{len(arrivals)} arrivals need as many shares, not {len(shares)}")
        check_shares(self.val_share, self.test_share, shares)
        for arrival in arrivals:
            check_arrival_name(arrival)
        return replace(self, arrivals=arrivals, shares=shares)


def numbered_arrivals(count: int, first: int = 0) -> list[str]:
    """``count`` names in order: arrival-000, arrival-001, ..., beginning with number ``first``."""
    return [f"arrival-{number:03d}" for number in range(first, first + count)]


def next_arrival(published: Collection[str]) -> str:
    """The name of the arrival that follows those that are published, skipping names that are taken."""
    number = len(published)
    while (name := numbered_arrivals(1, number)[0]) in published:
        number += 1
    return name


def default_shares(count: int) -> list[float]:
    """Parts of the training samples for ``count`` arrivals: 60 % in the first, the rest in equal parts."""
    return [1.0] if count == 1 else [_FIRST_SHARE] + [(1.0 - _FIRST_SHARE) / (count - 1)] * (count - 1)
