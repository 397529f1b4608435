"""Which samples of a source can be used. The others are left out; if they are too many, the arrival is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from raygp.data.listing import listed
from raygp.data.sources import SourceSample
from raygp.data.text import quoted
from raygp.errors import InputError, RaygpError
from raygp.tasks.own_errors import in_own_code

_MOST_NAMED = 12
"""So many new labels or letters are named, so that a person sees what kind --new-classes would add."""


class Decoder(Protocol):
    """The members of a :class:`raygp.tasks.Task` that decide whether a sample can be used."""

    def check(self, sample: bytes, label: str) -> str | None: ...

    def decode(self, sample: bytes) -> np.ndarray: ...


class SampleCheck:
    """Finds out why an encoded sample cannot be used."""

    def __init__(self, task: Decoder) -> None:
        self._task = task
        self._kind: str | None = None
        self.doubt: str | None = None
        """What a person should know of the last sample that was looked at, although it can be used."""

    def read(self, sample: SourceSample) -> tuple[bytes, str | None]:
        """The encoded sample of a source's row, and why it cannot be used; None if it can."""
        if sample.problem:
            return b"", sample.problem
        try:
            encoded = sample.load()
        except InputError as error:
            return b"", str(error)
        return encoded, self.problem(encoded, sample.label)

    def problem(self, sample: bytes, label: str) -> str | None:
        """The reason, or None if it can be used: it suits its label, has values, and all of them are finite.

        Raises:
            RaygpError: nothing is wrong with the sample; a package is missing.
        """
        self.doubt = None
        if not sample:
            return "empty file"
        try:
            self.doubt = self._task.check(sample, label)
            # check() has decoded the sample already. Whole numbers, such as pixels, are always finite.
            if self._kind is not None and self._kind != "f":
                return None
            values = self._task.decode(sample)
        except ValueError as error:
            return str(error)
        except RaygpError:
            raise
        except Exception as error:
            # Decoders of damaged files raise whatever they please. One bad row must not end the ingest.
            return in_own_code(error) or f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"
        self._kind = values.dtype.kind
        if values.size == 0:
            return "no values in it"
        return None if self._kind != "f" or bool(np.isfinite(values).all()) else "values that are NaN or infinite"


class BadRows:
    """Counts an arrival's unusable rows, up to the share that is allowed.

    Args:
        arrival: its name.
        rows: how many rows it has, usable or not.
        max_share: largest share of unusable rows.
    """

    def __init__(self, arrival: str, rows: int, max_share: float) -> None:
        self._arrival, self._rows, self._max_share = arrival, rows, max_share
        self._bad = 0

    def add(self, key: str, reason: str) -> None:
        """Count one.

        Raises:
            InputError: they are too many now.
        """
        self._bad += 1
        if self._bad > self._max_share * self._rows:
            count = f"{self._bad} of {self._rows:,} rows cannot be used" if self._bad > 1 else f"{key}: {reason}"
            last = f" (the last one seen: {key}: {reason})" if self._bad > 1 else f" (1 of {self._rows:,} rows)"
            raise InputError(
                f"arrival {self._arrival} is refused: {count}{last}, which is more than --max-bad-share "
                f"{self._max_share:g}"
            )


def unusable_rows(
    samples: Sequence[SourceSample],
    symbols: Callable[[str], set[str]],
    known: set[str],
    new_classes: bool,
    max_share: float,
) -> dict[int, str]:
    """Samples that their source found unusable, without a label, or with one that the line does not know: by position,
    with the reason.

    Args:
        samples: of a source.
        symbols: what the line's vocabulary must hold for a label.
        known: the line's vocabulary; empty if the line has none yet, so that every label is allowed.
        new_classes: admit what is not in it.
        max_share: largest share of unusable rows.

    Raises:
        InputError: they are too many to be mistakes.
    """
    size = f"the line's vocabulary of {len(known)} classes"
    broken = {i: sample.problem for i, sample in enumerate(samples) if sample.problem}
    bare = {i: "no label" for i, sample in enumerate(samples) if not sample.label and i not in broken}
    strange: dict[int, list[str]] = {}
    if known and not new_classes:
        whole = ((i, sample) for i, sample in enumerate(samples) if i not in broken)
        missing = {i: sorted(symbols(sample.label) - known) for i, sample in whole}
        strange = {i: unknown for i, unknown in missing.items() if unknown}
    if len(strange) > max_share * len(samples):
        labels = sorted({label for unknown in strange.values() for label in unknown})
        raise InputError(f"labels outside {size}: {_quoted(labels, known)}; give --new-classes to add them")
    if len(bare) > max_share * len(samples):
        first = samples[next(iter(bare))].key
        raise InputError(
            f"{len(bare)} of {len(samples):,} rows have no label, which is more than --max-bad-share {max_share:g}; "
            f"the first of them is {first}"
        )
    if len(broken) > max_share * len(samples):
        row, reason = next(iter(broken.items()))
        raise InputError(
            f"{len(broken)} of {len(samples):,} rows cannot be used, which is more than --max-bad-share "
            f"{max_share:g}; the first of them is {samples[row].key}: {reason}"
        )
    outside = {
        i: f"{'labels' if len(labels) > 1 else 'label'} {_quoted(labels, known)} "
        f"{'are' if len(labels) > 1 else 'is'} outside {size}"
        for i, labels in strange.items()
    }
    return broken | bare | outside


def _quoted(labels: Sequence[str], known: set[str]) -> str:
    """Labels for messages: all, unless they are very many."""
    return listed([quoted(label, known) for label in labels], _MOST_NAMED)
