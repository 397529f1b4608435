"""Checks of what a task makes of samples and labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from raygp.check.finding import Fault
from raygp.check.subject import Subject, differ, finite, global_seed, pick, row_of, shape_of
from raygp.data.quality import SampleCheck
from raygp.data.ragged import stacked
from raygp.tasks.padded import Padded


def decoding(subject: Subject) -> str:
    """Samples become arrays of one shape, the same each time."""
    task, good, problems = subject.task, [], []
    check = SampleCheck(task)
    for row in subject.rows:
        problem = check.problem(row.sample, row.label)
        good += [] if problem else [row]
        problems += [f"{row.key}: {problem}"] if problem else []
    if len(good) < 2 or len(problems) > len(good):
        raise Fault(f"{len(problems)} of {len(subject.rows)} samples cannot be used, such as {problems[0]}")
    subject.rows = good
    subject.decoded = [task.decode(row.sample) for row in good]
    first = subject.decoded[0]
    for row, array in zip(good, subject.decoded, strict=True):
        if not isinstance(array, np.ndarray):
            raise Fault(f"decode must give a numpy array, and gives {type(array).__name__} for {row.key}")
        start = 1 if task.sequences else 0
        if array.dtype != first.dtype or array.shape[start:] != first.shape[start:]:
            raise Fault(
                f"decode must give arrays of one shape and type: {good[0].key} gives {first.shape} {first.dtype}, "
                f"{row.key} gives {array.shape} {array.dtype}"
            )
        if not np.array_equal(task.decode(row.sample), array):
            raise Fault(f"decode gives something else for {row.key} when it is called again")
    subject.inputs = stacked(subject.decoded, task.sequences)
    left_out = f"; {len(problems)} cannot be used, such as {problems[0]}" if problems else ""
    such = "such as" if task.sequences else "of"
    return f"{len(good)} samples, {such} {' x '.join(map(str, first.shape))} {first.dtype}{left_out}"


def labels(subject: Subject) -> str:
    """Labels become targets."""
    task, rows = subject.task, subject.rows
    symbols = {symbol for row in rows for symbol in task.symbols(row.label)}
    subject.classes = [*task.reserved, *sorted(symbols - set(task.reserved))]
    ids = {label: number for number, label in enumerate(subject.classes)}
    targets = [np.asarray(task.target(row.label, ids)) for row in rows]
    dimensions, kinds = (1, "int64") if task.sequences else (0, "int64" if task.labels_are_classes else "float32")
    for row, target in zip(rows, targets, strict=True):
        if target.ndim != dimensions or target.dtype.name not in (kinds, "int64"):
            what = "a list of ids" if task.sequences else "one number"
            raise Fault(
                f"target of {row.key} (label '{row.label}') must be {what}, {kinds}, and is of shape {target.shape}, "
                f"{target.dtype}"
            )
        if target.dtype.kind == "f" and not np.isfinite(target).all():
            raise Fault(f"target of {row.key} (label '{row.label}') is not finite")
    if task.labels_are_classes and len(subject.classes) < 2:
        raise Fault(f"all rows have the label '{rows[0].label}': give rows of two classes at least")
    subject.targets = stacked(targets, task.sequences)
    if task.labels_are_classes:
        return f"{len(subject.classes)} classes: {', '.join(subject.classes[:5])}"
    return f"{len(subject.classes)} symbols" if task.sequences else "numbers"


def preparing(subject: Subject) -> str:
    """The model's input depends on its own sample alone."""
    task = subject.task
    before = _copy(subject.inputs)
    plain = task.prepare(_copy(subject.inputs), None)
    changed = _copy(subject.inputs)
    task.prepare(changed, None)
    if not _same(changed, before):
        raise Fault("prepare changes the samples that it is given: it must make new ones, for they are used again")
    _each_by_itself(subject, plain, None, "prepare")
    subject.prepared = plain
    return f"{shape_of(subject.inputs)} to {shape_of(plain)}"


def augmenting(subject: Subject) -> str:
    """Augmentation is a function of the draws and of the sample alone, and leaves samples what they are."""
    task, rows = subject.task, subject.rows
    if not isinstance(task.draws, int) or task.draws < 0:
        raise Fault(f"draws must be a whole number, and is {task.draws!r}")
    draws = subject.draws(1)
    found = task.prepare(_copy(subject.inputs), draws.clone())
    if shape_of(found) != shape_of(subject.prepared):
        raise Fault(f"prepare gives {shape_of(found)} with draws, and {shape_of(subject.prepared)} without")
    _each_by_itself(subject, found, draws, "augmentation (prepare with draws)")
    for first in range(len(rows)):
        _still_itself(subject, first, found)
    if not task.draws:
        return "none"
    mirrors = " (mirrors: right for photographs, wrong for letters, digits and signs)" if _mirrors(subject) else ""
    return f"{task.draws} draws a sample{mirrors}"


def _each_by_itself(subject: Subject, found: object, draws: Tensor | None, what: str) -> None:
    """Row by row and with other global random numbers, the result is the same.

    Raises:
        Fault: it is not, or is not finite.
    """
    task, count = subject.task, len(subject.rows)
    if not isinstance(found, Tensor | Padded):
        raise Fault(f"{what} must give a tensor, and gives {type(found).__name__}")
    rows = len(found.values) if isinstance(found, Padded) else len(found)
    if rows != count:
        raise Fault(f"{what} makes {rows} rows of {count}")
    if not finite(found):
        raise Fault(f"{what} gives values that are NaN or infinite")
    for seed in (11, 12):
        with global_seed(seed):
            again = task.prepare(_copy(subject.inputs), None if draws is None else draws.clone())
        if not _same(again, found):
            raise Fault(
                f"{what} gives something else when it is called again: take random numbers from the draws alone, so "
                "that an epoch does not depend on how many workers share it"
            )
    for row in {0, count // 2, count - 1}:
        alone = task.prepare(pick(subject.inputs, [row]), None if draws is None else draws[row : row + 1].clone())
        if differ(row_of(alone, 0), row_of(found, row)):
            raise Fault(
                f"{what} of {subject.rows[row].key} depends on the other samples of its batch: a sample that is mixed "
                f"with others no longer is what its label '{subject.rows[row].label}' says"
            )


def _still_itself(subject: Subject, row: int, found: object) -> None:
    """Augmentation has left something of a row, and has not made it the same as one with another label.

    Raises:
        Fault: it has not.
    """
    rows, mine, plain = subject.rows, row_of(found, row), row_of(subject.prepared, row)
    if mine.numel() > 1 and bool((mine == mine.flatten()[0]).all()) and not bool((plain == plain.flatten()[0]).all()):
        raise Fault(
            f"augmentation leaves nothing of {rows[row].key} (label '{rows[row].label}'): all values are the same"
        )
    for other in range(len(rows)):
        if rows[other].label == rows[row].label or torch.equal(plain, row_of(subject.prepared, other)):
            continue
        for whose, values in (("", row_of(subject.prepared, other)), (" augmented", row_of(found, other))):
            if mine.shape == values.shape and torch.equal(mine, values):
                raise Fault(
                    f"augmentation makes {rows[row].key} (label '{rows[row].label}') the same as the{whose} "
                    f"{rows[other].key} (label '{rows[other].label}')"
                )


def _mirrors(subject: Subject) -> bool:
    return str(subject.spec.get("options", subject.spec).get("augment")) in ("shift-flip", "resized-crop")


def _copy(values: object) -> object:
    if isinstance(values, Padded):
        return Padded(values.values.clone(), values.lengths.clone())
    assert isinstance(values, Tensor)
    return values.clone()


def _same(first: object, second: object) -> bool:
    if isinstance(first, Padded) and isinstance(second, Padded):
        return torch.equal(first.values, second.values) and torch.equal(first.lengths, second.lengths)
    return isinstance(first, Tensor) and isinstance(second, Tensor) and torch.equal(first, second)
