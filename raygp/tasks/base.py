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

import io
import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from raygp.tasks.classes import ClassTask
from raygp.tasks.deepspeech import SMALL, Architecture
from raygp.tasks.images import ImageTask
from raygp.tasks.numbers import NumberTask
from raygp.tasks.own import OwnSpec
from raygp.tasks.own_task import OwnTask
from raygp.tasks.padded import Padded
from raygp.tasks.row_features import RowFeatures
from raygp.tasks.spec import ImageSpec, TaskSpec
from raygp.tasks.speech import DEEPSPEECH2_SMALL, SpeechSpec, SpeechTask
from raygp.tasks.tabular import (
    REGRESSION,
    TABULAR,
    ClassSpec,
    NumberSpec,
    RegressionTask,
    TabularSpec,
    TabularTask,
    features_of,
    fit_classes,
    fit_numbers,
    values_of,
)
from raygp.tasks.text import TEXT, TextSpec, TextTask, fit_tokenizer

__all__ = ["Classifier", "Images", "OwnTask", "Regression", "Sequences", "Speech", "Table", "Text"]


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
        return read_array(sample)

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

    def example(self) -> Tensor:
        """A black picture."""
        return torch.zeros(1, self.pictures.channels, self.pictures.image_size, self.pictures.image_size)

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

    options_kind: ClassVar[Any] = SpeechSpec
    options_name = "deepspeech2-small"
    settings_of_kind = DEEPSPEECH2_SMALL.settings
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


class Sequences(Speech):
    """Sequences of any kind to texts, by CTC: strokes to words, say. A sample is an array as ``numpy.save`` writes it,
    steps x features, unless :meth:`decode` says otherwise; a label is a text, and a symbol is one of its characters.

    The model maps padded samples (:class:`raygp.tasks.Padded`, N x T x features) to padded logits, of which the first
    is CTC's blank. :meth:`output_frames` says how many steps of logits it makes of so many of a sample.
    """

    options_kind: ClassVar[Any] = TaskSpec
    options_name = "own"
    draws: int = 0
    """How many uniform numbers :meth:`prepare` uses for each training example."""

    def build_model(self, num_classes: int) -> nn.Module:
        """The model: padded samples to padded logits, N x T' x (``num_classes`` + 1)."""
        return OwnTask.build_model(self, num_classes)

    def output_frames(self, frames: int) -> int:
        """Steps of logits for so many steps of a sample: as many."""
        return frames

    def decode(self, sample: bytes) -> np.ndarray:
        """One encoded sample, steps x features. Raises ValueError where it cannot be read."""
        return read_array(sample)

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a sample that cannot be read. Returns what is told of one with fewer steps than its label needs."""
        steps = self.output_frames(len(self.decode(sample)))
        needed = len(label) + sum(first == second for first, second in itertools.pairwise(label))
        return f"its label needs {needed:,} steps, and it gives {steps:,}" if steps < needed else None

    def prepare(self, inputs: Padded, draws: Tensor | None) -> Padded:
        """Float32 of the padded samples; nothing is augmented."""
        return inputs.float()


class Text(OwnTask, ClassTask):
    """Text classification. A sample is a text in UTF-8; a tokenizer is made from the first arrival, unless one is
    given. Without :meth:`build_model`, the model is a small transformer of the sizes that the class says.

    A model of one's own maps ids of tokens (int64, N x ``length``, 0 where there is none) to N x ``num_classes``; ids
    go up to :attr:`tokens`.
    """

    options_kind = TextSpec
    options_name = "text"
    medium: ClassVar[str] = "text"
    settings_of_kind = TEXT.settings

    length: int = 128
    """Tokens of a text that the model sees."""
    depth: int = 2
    """Blocks of the transformer."""
    width: int = 128
    """Its units."""
    heads: int = 4
    """Of attention."""
    token_drop: float = 0.1
    """Part of the tokens that is hidden at random while the model trains."""
    vocabulary: int = 2000
    """Most tokens of a tokenizer that is made."""
    tokenizer: str = ""
    """JSON of a tokenizer; empty: it is made."""

    @cached_property
    def texts(self) -> TextTask:
        """What raygp's own task of texts does with these options."""
        return TextTask(self.picked)

    @property
    def is_fitted(self) -> bool:
        """Whether there is a tokenizer."""
        return bool(self.picked.tokenizer)

    @property
    def tokens(self) -> int:
        """The highest id of a token."""
        return self.texts.tokens.size if self.is_fitted else int(self.picked.vocabulary)

    def fit(self, samples: Iterable[tuple[bytes, str]]) -> OwnSpec:
        """The spec with a tokenizer, made from the first arrival's training texts. Raises InputError without a text."""
        return self.fitted_spec(fit_tokenizer(self.picked, samples), ("tokenizer", "tokenizer_sha256"))

    def example(self) -> Tensor:
        """A text of the first token alone."""
        return torch.ones(1, self.length, dtype=torch.int64)

    @property
    def draws(self) -> int:
        """How many uniform numbers hiding takes for a text."""
        return self.texts.draws

    def build_model(self, num_classes: int) -> nn.Module:
        """The transformer: ids to logits, N x ``num_classes``."""
        return self.texts.build_model(num_classes)

    def decode(self, sample: bytes) -> np.ndarray:
        """Ids of a text's first tokens, int64, shape (``length``,). Raises ValueError where it is no text."""
        return self.texts.decode(sample)

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse what :meth:`decode` refuses. Returns what is told of a text that is too long."""
        return self.texts.check(sample, label)

    def preprocessing(self) -> dict[str, Any]:
        """See :class:`raygp.tasks.preprocessing.Described`."""
        return self.texts.preprocessing()

    def preprocessing_files(self) -> dict[str, str]:
        """The tokenizer."""
        return self.texts.preprocessing_files()

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The ids, some of them hidden where ``draws`` are given."""
        return self.texts.prepare(inputs, draws)


class _Rows(OwnTask):
    """What tables of classes and of numbers share: columns by type, found in the first arrival."""

    medium: ClassVar[str] = "row"
    samples_repeat: bool = True
    """Two rows that are alike are two observations."""
    hidden: Sequence[int] | None = None
    """Units of the hidden layers of the usual model."""
    dropout: float | None = None
    """Part of the hidden units that is left out at random."""

    @property
    def table(self) -> TabularSpec:
        """What is known of the table."""
        assert isinstance(self.picked, TabularSpec)
        return self.picked

    @cached_property
    def usual(self) -> TabularTask:
        """What raygp's own task of tables does with these options."""
        return TabularTask(self.table)

    @property
    def is_fitted(self) -> bool:
        """Whether the columns are known."""
        return bool(self.picked.columns)

    @property
    def notes(self) -> list[str]:
        """For people: what the columns are, and which are left out and why."""
        return self.usual.notes

    @property
    def draws(self) -> int:
        """None: rows are not augmented."""
        return self.usual.draws

    def example(self) -> Tensor:
        """A row without values."""
        return torch.zeros(1, values_of(self.picked.columns))

    def features(self) -> RowFeatures:
        """The first layer of a model of one's own: from rows to N x ``width`` numbers, categories embedded."""
        return features_of(self.picked.columns)

    def build_model(self, num_classes: int) -> nn.Module:
        """A network of :attr:`hidden` layers."""
        return self.usual.build_model(num_classes)

    def decode(self, sample: bytes) -> np.ndarray:
        """A row as float32 values. Raises ValueError where it is no row of the table."""
        return self.usual.decode(sample)

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a row that cannot be decoded, or whose label is none."""
        return self.usual.check(sample, label)

    def preprocessing(self) -> dict[str, Any]:
        """See :class:`raygp.tasks.preprocessing.Described`."""
        return self.usual.preprocessing()

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The rows as they are decoded."""
        return self.usual.prepare(inputs, draws)


class Table(_Rows, ClassTask):
    """Classes of a table's rows. Columns are told by type in the first arrival: numbers are standardised, categories
    become places, and a value that is missing is told to the model."""

    options_kind = ClassSpec
    options_name = "tabular"
    settings_of_kind = TABULAR.settings

    def fit(self, samples: Iterable[tuple[bytes, str]]) -> OwnSpec:
        """The spec with the columns of the first arrival's training rows. Raises Unfit where they have none."""
        return self.fitted_spec(fit_classes(self.picked, samples), TABULAR.fitted)


class Regression(_Rows, NumberTask):
    """Numbers of a table's rows. As :class:`Table`; labels are standardised by the first arrival, and the metric is
    R2. The model has one output."""

    options_kind = NumberSpec
    options_name = "tabular-regression"
    settings_of_kind = REGRESSION.settings
    metrics_of_kind = ("R2",)
    labels_are_classes = False

    @cached_property
    def usual(self) -> RegressionTask:
        """What raygp's own task of tables does with these options."""
        return RegressionTask(self.picked)

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of the first arrival's training labels."""
        return self.usual.scale

    def fit(self, samples: Iterable[tuple[bytes, str]]) -> OwnSpec:
        """The spec with the columns, and with mean and deviation of the labels. Raises Unfit where there are none."""
        return self.fitted_spec(fit_numbers(self.picked, samples), REGRESSION.fitted)


def read_array(sample: bytes) -> np.ndarray:
    """An array as ``numpy.save`` writes it.

    Raises:
        ValueError: it is none.
    """
    try:
        array: np.ndarray = np.load(io.BytesIO(sample), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"no array as numpy.save writes it: {error}") from error
    return array
