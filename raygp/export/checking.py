"""Whether an exported file says what the version says, on rows that the line holds out."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raygp.data.ragged import stacked
from raygp.errors import RaygpError
from raygp.export.held_out import Rows
from raygp.export.whole import Arrays, Run, Subject
from raygp.tasks.answer import Answer
from raygp.tasks.padded import Padded

BATCH_SIZES = (1, 3, 32)
"""Batches that an exported file is run on."""
ROWS = sum(BATCH_SIZES)
TOLERANCE = 1e-4
"""How far an output may be from the version's, as a part of the largest output of the batch (of 1 if all are smaller):
the order in which numbers are added differs between runtimes."""
_PROBABILITY = 0.05
"""How far a probability of ``predict.py`` may be from raygp's: pixels differ by 1 of 255 between decoders."""


@dataclass(frozen=True)
class Check:
    """What came of a comparison that held."""

    rows: int
    largest: float
    """Difference between two outputs."""

    def plain(self) -> dict[str, Any]:
        """For ``raygp.json``."""
        sizes = list(BATCH_SIZES)
        return {"rows": self.rows, "batch_sizes": sizes, "largest_difference": self.largest, "tolerance": TOLERANCE}


def check_file(subject: Subject, run: Run, decoded: Sequence[np.ndarray], exact: bool = True) -> Check:
    """Compare a file with its version at each of :data:`BATCH_SIZES`.

    Args:
        subject: the version.
        run: the file.
        decoded: held-out samples.
        exact: outputs must agree; False, for int8: they must only be finite and of the right shape.

    Raises:
        RaygpError: they do not agree.
    """
    place, largest = itertools.cycle(decoded), 0.0
    for size in BATCH_SIZES:
        inputs = subject.batch(list(itertools.islice(place, size)))
        expected = subject.run(inputs)
        try:
            found = run(inputs)
        except Exception as error:  # Runtimes raise what they like.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RaygpError(f"{_where(subject, size)} cannot be run: {reason}. Nothing was written") from error
        largest = max(largest, _compare(subject, size, expected, found, exact))
    return Check(min(len(decoded), ROWS), largest)


def _compare(subject: Subject, size: int, expected: Arrays, found: Arrays, exact: bool) -> float:
    """The largest difference between two outputs. Raises RaygpError where they do not agree."""
    for ours, theirs in zip(expected, found, strict=True):
        if ours.shape != theirs.shape or not np.isfinite(theirs).all():
            problem = f"shape {theirs.shape} instead of {ours.shape}" if ours.shape != theirs.shape else "not finite"
            raise RaygpError(f"{_where(subject, size)}: its outputs are wrong ({problem}). Nothing was written")
    ours, theirs = expected[0].astype(np.float64), found[0].astype(np.float64)
    if subject.task.sequences:  # Padding says nothing.
        valid = np.arange(ours.shape[1])[None] < expected[1][:, None]
        ours, theirs = ours[valid], theirs[valid]
    difference = np.abs(ours - theirs).max(initial=0.0)
    if not exact:
        return float(difference)
    tolerance = TOLERANCE * max(1.0, np.abs(ours).max(initial=0.0))
    if difference > tolerance:
        raise RaygpError(
            f"{_where(subject, size)}: outputs differ by up to {difference:.2g} from the version's, more than the "
            f"tolerance of {tolerance:.2g}. Nothing was written"
        )
    if ours.ndim > 1 and ours.shape[-1] > 1 and (subject.task.labels_are_classes or subject.task.sequences):
        best, other = ours.argmax(axis=-1), theirs.argmax(axis=-1)
        # Where the version itself cannot tell two apart, either is its answer.
        behind = ours.max(axis=-1) - np.take_along_axis(ours, other[..., None], axis=-1)[..., 0]
        if ((best != other) & (behind > tolerance)).any():
            raise RaygpError(f"{_where(subject, size)}: another class is the most probable one. Nothing was written")
    return float(difference)


def accuracy(subject: Subject, run: Run, rows: Rows, decoded: Sequence[np.ndarray]) -> float:
    """The first metric of the task over some rows.

    Args:
        subject: whose task scores.
        run: the file, or the version itself.
        rows: whose labels are right.
        decoded: their samples.
    """
    ids = {symbol: number for number, symbol in enumerate(subject.card.classes)}
    scores: list[Tensor] = []
    size = BATCH_SIZES[-1]
    for start in range(0, len(decoded), size):
        labels = rows.labels[start : start + size]
        targets = stacked([subject.task.target(label, ids) for label in labels], subject.task.sequences)
        found = tuple(torch.from_numpy(array) for array in run(subject.batch(decoded[start : start + size])))
        outputs = Padded(*found) if subject.task.sequences else found[0]
        scores.append(subject.task.score(outputs, targets))
    points, weights = torch.cat(scores)[:, 0].sum(dim=0).tolist()
    return float(points / weights) if weights else 0.0


def file_answers(subject: Subject, run: Run, samples: Sequence[bytes]) -> list[Answer]:
    """What a file says of encoded samples.

    Args:
        subject: whose task decodes samples and reads outputs.
        run: the file.
        samples: a batch.
    """
    found = tuple(torch.from_numpy(array) for array in run(subject.batch([subject.task.decode(s) for s in samples])))
    return subject.task.answers(Padded(*found) if subject.task.sequences else found[0], subject.card.classes)


def check_program(
    folder: Path, expected: Sequence[Answer], samples: Sequence[bytes], scale: tuple[float, float] = (0.0, 1.0)
) -> str:
    """Run ``predict.py`` of a folder on held-out samples, as a user does: another process, on files.

    Args:
        folder: with all that the program needs.
        expected: answers.
        samples: encoded; the first ones have these answers.
        scale: mean and deviation of the labels, where answers are numbers.

    Returns:
        What is wrong with its answers; empty if nothing is.
    """
    with tempfile.TemporaryDirectory(prefix=".samples.", dir=folder) as beside:
        names = [str(number) for number in range(len(expected))]
        for name, sample in zip(names, samples, strict=False):
            (Path(beside) / name).write_bytes(sample)
        done = subprocess.run(
            # Another's mistake in the code must not leave its compiled form in the folder.
            [sys.executable, "-B", "-W", "ignore", str(folder.absolute() / "predict.py"), *names],
            cwd=beside, env=_environment(), capture_output=True, text=True, encoding="utf-8", errors="replace",
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    said = dict(line.split("\t", 1) for line in done.stdout.split("\n") if "\t" in line)
    for name, wanted in zip(names, expected, strict=True):
        if name not in said:
            return _reason(done.stderr, name)
        if problem := _differs(said[name].split("\t"), wanted, scale):
            return problem
    return "" if done.returncode == 0 else f"it ends with status {done.returncode} although it answered"


def _environment() -> dict[str, str]:
    """That of this process; what it can import, the program can."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path), "PYTHONUTF8": "1"}


def _reason(errors: str, name: str) -> str:
    """Why a program gave no answer to a file, in one line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()] or ["no answer and no reason"]
    own = [line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: ")]
    return (own or lines[-1:])[0]


def _differs(said: Sequence[str], wanted: Answer, scale: tuple[float, float]) -> str:
    """What is wrong with the parts of a printed line."""
    if said[0] == wanted.label:
        return ""
    if wanted.value is not None:
        mean, deviation = scale
        # Labels have six digits.
        far = TOLERANCE * max(deviation, abs(wanted.value - mean)) + 1e-5 * abs(wanted.value)
        with contextlib.suppress(ValueError):
            if abs(float(said[0]) - wanted.value) <= far:
                return ""
    if not wanted.probabilities:
        return f"'{said[0][:50]}' instead of '{wanted.label[:50]}'"
    known, shown = dict(wanted.probabilities), dict(part.rsplit(" ", 1) for part in said)
    far = max(abs(float(share.rstrip("%")) / 100 - known.get(name, 2.0)) for name, share in shown.items())
    if far > _PROBABILITY:
        return f"a probability differs by {far:.2f}"
    # Two that are as good as equal may change places.
    first = next(iter(shown))
    close = known[wanted.label] - known[first] <= 2 * far
    return "" if first == wanted.label or close else f"'{first}' instead of '{wanted.label}'"


def _where(subject: Subject, size: int) -> str:
    return f"the exported file of {subject.card.version}, on {size} held-out row{'' if size == 1 else 's'} at once"
