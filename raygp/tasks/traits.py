"""What follows from the kind of a task, or from attributes that only some tasks have. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raygp.tasks.protocol import Task


def labels_are_numbers(task: Task) -> bool:
    """Whether a task is a regression: a label is a number, and a target float32."""
    return not task.labels_are_classes and not task.sequences


def metric_name(task: Task) -> str:
    """What numbers that are no share of right answers are called, such as ``R2``; empty where the first metric is such
    a share, which people read in per cent."""
    return task.metrics[0] if labels_are_numbers(task) else ""


def samples_repeat(task: Task) -> bool:
    """Whether the same bytes may come again as another observation, as rows of a table do: then they are no duplicates
    of one thing, and may have other labels. A task says so with an attribute ``samples_repeat``."""
    return bool(getattr(task, "samples_repeat", False))
