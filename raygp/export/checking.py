"""Whether an exported file says what the version says, on rows that the line holds out."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raygp.data.ragged import Ragged
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
_CODE = "model"
"""Name of the module that ``predict.py`` may import from its folder."""
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
        targets = [subject.task.target(label, ids) for label in labels]
        found = tuple(torch.from_numpy(array) for array in run(subject.batch(decoded[start : start + size])))
        if subject.task.sequences:
            scores.append(subject.task.score(Padded(*found), Ragged.of(targets)[torch.arange(len(targets))]))
        else:
            scores.append(subject.task.score(found[0], torch.from_numpy(np.stack(targets))))
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


def check_program(folder: Path, expected: Sequence[Answer], rows: Rows) -> str:
    """Run ``predict.py`` of a folder on held-out samples, as files.

    Returns:
        What is wrong with its answers; empty if nothing is.
    """
    file = folder / ".sample"
    try:
        answer = _loaded(folder / "predict.py").answer
        for sample, wanted in zip(rows.samples, expected, strict=False):
            file.write_bytes(sample)
            if problem := _differs(answer(file), wanted):
                return problem
    except Exception as error:  # Whatever a program that does not fit may raise.
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    finally:
        file.unlink(missing_ok=True)
    return ""


def _differs(found: Any, wanted: Answer) -> str:
    if not wanted.probabilities:
        said = f"{found}"
        return "" if said == wanted.label else f"'{said[:50]}' instead of '{wanted.label[:50]}'"
    probabilities: Mapping[str, float] = dict(found)
    far = max(abs(probabilities[name] - value) for name, value in wanted.probabilities)
    if far > _PROBABILITY:
        return f"a probability differs by {far:.2f}"
    # Two that are as good as equal may change places.
    close = wanted.probabilities[0][1] - dict(wanted.probabilities)[found[0][0]] <= 2 * far
    return "" if found[0][0] == wanted.label or close else f"'{found[0][0]}' instead of '{wanted.label}'"


def _loaded(program: Path) -> Any:
    """The program as a module, which does nothing by itself; forgotten afterwards."""
    spec = importlib.util.spec_from_file_location("raygp_export_predict", program)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    beside = sys.modules.pop(_CODE, None)
    sys.path.insert(0, str(program.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(program.parent))
        sys.dont_write_bytecode = before
        sys.modules.pop(_CODE, None)
        if beside is not None:
            sys.modules[_CODE] = beside
    return module


def _where(subject: Subject, size: int) -> str:
    return f"the exported file of {subject.card.version}, on {size} held-out row{'' if size == 1 else 's'} at once"
