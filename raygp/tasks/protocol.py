"""What a user brings: the :class:`Task` protocol. Everything else in raygp is independent of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import Tensor, nn

from raygp.tasks.answer import Answer
from raygp.tasks.spec import TaskSpec

Values: TypeAlias = Any
"""A Tensor; or, for a task of sequences, a :class:`raygp.tasks.padded.Padded`. Which of them depends on the task, and
type checkers cannot follow that: a task is looked up by its name."""


@runtime_checkable
class Task(Protocol):
    """Model factory, decoding, augmentation, loss and metric of one kind of problem.

    A task is immutable and cheap to pickle: it travels to every worker. Augmentation gets its randomness as an argument
    (one row of uniform numbers an example), so that an epoch does not depend on how many workers share it.
    """

    @property
    def spec(self) -> TaskSpec:
        """What the task was made from."""
        ...

    @property
    def name(self) -> str:
        """The task's name in :data:`raygp.tasks.TASKS`."""
        ...

    @property
    def classifier(self) -> str:
        """Name of the output layer, which gains a row for each new class."""
        ...

    @property
    def draws(self) -> int:
        """How many uniform numbers in [0, 1) :meth:`prepare` uses for each training example."""
        ...

    @property
    def dense(self) -> tuple[str, ...]:
        """Names of parameters that stay dense although their layer's kind is prunable."""
        ...

    @property
    def density_bounds(self) -> Mapping[str, tuple[float, float]]:
        """By parameter name, the lowest and highest density that pruning and growth may give it."""
        ...

    @property
    def sequences(self) -> bool:
        """Whether decoded samples, outputs and targets are sequences of different lengths. If so, a
        :class:`raygp.tasks.padded.Padded` stands wherever a tensor of inputs, outputs or targets is named below."""
        ...

    @property
    def labels_are_classes(self) -> bool:
        """Whether a label is one of a few classes that many samples share. If so, held-out samples are drawn class by
        class, and the share of the most frequent class is the accuracy of guessing. False for texts and numbers, which
        hardly ever repeat. Where neither this nor :attr:`sequences` holds, labels are numbers (a regression): see
        :func:`labels_are_numbers`."""
        ...

    @property
    def reserved(self) -> tuple[str, ...]:
        """Symbols whose ids are 0, 1, ... in every vocabulary."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what :meth:`score` measures, all fractions of which higher is better. The first is the accuracy by
        which phases and the gate judge."""
        ...

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator. Where labels are numbers, ``num_classes``
        is 0 and the model has one output."""
        ...

    def decode(self, sample: bytes) -> np.ndarray:
        """One encoded sample as the array that :meth:`prepare` takes a stack of (images: uint8, C x H x W; sequences:
        the first axis may have any length).

        Raises:
            ValueError: the bytes cannot be decoded; the message is the reason alone, without the file's name.
        """
        ...

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a sample that is not fit for training under its label, before it is published. Raises as
        :meth:`decode` does.

        Returns:
            What a person should know of a sample that is published all the same; None if there is nothing.
        """
        ...

    def symbols(self, label: str) -> set[str]:
        """What the line's vocabulary must hold for this label: the label itself for a class, characters for a text,
        nothing for a number."""
        ...

    def target(self, label: str, ids: Mapping[str, int]) -> np.ndarray:
        """The label as training sees it, int64: a class id without dimensions, or (sequences) an array of ids. A number
        is float32 without dimensions.

        Raises:
            KeyError: a symbol that is not in the vocabulary.
        """
        ...

    def prepare(self, inputs: Values, draws: Tensor | None) -> Values:
        """The model's input from a stack of decoded samples.

        Args:
            inputs: N decoded samples (images: uint8, N x C x H x W).
            draws: uniform numbers, N x ``self.draws``, when training; None gives the plain, unaugmented input.
        """
        ...

    def losses(self, outputs: Values, targets: Values) -> Tensor:
        """The loss of each example, shape (N,)."""
        ...

    def divergences(self, outputs: Values, taught: Values, targets: Values, temperature: float) -> Tensor:
        """How far the answer to each example is from that of a teacher, on the scale of :meth:`losses`, shape (N,).

        Args:
            outputs: of the model that learns.
            taught: of the teacher, which may know fewer classes: the first ones.
            targets: what the examples are.
            temperature: divides both sides' logits.
        """
        ...

    def score(self, outputs: Values, targets: Values) -> Tensor:
        """Points and weights of each example by metric, N x M x 2. Over a split, a metric is the sum of its points over
        the sum of its weights."""
        ...

    def answers(self, outputs: Values, vocabulary: Sequence[str]) -> list[Answer]:
        """What the outputs say of each of N samples.

        Args:
            outputs: of the model.
            vocabulary: classes or symbols, by id.
        """
        ...
