"""Speech recognition: the task of the DeepSpeech2 models."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from raygp.tasks.audio import MASK_DRAWS, log_mel, mask_bands, require
from raygp.tasks.deepspeech import PAPER, SMALL, Architecture, DeepSpeech2, ctc_losses, greedy
from raygp.tasks.divergence import divergence
from raygp.tasks.padded import Padded
from raygp.tasks.spec import SpeechSpec

_SPACE = 0
"""Id of the character that ends a word: the first of :attr:`SpeechTask.reserved`."""


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
    density_bounds: dict[str, tuple[float, float]] = field(default_factory=lambda: {"classifier.weight": (0.3, 1.0)})
    ragged: bool = True
    reserved: tuple[str, ...] = (" ",)
    metrics: tuple[str, ...] = ("word accuracy", "character accuracy")
    name: str = field(init=False)
    dense: tuple[str, ...] = field(init=False)
    draws: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.spec.name)
        object.__setattr__(self, "dense", self.spec.dense)
        object.__setattr__(self, "draws", MASK_DRAWS if self.spec.augment == "specaugment" else 0)

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised: padded features to padded logits, N x T' x (``num_classes`` + 1)."""
        return DeepSpeech2(self.spec.mels, num_classes + 1, self.architecture)

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
        return log_mel(sample, self.spec.mels)

    def check(self, sample: bytes) -> None:
        """Refuse a sample that cannot be decoded, or that is silent, too short or not finite.

        Raises:
            ValueError: the message is the reason alone.
        """
        self.decode(sample)

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
        the teacher knows: the sum over an utterance's frames per character, as CTC's loss is, shape (N,)."""
        frames = divergence(outputs.values, taught.values, temperature) * outputs.valid()
        return frames.sum(dim=1) / targets.lengths.clamp(min=1).to(frames.device)

    def score(self, outputs: Padded, targets: Padded) -> Tensor:
        """Words less word errors and words, characters less character errors and characters: N x 2 x 2.

        Over a split, points over weights is 1 - word (character) error rate of greedy decoding.
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


def _words(ids: list[int]) -> list[tuple[int, ...]]:
    """Runs of characters between spaces."""
    words: list[tuple[int, ...]] = []
    for is_space, run in itertools.groupby(ids, key=lambda character: character == _SPACE):
        if not is_space:
            words.append(tuple(run))
    return words


def deepspeech2_task(spec: SpeechSpec) -> SpeechTask:
    """The paper's size: two convolutions and five bidirectional GRU layers of 800 units."""
    return SpeechTask(spec, PAPER)


def deepspeech2_small_task(spec: SpeechSpec) -> SpeechTask:
    """A size that trains on two CPU cores: two convolutions and three bidirectional GRU layers of 160 units."""
    return SpeechTask(spec, SMALL)
