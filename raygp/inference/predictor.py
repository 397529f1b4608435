"""Answers of one version to encoded samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from raygp.data.ragged import Ragged
from raygp.inference.loading import load_model
from raygp.store import Card, Location
from raygp.tasks.answer import Answer
from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Task, Values

_BATCH = 64


class Predictor:
    """A model that answers encoded samples as training saw them: decoded and prepared by the same task.

    Args:
        task: decodes samples, prepares batches and reads outputs.
        model: maps prepared batches to outputs.
        classes: the vocabulary, by id.
        device: where the model runs.
    """

    def __init__(
        self, task: Task, model: nn.Module, classes: Sequence[str], device: str | torch.device = "cpu"
    ) -> None:
        self.task, self.classes, self.device = task, list(classes), torch.device(device)
        self.model = model.to(self.device).eval()

    @classmethod
    def of(cls, location: Location, card: Card, task: Task, device: str | torch.device = "cpu") -> Predictor:
        """The predictor of a version in storage. Raises as :func:`raygp.inference.load_model`."""
        return cls(task, load_model(location, card, task), card.classes, device)

    def answers(self, samples: Iterable[bytes], batch_size: int = _BATCH) -> Iterator[Answer]:
        """An answer to each encoded sample, in order. No more than a batch is held in memory.

        A sample that cannot be decoded gets an answer with :attr:`raygp.tasks.Answer.problem`; the rest goes on.
        """
        waiting = iter(samples)
        while batch := list(itertools.islice(waiting, batch_size)):
            yield from self._batch(batch)

    def outputs(self, decoded: Sequence[np.ndarray]) -> Values:
        """What the model makes of decoded samples (:meth:`raygp.tasks.Task.decode`), prepared without augmentation."""
        inputs = self._stack(decoded)
        with torch.inference_mode():
            return self.model(self.task.prepare(inputs.to(self.device), None))

    def _batch(self, samples: Sequence[bytes]) -> list[Answer]:
        answers: list[Answer | None] = []
        decoded: list[np.ndarray] = []
        for sample in samples:
            try:
                decoded.append(self.task.decode(sample))
                answers.append(None)
            except Exception as error:  # Decoders of other libraries raise what they like.
                answers.append(Answer("", problem=str(error) or type(error).__name__))
        found = iter(self.task.answers(self.outputs(decoded), self.classes) if decoded else ())
        return [next(found) if answer is None else answer for answer in answers]

    def _stack(self, decoded: Sequence[np.ndarray]) -> Tensor | Padded:
        """Decoded samples as one batch."""
        if self.task.sequences:
            return Ragged.of(decoded)[torch.arange(len(decoded))]
        return torch.from_numpy(np.stack(decoded))
