"""Image classification: the :class:`raygp.tasks.protocol.Task` that all image models share. A model brings a function
that builds it, and the name of its output layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygp.tasks.answer import Answer, class_answers
from raygp.tasks.augment import DRAWS, flip, resized_crop, shift
from raygp.tasks.decoding import check, decode
from raygp.tasks.divergence import divergence
from raygp.tasks.spec import ImageSpec

Build = Callable[[int, int], nn.Module]
"""Makes a model from the number of input channels and the number of classes."""


@dataclass(frozen=True)
class ImageTask:
    """Implements :class:`raygp.tasks.protocol.Task`; see there for what each member means."""

    spec: ImageSpec
    """What the task was made from."""
    build: Build
    """The model's factory. It is a function of a module, so that the task can be pickled: only its name travels."""
    classifier: str
    density_bounds: Mapping[str, tuple[float, float]]
    sequences: bool = False
    labels_are_classes: bool = True
    reserved: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    other_outputs: tuple[str, ...] = ()
    """Output layers beside the classifier, of a model whose output is the mean of several."""

    @property
    def name(self) -> str:
        """The task's name, from its spec."""
        return self.spec.name

    @property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned, from the spec."""
        return self.spec.dense

    @property
    def draws(self) -> int:
        """How many uniform numbers the spec's augmentation takes for an image."""
        return DRAWS[self.spec.augment]

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator; outputs logits, N x ``num_classes``."""
        return self.build(self.spec.channels, num_classes)

    def symbols(self, label: str) -> set[str]:
        """The label itself, a class."""
        return {label}

    def target(self, label: str, ids: Mapping[str, int]) -> np.ndarray:
        """The class's id, int64, without dimensions. Raises KeyError for a label that is not in the vocabulary."""
        return np.array(ids[label], dtype=np.int64)

    def decode(self, sample: bytes) -> np.ndarray:
        """Pixels of an encoded image: uint8, C x H x W.

        Raises:
            ValueError: the bytes cannot be decoded; the message is the reason alone.
        """
        spec = self.spec
        return decode(sample, spec.image_size, spec.channels, spec.background).numpy()

    def check(self, sample: bytes, label: str) -> None:
        """Refuse a sample that cannot be decoded, or that is incomplete or smaller than 2 x 2 pixels.

        Raises:
            ValueError: the message is the reason alone.
        """
        check(sample)
        self.decode(sample)

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The model's input: augmented where ``draws`` are given, scaled to [0, 1] and normalised.

        Args:
            inputs: uint8, N x C x H x W.
            draws: uniform numbers in [0, 1), N x ``self.draws``, on the device of ``inputs``; None: no augmentation.

        Returns:
            float32, N x C x H x W. Row i depends on row i of the arguments alone.
        """
        augment = self.spec.augment
        if draws is None or augment == "none" or not len(inputs):
            return self._normalise(inputs)
        if draws.shape != (len(inputs), self.draws):
            raise ValueError(f"draws have shape {tuple(draws.shape)} instead of {(len(inputs), self.draws)}")
        if augment == "resized-crop":
            return resized_crop(self._normalise(inputs), draws)
        # What shift pads with is black, so it comes before pixels are normalised.
        shifted = shift(inputs, draws[:, :2], self.spec.shift)
        return self._normalise(flip(shifted, draws[:, 2]) if augment == "shift-flip" else shifted)

    def _normalise(self, inputs: Tensor) -> Tensor:
        """Float32 of mean 0 and deviation 1 by the spec's statistics, from uint8."""
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=inputs.device)[:, None, None]
            for values in (self.spec.mean, self.spec.std)
        )
        return (inputs.to(torch.float32) / 255 - mean) / std

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
        """Each image's classes with their probabilities, from logits N x classes."""
        return class_answers(outputs, vocabulary)
