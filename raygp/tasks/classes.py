"""What every classifier shares: one label of a few a sample, logits a class, cross entropy, accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from raygp.tasks.answer import Answer, class_answers
from raygp.tasks.divergence import divergence


class ClassTask:
    """The part of :class:`raygp.tasks.protocol.Task` that speaks of labels and logits; see there for what each member
    means."""

    def symbols(self, label: str) -> set[str]:
        """The label itself, a class."""
        return {label}

    def target(self, label: str, ids: Mapping[str, int]) -> np.ndarray:
        """The class's id, int64, without dimensions. Raises KeyError for a label that is not in the vocabulary."""
        return np.array(ids[label], dtype=np.int64)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy of each example, shape (N,), from logits N x classes and class ids (N,)."""
        return F.cross_entropy(outputs, targets, reduction="none")

    def divergences(self, outputs: Tensor, taught: Tensor, targets: Tensor, temperature: float) -> Tensor:
        """Kullback-Leibler divergence of each example's softened probabilities from the teacher's, over the classes
        that the teacher knows, shape (N,)."""
        return divergence(outputs, taught, temperature)

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Points and weights of each example, N x 1 x 2: 1 point if the largest logit is the target's, else 0; the
        weight is 1."""
        points = (outputs.argmax(dim=1) == targets).to(torch.float64)
        return torch.stack([points, torch.ones_like(points)], dim=1)[:, None]

    def answers(self, outputs: Tensor, vocabulary: Sequence[str]) -> list[Answer]:
        """Each sample's classes with their probabilities, from logits N x classes."""
        return class_answers(outputs, vocabulary)
