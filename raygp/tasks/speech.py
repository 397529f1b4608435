"""Speech recognition: the task of the DeepSpeech2 models."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from raygp.tasks.answer import Answer
from raygp.tasks.audio import MASK_DRAWS, log_mel, mask_bands, whole_frames
from raygp.tasks.deepspeech import PAPER, SMALL, Architecture, DeepSpeech2, ctc_losses, greedy
from raygp.tasks.divergence import divergence
from raygp.tasks.kind import PlanFields, TaskKind
from raygp.tasks.padded import Padded
from raygp.tasks.preprocessing import speech_preprocessing
from raygp.tasks.sound import require
from raygp.tasks.spec import TaskSpec

_SPACE = 0
"""Id of the character that ends a word: the first of :attr:`SpeechTask.reserved`."""


class SpeechSpec(TaskSpec):
    """Settings of the DeepSpeech2 models: which features of speech they are trained on."""

    name: Literal["deepspeech2", "deepspeech2-small"]
    """The model."""
    mels: Annotated[int, Field(ge=16, le=256)] = 40
    """Mel bands of the features."""
    augment: Literal["none", "specaugment"] = "specaugment"
    """specaugment: two bands of mels and two of frames are hidden in each training example."""
    dense: tuple[str, ...] = ()
    """Names of parameters that are never pruned."""


@dataclass(frozen=True)
class SpeechTask:
    """Implements :class:`raygp.tasks.protocol.Task`; see there for what each member means.

    A label is a transcript; its symbols are characters. Character i of the vocabulary is the model's output i + 1,
    since output 0 is CTC's blank.
    """

    spec: SpeechSpec
    """What the task was made from."""
    architecture: Architecture
    classifier: str = "classifier"
    density_bounds: Mapping[str, tuple[float, float]] = field(default_factory=lambda: {"classifier.weight": (0.3, 1.0)})
    sequences: bool = True
    labels_are_classes: bool = False
    reserved: tuple[str, ...] = (" ",)
    metrics: tuple[str, ...] = ("word accuracy", "character accuracy")
    medium: ClassVar[str] = "audio"
    """What its samples are: by this, files in a folder are told from what lies beside them."""

    @property
    def name(self) -> str:
        """The task's name, from its spec."""
        return self.spec.name

    @property
    def sound(self) -> SpeechSpec:
        """Which features of a recording are taken, and their augmentation. A task of one's own keeps it apart from its
        spec."""
        return self.spec

    @property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned, from the spec."""
        return self.sound.dense

    @property
    def draws(self) -> int:
        """How many uniform numbers the spec's augmentation takes for an utterance."""
        return MASK_DRAWS if self.sound.augment == "specaugment" else 0

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised: padded features to padded logits, N x T' x (``num_classes`` + 1)."""
        return DeepSpeech2(self.sound.mels, num_classes + 1, self.architecture)

    def symbols(self, label: str) -> set[str]:
        """The characters of a transcript."""
        return set(label)

    def target(self, label: str, ids: Mapping[str, int]) -> np.ndarray:
        """The ids of a transcript's characters, int64. Raises KeyError for one that is not in the vocabulary."""
        return np.array([ids[character] for character in label], dtype=np.int64)

    def decode(self, sample: bytes) -> np.ndarray:
        """Normalised log-mel features of encoded audio: float16, frames x mels.

        Raises:
            ValueError: the bytes cannot be decoded; the message is the reason alone.
        """
        return log_mel(sample, self.sound.mels)

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a sample that :meth:`decode` refuses, that was cut short, or that is shorter than its transcript.

        CTC needs a frame of logits for each character, and one more between two that are the same. With fewer, the loss
        of the sample is 0 whatever the model says. That depends on the model, so such a sample is only told of. One
        that has fewer frames of features than characters, which is a hundred of them a second, fits no model.

        Returns:
            That the model learns nothing from the sample, and why; None if it can.

        Raises:
            ValueError: the message is the reason alone.
        """
        features = whole_frames(sample)
        frames = self.output_frames(features)
        doubled = sum(first == second for first, second in itertools.pairwise(label))
        if frames >= len(label) + doubled:
            return None
        same = f", {doubled:,} of them the same as the one before," if doubled else ""
        short = (
            f"its transcript is too long for it: {len(label):,} characters{same} need {len(label) + doubled:,} "
            f"frames, the sound gives {frames:,}"
        )
        if features < len(label):
            raise ValueError(short)
        return short

    def refuse(self, sample: bytes) -> None:
        """The part of :meth:`check` that needs no transcript. Raises as that."""
        whole_frames(sample)

    def output_frames(self, frames: int) -> int:
        """How many frames of logits the model makes of ``frames`` frames of features."""
        for convolution in self.architecture.convolutions:
            frames = -(-frames // convolution.stride[1])
        return frames

    def prepare(self, inputs: Padded, draws: Tensor | None) -> Padded:
        """Float32 features, N x T x mels; bands of mels and frames are hidden where ``draws`` are given."""
        values = inputs.values.float()
        if draws is not None and self.draws:
            values = mask_bands(values, inputs.lengths, draws)
        return Padded(values, inputs.lengths)

    def losses(self, outputs: Padded, targets: Padded) -> Tensor:
        """CTC loss of each utterance per character, shape (N,)."""
        return ctc_losses(outputs, targets)

    def divergences(self, outputs: Padded, taught: Padded, targets: Padded, temperature: float) -> Tensor:
        """Kullback-Leibler divergence of each frame's softened probabilities from the teacher's, over the symbols that
        the teacher knows. Summed over an utterance's frames and divided by its characters, as the CTC loss is; shape
        (N,)."""
        frames = divergence(outputs.values, taught.values, temperature) * outputs.valid()
        return frames.sum(dim=1) / targets.lengths.clamp(min=1).to(frames.device)

    def score(self, outputs: Padded, targets: Padded) -> Tensor:
        """Points and weights of words and of characters, N x 2 x 2. Points are the words (characters) of the transcript
        less the errors of greedy decoding; weights are the words (characters).

        Over a split, points over weights is 1 - word (character) error rate.
        """
        distance = require("torchaudio").functional.edit_distance
        rows = []
        for found, ids, length in zip(greedy(outputs), targets.values.tolist(), targets.lengths.tolist(), strict=True):
            wanted = ids[:length]
            words, said = _words(wanted), _words(found)
            rows.append(
                [
                    [len(words) - distance(words, said), len(words)],
                    [len(wanted) - distance(wanted, found), len(wanted)],
                ]
            )
        return torch.tensor(rows, dtype=torch.float64).reshape(-1, 2, 2)

    def preprocessing(self) -> dict[str, Any]:
        """How a file becomes the model's input, as plain data (:class:`raygp.tasks.preprocessing.Described`)."""
        return speech_preprocessing(self.spec.mels)

    def answers(self, outputs: Padded, vocabulary: Sequence[str]) -> list[Answer]:
        """Each utterance's transcript, by greedy decoding."""
        return [Answer("".join(vocabulary[i] for i in ids)) for ids in greedy(outputs)]


def _words(ids: list[int]) -> list[tuple[int, ...]]:
    """Runs of characters between spaces."""
    words: list[tuple[int, ...]] = []
    for is_space, run in itertools.groupby(ids, key=lambda character: character == _SPACE):
        if not is_space:
            words.append(tuple(run))
    return words


def _deepspeech2_task(spec: SpeechSpec) -> SpeechTask:
    return SpeechTask(spec, PAPER)


def _deepspeech2_small_task(spec: SpeechSpec) -> SpeechTask:
    return SpeechTask(spec, SMALL)


_SETTINGS: PlanFields = {
    "lr": 0.003,
    "batch_size": 32,
    # At 10, some trainings ended with half of the words.
    "clip_norm": 1.0,
    "alpha": 0.1,
    "density": 0.2,
    "optimizer": {"name": "adamw", "weight_decay": 0.01},
}
_LATE = [
    {"kind": "grow-new", "epochs": 0},
    {"kind": "prune-permanent", "gradual": True, "start": 0.4, "end": 0.9},
]
"""Phases that prune later than those of the default plan."""

_AS_IT_IS: PlanFields = {"arrival": {}, "fit": None}
"""What the rules of fitting are worth for these models has not been measured."""

DEEPSPEECH2 = TaskKind(
    SpeechSpec,
    _deepspeech2_task,
    _SETTINGS,
    {
        "default": {
            "synthesis": {"epochs": 40, "fit": None},
            "update": {"epochs": 12, "replay": {"share": 0.5}, **_AS_IT_IS},
        },
    },
)
"""The paper's size: two convolutions and five bidirectional GRU layers of 800 units."""

DEEPSPEECH2_SMALL = TaskKind(
    SpeechSpec,
    _deepspeech2_small_task,
    # Hundreds of utterances make few steps of an epoch, so batches are smaller.
    {**_SETTINGS, "batch_size": 16},
    {
        "default": {
            # The network starts with all connections and is pruned late. That recognises five to seven points more
            # words than a network that starts with few.
            "synthesis": {"phases": _LATE, "epochs": 60, "seed_density": 1.0, "fit": None},
            # So few utterances are fitted closely. The update therefore shrinks the parent's weights, sees all earlier
            # utterances again, and lets every dormant connection grow.
            "update": {
                "phases": _LATE,
                "epochs": 24,
                "replay": {"share": 1.0},
                "shrink": 0.5,
                "alpha": 1.0,
                **_AS_IT_IS,
            },
        },
    },
)
"""A size that trains on two CPU cores: two convolutions and three bidirectional GRU layers of 128 units."""
