"""A version that is loaded and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from raygp.inference import Predictor
from raygp.store import Card, Location
from raygp.tasks import Answer, make_task

if TYPE_CHECKING:
    from raygp.tasks import Task

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
        """An answer to each sample, all in one pass through the model (two where both kinds are among them)."""
        encoded = [sample for sample in samples if isinstance(sample, bytes)]
        decoded = [sample for sample in samples if not isinstance(sample, bytes)]
        of_encoded = self.predictor.answers(encoded, batch_size=max(1, len(encoded)))
        of_decoded = iter(self._of_decoded(decoded) if decoded else ())
        return [next(of_encoded if isinstance(sample, bytes) else of_decoded) for sample in samples]

    def _of_decoded(self, decoded: Sequence[np.ndarray]) -> list[Answer]:
        return self.task.answers(self.predictor.outputs(decoded), self.predictor.classes)


Load = Callable[[Card], Served]
"""Loads a version: slow, and may raise."""


def load_served(location: Location, card: Card) -> Served:
    """A version from storage.

    Raises:
        InputError: its files are missing or damaged, or do not fit the task.
    """
    return Served(card, Predictor.of(location, card, make_task(card.task)))
