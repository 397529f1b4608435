"""DeepSpeech2 (arXiv 1512.02595): convolutions over the spectrogram, bidirectional GRUs with batch norm, CTC.

An utterance's output does not depend on what it is batched with: batch norm sees valid frames only and leaves padding
zero, and the backward direction of a recurrent layer starts at each utterance's own end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raygp.tasks.layout import channels_last
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
    """Batch norm of N x T x channels (x mels) over valid frames; padding comes out as zero."""

    def forward(self, frames: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]  # It needs to know padding.
        """The normed frames, of the shape of ``frames``.

        Args:
            frames: N x T x channels, or N x T x channels x mels.
            valid: bool, N x T.
        """
        if torch.compiler.is_exporting():
            return self._in_place(frames, valid)
        normed = frames.new_zeros(frames.shape)
        normed[valid] = super().forward(frames[valid]).to(normed.dtype)
        return normed

    def _in_place(self, frames: Tensor, valid: Tensor) -> Tensor:
        """The same in evaluation, without picking valid frames: how many there are, an exported graph cannot say."""
        assert self.running_mean is not None and self.running_var is not None
        shape = (-1, *(1 for _ in range(frames.dim() - 3)))
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        normed = (frames - self.running_mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normed * (valid[:, :, None] if frames.dim() == 3 else valid[:, :, None, None])


class BidirectionalGRU(nn.Module):
    """A GRU over the frames and one over each utterance's frames in reverse, summed: N x T x inputs to N x T x width.

    Each direction is a module of its own over padded tensors: on a CPU torch is several times slower over packed ones.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.ahead = nn.GRU(inputs, width, batch_first=True)
        self.back = nn.GRU(inputs, width, batch_first=True)

    def forward(self, frames: Tensor, reverse: Tensor) -> Tensor:
        """The sum of both directions, N x T x width.

        Args:
            frames: N x T x inputs, padded at the end.
            reverse: int64, N x T, from :func:`reversal`.
        """
        ahead: Tensor = self.ahead(frames)[0]
        back: Tensor = self.back(_reorder(frames, reverse))[0]
        return ahead + _reorder(back, reverse)


def reversal(lengths: Tensor, frames: int) -> Tensor:
    """An order of frames for each row: valid positions from last to first, then padding unchanged. int64, N x frames.

    Applied twice, it gives the original order.
    """
    positions = torch.arange(frames)[None, :]
    return torch.where(positions < lengths[:, None], lengths[:, None] - 1 - positions, positions)


def _reorder(frames: Tensor, positions: Tensor) -> Tensor:
    return frames.gather(1, positions[:, :, None].expand_as(frames))


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
        self.recurrent = nn.ModuleList(BidirectionalGRU(size, width) for size in sizes)
        self.recurrent_norms = nn.ModuleList(FrameNorm(width) for _ in sizes)
        self.classifier = nn.Linear(width, symbols)
        channels_last(self)

    def forward(self, features: Padded) -> Padded:
        """Logits, not normalised."""
        frames, lengths = self._convolve(features)
        valid = Padded(frames, lengths).valid()
        reverse = reversal(lengths, frames.shape[1]).to(frames.device)
        for layer, norm in zip(self.recurrent, self.recurrent_norms, strict=True):
            frames = norm(layer(frames, reverse), valid)
        return Padded(self.classifier(frames), lengths)

    def _convolve(self, features: Padded) -> tuple[Tensor, Tensor]:
        """Frames with channels x mels values each, N x T' x C, and their numbers."""
        frames, lengths = features.values[:, None].transpose(2, 3), features.lengths  # N x 1 x mels x T
        for convolution, norm in zip(self.convolutions, self.convolution_norms, strict=True):
            assert isinstance(convolution, nn.Conv2d)
            stride = convolution.stride[1]
            lengths = torch.div(lengths + stride - 1, stride, rounding_mode="floor")
            by_frame = convolution(frames).permute(0, 3, 1, 2)  # N x T x channels x mels
            normed = norm(by_frame, Padded(by_frame, lengths).valid())
            frames = nn.functional.hardtanh(normed, 0.0, 20.0).permute(0, 2, 3, 1)
        return frames.permute(0, 3, 1, 2).flatten(2), lengths


def greedy(logits: Padded) -> list[list[int]]:
    """The ids of each utterance's characters along its most probable path: repeated symbols are merged, blanks (0)
    dropped, and the other symbols less 1 are the ids."""
    best = logits.values.argmax(dim=2).cpu()
    texts = []
    for path, length in zip(best, logits.lengths, strict=True):
        merged = torch.unique_consecutive(path[: int(length)])
        texts.append((merged[merged > 0] - 1).tolist())
    return texts


def ctc_losses(logits: Padded, targets: Padded) -> Tensor:
    """CTC loss of each utterance per symbol of its transcript, shape (N,); 0 if the utterance has too few frames for
    its transcript."""
    log_probabilities = logits.values.float().log_softmax(dim=2).transpose(0, 1)
    losses = nn.functional.ctc_loss(
        log_probabilities, targets.values + 1, logits.lengths, targets.lengths, reduction="none", zero_infinity=True
    )
    return losses / targets.lengths.clamp(min=1).to(losses.device)
