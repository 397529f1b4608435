"""A version that is loaded and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from raygp.line.version import Version
from raygp.store import Card, Location

if TYPE_CHECKING:
    from raygp.inference import Predictor
    from raygp.tasks import Answer, Task
    from raygp.tasks.own import TaskCode

Sample: TypeAlias = bytes | np.ndarray
"""An encoded sample (the content of an image file, say), or one that :meth:`raygp.tasks.Task.decode` has decoded."""


@dataclass(frozen=True)
class Served:
    """A version in memory. It never changes: another version is another object."""

    card: Card
    predictor: Predictor

    @property
    def version(self) -> str:
        """Such as ``v0003``."""
        return self.card.version

    @property
    def task(self) -> Task:
        """The line's task."""
        return self.predictor.task

    def answers(self, samples: Sequence[Sample]) -> list[Answer]:
        """An answer to each sample, all in one pass through the model."""
        return self.predictor.at_once(samples)


Load = Callable[[Card], Served]
"""Loads a version: slow, and may raise."""


def load_served(location: Location, card: Card, code: TaskCode | None = None) -> Served:
    """A version from storage.

    Args:
        location: root of the line.
        card: of the version.
        code: of a task of one's own.

    Raises:
        InputError: its files are missing or damaged, or do not fit the task.
    """
    return Served(card, Version(location, card, code).predictor)
