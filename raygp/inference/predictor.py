"""Answers of one version to encoded samples."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from raygp.data.ragged import stacked
from raygp.data.sources import FileSlice
from raygp.inference.loading import load_model
from raygp.store import Card, Location
from raygp.tasks.answer import Answer
from raygp.tasks.protocol import Task, Values

Sample: TypeAlias = "bytes | str | os.PathLike[str] | Callable[[], bytes]"
"""An encoded sample, a file that holds one, or what gives one when it is called."""
_BATCH, _FIRST = 64, 8
_THREADS = min(8, os.cpu_count() or 1)


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
        # What an ingest would refuse is not answered either, where the task says so without a label.
        self._refuse: Callable[[bytes], None] | None = getattr(task, "refuse", None)

    @classmethod
    def of(cls, location: Location, card: Card, task: Task, device: str | torch.device = "cpu") -> Predictor:
        """The predictor of a version in storage. Raises as :func:`raygp.inference.load_model`."""
        return cls(task, load_model(location, card, task), card.classes, device)

    def answers(self, samples: Iterable[Sample], batch_size: int = _BATCH) -> Iterator[Answer]:
        """An answer to each encoded sample, in order. No more than two batches are held in memory.

        A sample that cannot be read or decoded gets an answer with :attr:`raygp.tasks.Answer.problem`; the rest goes
        on. Samples are read and decoded by a few threads, a batch ahead of the model. The first batches are smaller, so
        that the first answers come soon.

        Args:
            samples: encoded, or files of one sample each, which are read when it is their turn.
            batch_size: answered at once.
        """
        waiting, size = iter(samples), min(_FIRST, batch_size)
        ahead: list[Future[np.ndarray | Answer]] = []
        with ThreadPoolExecutor(_THREADS) as pool:
            while batch := list(itertools.islice(waiting, size)):
                behind, ahead = ahead, [pool.submit(self._decoded, sample) for sample in batch]
                yield from self._batch([found.result() for found in behind])
                size = min(2 * size, batch_size)
            yield from self._batch([found.result() for found in ahead])

    def at_once(self, samples: Sequence[Sample | np.ndarray]) -> list[Answer]:
        """An answer to each of a few samples, encoded or decoded, in one batch and by this thread alone: for servers,
        to whom the threads of :meth:`answers` would be a delay."""
        return self._batch([one if isinstance(one, np.ndarray) else self._decoded(one) for one in samples])

    def outputs(self, decoded: Sequence[np.ndarray]) -> Values:
        """What the model makes of decoded samples (:meth:`raygp.tasks.Task.decode`), prepared without augmentation."""
        inputs = stacked(decoded, self.task.sequences)
        with torch.inference_mode():
            return self.model(self.task.prepare(inputs.to(self.device), None))

    def _decoded(self, sample: Sample) -> np.ndarray | Answer:
        """A sample's array, or why there is none."""
        try:
            content = encoded(sample)
            if self._refuse is not None:
                self._refuse(content)
            return self.task.decode(content)
        except Exception as error:  # Decoders of other libraries raise what they like.
            return Answer("", problem=str(error) or type(error).__name__)

    def _batch(self, samples: Sequence[np.ndarray | Answer]) -> list[Answer]:
        decoded = [sample for sample in samples if not isinstance(sample, Answer)]
        found = iter(self.task.answers(self.outputs(decoded), self.classes) if decoded else ())
        return [sample if isinstance(sample, Answer) else next(found) for sample in samples]


def encoded(sample: Sample) -> bytes:
    """The bytes of a sample.

    Raises:
        InputError: a file cannot be read.
    """
    if isinstance(sample, bytes):
        return sample
    return sample() if callable(sample) else FileSlice(os.path.abspath(sample))()
