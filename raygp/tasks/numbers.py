"""What every regression shares: a label that is a number, one output a sample, squared error, R2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from raygp.tasks.answer import Answer
from raygp.tasks.tabular_cells import label_number

_FAR = 5.0
"""Deviations that an error counts at most."""
_FARTHEST = 50.0
"""Deviations from the mean that a label is learnt with at most: one that is a mistake must not throw a network off."""


class NumberTask:
    """The part of :class:`raygp.tasks.protocol.Task` that speaks of labels and outputs, where labels are numbers; see
    there for what each member means.

    Training sees labels less a mean over a deviation (:attr:`scale`), and so does the model answer. The metric is R2
    against that deviation: 1 is perfect, 0 no better than always saying the mean. An error of more than five deviations
    counts as one of five, so that a single row cannot decide. (A tighter bound would make poor models look better.)
    """

    labels_are_classes: bool = False
    sequences: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of the first arrival's training labels. Subclasses say them."""
        raise NotImplementedError

    def symbols(self, label: str) -> set[str]:
        """Nothing: numbers have no vocabulary."""
        return set()

    def target(self, label: str, ids: Mapping[str, int]) -> np.ndarray:
        """The label, standardised, no further than fifty deviations from the mean: float32, without dimensions.

        Raises:
            ValueError: it is no number; the message is the reason alone.
        """
        mean, deviation = self.scale
        standardised = (label_number(label) - mean) / deviation
        return np.array(min(_FARTHEST, max(-_FARTHEST, standardised)), dtype=np.float32)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Squared error of each example, shape (N,), in units of the labels' variance."""
        return (_numbers(outputs) - targets).square()

    def divergences(self, outputs: Tensor, taught: Tensor, targets: Tensor, temperature: float) -> Tensor:
        """Squared distance of each answer from the teacher's, shape (N,). Like the divergence of classes, it is smaller
        by the square of the temperature, which whoever asks makes up for."""
        return ((_numbers(outputs) - _numbers(taught)) / temperature).square()

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Points and weights of each example, N x 1 x 2: 1 less the squared error, at least -24; the weight is
        1."""
        errors = (_numbers(outputs).to(torch.float64) - targets.to(torch.float64)).square()
        points = 1.0 - errors.clamp(max=_FAR**2)
        return torch.stack([points, torch.ones_like(points)], dim=1)[:, None]

    def answers(self, outputs: Tensor, vocabulary: Sequence[str]) -> list[Answer]:
        """Each sample's number, in the unit of the labels."""
        mean, deviation = self.scale
        values = (_numbers(outputs).double() * deviation + mean).tolist()
        return [Answer(f"{value:.10g}", value=value) for value in values]


def _numbers(outputs: Tensor) -> Tensor:
    """The one output of each example, N x 1 or (N,), as (N,): a shape of N x 1 would be spread over all targets."""
    return outputs.reshape(len(outputs))
