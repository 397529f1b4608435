"""Image classification: the :class:`raygp.tasks.protocol.Task` that all image models share. A model brings a function
that builds it, and the name of its output layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from raygp.tasks.augment import DRAWS, flip, resized_crop, shift
from raygp.tasks.classes import ClassTask
from raygp.tasks.decoding import check, decode
from raygp.tasks.preprocessing import image_preprocessing
from raygp.tasks.spec import ImageSpec

Build = Callable[[int, int], nn.Module]
"""Makes a model from the number of input channels and the number of classes."""


@dataclass(frozen=True)
class ImageTask(ClassTask):
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
    medium: ClassVar[str] = "image"
    """What its samples are: by this, files in a folder are told from what lies beside them."""

    @property
    def name(self) -> str:
        """The task's name, from its spec."""
        return self.spec.name

    @property
    def pictures(self) -> ImageSpec:
        """What becomes of an image: size, colours, augmentation, normalisation. A task of one's own keeps it apart from
        its spec."""
        return self.spec

    @property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned, from the spec."""
        return self.pictures.dense

    @property
    def draws(self) -> int:
        """How many uniform numbers the spec's augmentation takes for an image."""
        return DRAWS[self.pictures.augment]

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator; outputs logits, N x ``num_classes``."""
        return self.build(self.pictures.channels, num_classes)

    def decode(self, sample: bytes) -> np.ndarray:
        """Pixels of an encoded image: uint8, C x H x W.

        Raises:
            ValueError: the bytes cannot be decoded; the message is the reason alone.
        """
        spec = self.pictures
        return decode(sample, spec.image_size, spec.channels, spec.background).numpy()

    def check(self, sample: bytes, label: str) -> None:
        """Refuse a sample that cannot be decoded, or that is incomplete or smaller than 2 x 2 pixels.

        Raises:
            ValueError: the message is the reason alone.
        """
        self.refuse(sample)
        self.decode(sample)

    def refuse(self, sample: bytes) -> None:
        """The part of :meth:`check` that needs no label and decodes no pixels to keep. Raises as that."""
        check(sample)

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The model's input: augmented where ``draws`` are given, scaled to [0, 1] and normalised.

        Args:
            inputs: uint8, N x C x H x W.
            draws: uniform numbers in [0, 1), N x ``self.draws``, on the device of ``inputs``; None: no augmentation.

        Returns:
            float32, N x C x H x W. Row i depends on row i of the arguments alone.
        """
        augment = self.pictures.augment
        if draws is None or augment == "none" or not len(inputs):
            return self._normalise(inputs)
        if draws.shape != (len(inputs), self.draws):
            raise ValueError(f"draws have shape {tuple(draws.shape)} instead of {(len(inputs), self.draws)}")
        if augment == "resized-crop":
            return resized_crop(self._normalise(inputs), draws)
        # What shift pads with is black, so it comes before pixels are normalised.
        shifted = shift(inputs, draws[:, :2], self.pictures.shift)
        return self._normalise(flip(shifted, draws[:, 2]) if augment == "shift-flip" else shifted)

    def _normalise(self, inputs: Tensor) -> Tensor:
        """Float32 of mean 0 and deviation 1 by the spec's statistics, from uint8."""
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=inputs.device)[:, None, None]
            for values in (self.pictures.mean, self.pictures.std)
        )
        return (inputs.to(torch.float32) / 255 - mean) / std

    def preprocessing(self) -> dict[str, Any]:
        """How a file becomes the model's input, as plain data (:class:`raygp.tasks.preprocessing.Described`)."""
        return image_preprocessing(self.pictures)
