"""Base classes of tasks of one's own. A class of one of them in a file is a task: ``--task my_task.py``.

The smallest one builds a model::

    from torch import nn
    from raygp.tasks.base import Images

    class Photos(Images):
        image_size = 32

        def build_model(self, num_classes):
            return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100), nn.ReLU(), nn.Linear(100, num_classes))

A function ``loss(outputs, targets)`` in the same file stands in for the loss: it gives a number for each example. A
function ``metric(outputs, targets)`` becomes the first metric, by which phases and the gate judge: it gives each
example from 0 to 1 points, and more is better. Everything else that :class:`raygp.tasks.protocol.Task` has can be
overridden, too.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import FunctionType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from raygp.errors import InputError
from raygp.tasks.classes import ClassTask
from raygp.tasks.deepspeech import SMALL, Architecture
from raygp.tasks.images import ImageTask
from raygp.tasks.layers import dense_by_kind, network_kind, output_layer
from raygp.tasks.making import parse_spec
from raygp.tasks.own import OwnSpec, TaskCode, rebuild
from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Values
from raygp.tasks.spec import ImageSpec, TaskSpec
from raygp.tasks.speech import SpeechSpec, SpeechTask

PerExample = Callable[[Any, Any], Tensor]
"""From outputs and targets to a number for each example, shape (N,)."""
_FUNCTIONS = ("loss", "metric")
_NO_OPTIONS = ("name", "dense")
"""Fields of a task's spec that a task of one's own has elsewhere."""


class OwnTask:
    """What all tasks of one's own share. Subclasses are made from a spec and the code that they stand in; without, they
    are made from what the class says alone, to try them out.

    Implements :class:`raygp.tasks.protocol.Task` together with a class that says what labels are.
    """

    loss: ClassVar[PerExample | None] = None
    """Of each example; None: the loss of this kind of task."""
    metric: ClassVar[PerExample | None] = None
    """Points of each example, 0 to 1, of which more is better; None: the metric of this kind of task alone."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Fields of every plan for this task, such as ``{"lr": 0.05, "batch_size": 64}``."""
    options_kind: ClassVar[type[TaskSpec]] = TaskSpec
    """The class of the options of this kind of task."""
    options_name: ClassVar[str] = "own"
    """The name that ``options_kind`` wants."""

    sequences: bool = False
    labels_are_classes: bool = True
    reserved: tuple[str, ...] = ()

    def __init__(self, spec: OwnSpec | None = None, code: TaskCode | None = None) -> None:
        found = type(self)
        spec = spec or OwnSpec.of("", found.__name__, "")
        mine = vars(self)  # Some of the base classes are frozen.
        mine["spec"], mine["code"] = spec, code
        mine["picked"] = self._pick(spec.options or spec.given)
        mine.update((name, value) for name, value in mine["picked"] if name not in _NO_OPTIONS)

    def _pick(self, given: Mapping[str, Any]) -> TaskSpec:
        """The options: those that are given, else what the class says, else defaults."""
        fields = [name for name in self.options_kind.model_fields if name not in _NO_OPTIONS]
        said = {name: getattr(type(self), name, None) for name in fields}
        wanted = {name: value for name, value in said.items() if value is not None} | dict(given)
        return parse_spec({**wanted, "name": self.options_name}, type(self).__name__, self.options_kind)

    def complete_options(self) -> dict[str, Any]:
        """All options as plain data."""
        return {key: value for key, value in self.picked.model_dump(mode="json").items() if key not in _NO_OPTIONS}

    spec: Any
    """An :class:`raygp.tasks.own.OwnSpec`. (The classes that know what images and sound are have specs of theirs.)"""
    code: TaskCode | None
    """What the task was made from; None: from a class of this process."""
    picked: Any
    """The options, an instance of ``options_kind``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _FUNCTIONS:
            function = cls.__dict__.get(name)
            # A method keeps its ``self``; a plain function has none.
            if isinstance(function, FunctionType) and "self" not in inspect.signature(function).parameters:
                setattr(cls, name, staticmethod(function))

    @classmethod
    def take_functions(cls, names: Mapping[str, Any]) -> None:
        """Take over functions ``loss`` and ``metric`` that stand beside the class, unless it has its own."""
        for name in _FUNCTIONS:
            function = names.get(name)
            if getattr(cls, name) is None and callable(function) and not isinstance(function, type):
                setattr(cls, name, staticmethod(function))

    def __reduce__(self) -> Any:
        # By what it was made from: the class's module exists in this process only.
        return rebuild, (self.spec.model_dump(), self.code)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnTask) and (self.spec, self.code) == (other.spec, other.code)

    __hash__ = None  # type: ignore[assignment]  # Specs hold dictionaries.

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.file})"

    @property
    def name(self) -> str:
        """Of all tasks of one's own: ``own``."""
        return str(self.spec.name)

    @cached_property
    def classifier(self) -> str:
        """The output layer: the one that grows with the number of classes."""
        return self.spec.classifier or output_layer(self.build_model, type(self).__name__)

    @cached_property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned: weights of the first convolution and of depthwise ones."""
        return self.spec.dense if self.spec.network else dense_by_kind(self.build_model)

    @cached_property
    def network(self) -> str:
        """Kind of network, which plans depend on."""
        return self.spec.network or network_kind(self.build_model)

    @cached_property
    def density_bounds(self) -> Mapping[str, tuple[float, float]]:
        """The output layer keeps at least 30 % of its connections."""
        return {f"{self.classifier}.weight": (0.3, 1.0)}

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metric of one's own, if there is one; then that of this kind of task."""
        of_kind: tuple[str, ...] = self.metrics_of_kind
        if self.metric is None:
            return of_kind
        return (getattr(self.metric, "__name__", "metric").replace("_", " "), *of_kind)

    metrics_of_kind: ClassVar[tuple[str, ...]] = ("accuracy",)

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator: maps what :meth:`prepare` gives to
        N x ``num_classes``."""
        raise InputError(f"{type(self).__name__} has no build_model(self, num_classes), which gives the model")

    def losses(self, outputs: Values, targets: Values) -> Tensor:
        """The loss of each example, shape (N,): one's own, or that of this kind of task.

        Raises:
            InputError: a loss of one's own gives something else.
        """
        if self.loss is None:
            of_kind: Tensor = super().losses(outputs, targets)  # type: ignore[misc]  # The other base class has it.
            return of_kind
        return self._each("loss", outputs, targets)

    def score(self, outputs: Values, targets: Values) -> Tensor:
        """Points and weights of each example by metric, N x M x 2. Raises as :meth:`losses`."""
        of_kind: Tensor = super().score(outputs, targets)  # type: ignore[misc]  # The other base class has it.
        if self.metric is None:
            return of_kind
        points = self._each("metric", outputs, targets).detach().to(of_kind)
        return torch.cat([torch.stack([points, torch.ones_like(points)], dim=1)[:, None], of_kind], dim=1)

    def _each(self, what: str, outputs: Values, targets: Values) -> Tensor:
        function = getattr(self, what)
        found = function(outputs, targets)
        rows = len(targets.values) if isinstance(targets, Padded) else len(targets)
        if not isinstance(found, Tensor) or found.shape != (rows,):
            gives = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            code = getattr(function, "__code__", None)
            place = f"{self.spec.file}, line {code.co_firstlineno}: " if code else ""
            raise InputError(
                f"{place}{what} must give a tensor with one number for each example, shape ({rows},), and gives {gives}"
            )
        return found


class Classifier(OwnTask, ClassTask):
    """Classification of samples of any kind. Without :meth:`decode`, a sample is an array as ``numpy.save`` writes
    it."""

    draws: int = 0
    """How many uniform numbers :meth:`prepare` uses for each training example."""

    def decode(self, sample: bytes) -> np.ndarray:
        """One encoded sample as an array, all of the same shape and type.

        Raises:
            ValueError: the bytes cannot be decoded.
        """
        array: np.ndarray = np.load(io.BytesIO(sample), allow_pickle=False)
        return array

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a sample that :meth:`decode` refuses; None: nothing is to be told of it."""
        self.decode(sample)
        return None

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """Float32 of a stack of decoded samples, N x ...; nothing is augmented."""
        return inputs.to(torch.float32)


class Images(OwnTask, ImageTask):
    """Image classification. Images are decoded, scaled and normalised as for raygp's own networks, and augmented as
    :attr:`augment` says. Options of ``raygp ingest`` (``--image-size``, ``--augment``, ``--background``) win over what
    the class says."""

    options_kind = ImageSpec

    image_size: int = 64
    """Height and width of the model's input in pixels."""
    channels: int = 3
    """1: grey. 3: RGB."""
    augment: str = "none"
    """``none``, ``shift``, ``shift-flip`` or ``resized-crop``."""
    shift: int | None = None
    """Padding of the random crop in pixels; None: a sixteenth of the image, at least 1."""
    mean: Sequence[float] | None = None
    """By channel, subtracted from pixels in [0, 1]; None: ImageNet's for RGB, MNIST's for grey."""
    std: Sequence[float] | None = None
    """By channel, divided by after that; None: as for ``mean``."""
    background: str = "#ffffff"
    """What transparent pixels show."""

    def made_up(self, count: int) -> list[tuple[bytes, str]]:
        """Encoded pictures of noise in two classes, one dark and one bright, to try the task out on."""
        from PIL import Image

        generator, made = np.random.default_rng(0), []
        for number in range(count):
            bright = number % 2
            pixels = generator.integers(0, 128, (32, 32, 3), dtype=np.uint8) + np.uint8(128 * bright)
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            made.append((content.getvalue(), "bright" if bright else "dark"))
        return made

    @property
    def pictures(self) -> ImageSpec:
        """What becomes of an image."""
        assert isinstance(self.picked, ImageSpec)
        return self.picked


class Speech(OwnTask, SpeechTask):
    """Speech recognition: recordings to transcripts, by CTC. Without :meth:`build_model`, the model is a DeepSpeech2 of
    the sizes in :attr:`architecture`.

    A model of one's own maps padded features (:class:`raygp.tasks.Padded`, N x T x mels) to padded logits, of which the
    first is CTC's blank; it has an :meth:`output_frames` that fits it.
    """

    options_kind = SpeechSpec
    options_name = "deepspeech2-small"
    metrics_of_kind = ("word accuracy", "character accuracy")
    sequences = True
    labels_are_classes = False
    reserved = (" ",)

    mels: int = 40
    """Mel bands of the features."""
    augment: str = "specaugment"
    """``none`` or ``specaugment``."""
    architecture: Architecture = SMALL
    """Sizes of the model."""

    @property
    def sound(self) -> SpeechSpec:
        """Which features of a recording are taken."""
        assert isinstance(self.picked, SpeechSpec)
        return self.picked

    def build_model(self, num_classes: int) -> nn.Module:
        """A DeepSpeech2: padded features to padded logits, N x T' x (``num_classes`` + 1)."""
        return SpeechTask.build_model(self, num_classes)
