"""What a user brings: the :class:`Task` protocol. Everything else in raygp is independent of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn


@runtime_checkable
class Task(Protocol):
    """Model factory, decoding, augmentation, loss and metric of one kind of problem.

    A task is immutable and cheap to pickle: it travels to every worker. Augmentation gets its randomness as an argument
    (one row of uniform numbers an example), so that an epoch does not depend on how many workers share it.
    """

    name: str
    """Key in :func:`raygp.tasks.make_task`."""

    classifier: str
    """Name of the output layer, which gains a row for each new class."""

    draws: int
    """Uniform numbers in [0, 1) that :meth:`prepare` uses for each training example."""

    dense: tuple[str, ...]
    """Names of parameters that stay dense although their layer's kind is prunable."""

    density_bounds: dict[str, tuple[float, float]]
    """By parameter name, the lowest and highest density that pruning and growth may give it."""

    ragged: bool
    """Whether decoded samples and targets are sequences of different lengths; then
    :class:`raygp.tasks.padded.Padded` stands wherever a tensor of inputs, outputs or targets is named below."""

    reserved: tuple[str, ...]
    """Symbols whose ids are 0, 1, ... in every vocabulary."""

    metrics: tuple[str, ...]
    """Names of what :meth:`score` measures, all fractions of which higher is better. The first is the accuracy that
    phases and the gate go by."""

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator."""
        ...

    def decode(self, sample: bytes) -> np.ndarray:
        """One encoded sample as the array that :meth:`prepare` takes a stack of (images: uint8, C x H x W; ragged
        tasks: first axis of any length).

        Raises:
            ValueError: the bytes cannot be decoded; the message is the reason alone, without the file's name.
        """
        ...

    def check(self, sample: bytes) -> None:
        """Refuse a sample that is not fit for training, before it is published. Raises as :meth:`decode` does."""
        ...

    def symbols(self, label: str) -> set[str]:
        """What the line's vocabulary must hold for this label: the label itself for a class, characters for a text."""
        ...

    def target(self, label: str, ids: Mapping[str, int]) -> np.ndarray:
        """The label as training sees it, int64: a class id without dimensions, or (ragged tasks) a sequence of ids.

        Raises:
            KeyError: a symbol that is not in the vocabulary.
        """
        ...

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The model's input from a stack of decoded samples.

        Args:
            inputs: N decoded samples (images: uint8, N x C x H x W).
            draws: uniform numbers, N x ``self.draws``, when training; None gives the plain, unaugmented input.
        """
        ...

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each example, shape (N,)."""
        ...

    def divergences(self, outputs: Tensor, taught: Tensor, targets: Tensor, temperature: float) -> Tensor:
        """How far the answer to each example is from that of a teacher, on the scale of :meth:`losses`, shape (N,).

        Args:
            outputs: of the model that learns.
            taught: of the teacher, which may know fewer classes: the first ones.
            targets: what the examples are.
            temperature: divides both sides' logits.
        """
        ...

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Points and weights of each example by metric, N x M x 2. Over a split, a metric is the sum of its points over
        the sum of its weights."""
        ...
