"""DeepSpeech2 (arXiv 1512.02595): convolutions over the spectrogram, bidirectional GRUs with batch norm, CTC.

An utterance's output does not depend on what it is batched with: padding is zeroed after every convolution, recurrent
layers run over packed sequences, and batch norm sees valid frames only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from raygp.tasks.padded import Padded


@dataclass(frozen=True)
class Convolution:
    """One convolution; numbers are (mels, frames)."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Architecture:
    """Sizes of a model."""

    convolutions: Sequence[Convolution]
    layers: int
    """Recurrent layers, each bidirectional GRU; the directions are summed."""
    width: int
    """Hidden units of each direction."""


PAPER = Architecture((Convolution(32, (41, 11), (2, 2)), Convolution(32, (21, 11), (2, 1))), layers=5, width=800)
SMALL = Architecture((Convolution(16, (11, 11), (2, 2)), Convolution(16, (11, 11), (2, 2))), layers=3, width=128)


class FrameNorm(nn.BatchNorm1d):
    """Batch norm over valid frames: M x channels, or M x channels x mels."""


class DeepSpeech2(nn.Module):
    """Padded log-mel features (N x T x mels) to padded logits (N x T' x symbols); symbol 0 is CTC's blank."""

    def __init__(self, mels: int, symbols: int, architecture: Architecture) -> None:
        super().__init__()
        convolutions, norms = [], []
        channels = 1
        for layer in architecture.convolutions:
            padding = (layer.kernel[0] // 2, layer.kernel[1] // 2)
            convolutions.append(nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, padding, bias=False))
            norms.append(FrameNorm(layer.channels))
            channels, mels = layer.channels, (mels + layer.stride[0] - 1) // layer.stride[0]
        self.convolutions, self.convolution_norms = nn.ModuleList(convolutions), nn.ModuleList(norms)
        width = architecture.width
        sizes = [channels * mels] + [width] * (architecture.layers - 1)
        self.recurrent = nn.ModuleList(nn.GRU(size, width, bidirectional=True) for size in sizes)
        self.recurrent_norms = nn.ModuleList(FrameNorm(size) for size in sizes[1:])
        self.output_norm = FrameNorm(width)
        self.classifier = nn.Linear(width, symbols)

    def forward(self, features: Padded) -> Padded:
        """Logits, not normalised."""
        packed = self._convolve(features)
        for number, layer in enumerate(self.recurrent):
            if number:
                packed = packed._replace(data=self.recurrent_norms[number - 1](packed.data))
            both, _ = layer(packed)
            forward, backward = both.data.chunk(2, dim=1)
            packed = both._replace(data=forward + backward)
        logits = self.classifier(self.output_norm(packed.data))
        values, lengths = pad_packed_sequence(packed._replace(data=logits), batch_first=True)
        return Padded(values, lengths)

    def _convolve(self, features: Padded) -> PackedSequence:
        """Packed frames with channels x mels values each."""
        frames, lengths = features.values[:, None], features.lengths  # N x 1 x T x mels
        frames = frames.transpose(2, 3)  # N x 1 x mels x T
        for convolution, norm in zip(self.convolutions, self.convolution_norms, strict=True):
            frames = convolution(frames)
            lengths = torch.div(lengths + convolution.stride[1] - 1, convolution.stride[1], rounding_mode="floor")
            valid = Padded(frames.permute(0, 3, 1, 2), lengths).valid()
            normed = nn.functional.hardtanh(norm(frames.permute(0, 3, 1, 2)[valid]), 0.0, 20.0)
            spread = normed.new_zeros(*valid.shape, *normed.shape[1:])
            spread[valid] = normed
            frames = spread.permute(0, 2, 3, 1)  # N x channels x mels x T
        flat = frames.permute(0, 3, 1, 2).flatten(2)
        return pack_padded_sequence(flat, lengths, batch_first=True, enforce_sorted=False)


def greedy(logits: Padded) -> list[list[int]]:
    """The best path's symbols of each utterance: repeats merged, blanks (0) dropped, the others less 1."""
    best = logits.values.argmax(dim=2).cpu()
    texts = []
    for path, length in zip(best, logits.lengths, strict=True):
        merged = torch.unique_consecutive(path[: int(length)])
        texts.append((merged[merged > 0] - 1).tolist())
    return texts


def ctc_losses(logits: Padded, targets: Padded) -> Tensor:
    """CTC loss of each utterance per symbol of its transcript, shape (N,); 0 if the utterance is too short for it."""
    log_probabilities = logits.values.float().log_softmax(dim=2).transpose(0, 1)
    losses = nn.functional.ctc_loss(
        log_probabilities, targets.values + 1, logits.lengths, targets.lengths, reduction="none", zero_infinity=True
    )
    return losses / targets.lengths.clamp(min=1).to(losses.device)
