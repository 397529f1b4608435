"""Sequences of different lengths as one tensor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Padded(NamedTuple):
    """N sequences, each padded with zeros to the longest."""

    values: Tensor
    """N x T x ..."""
    lengths: Tensor
    """int64, shape (N,); always on the CPU, since torch's CTC loss expects it there."""

    def to(self, device: torch.device, non_blocking: bool = False) -> Padded:
        """The same on another device."""
        return Padded(self.values.to(device, non_blocking=non_blocking), self.lengths)

    def valid(self) -> Tensor:
        """Bool, N x T: which places are not padding."""
        places = torch.arange(self.values.shape[1], device=self.values.device)
        return places < self.lengths.to(self.values.device)[:, None]

    def float(self) -> Padded:
        """The same in float32."""
        return Padded(self.values.float(), self.lengths)

    def take(self, rows: Tensor) -> Padded:
        """Some of the sequences, padded to the longest of them. ``rows``: their positions, int64."""
        lengths = self.lengths[rows.cpu()]
        return Padded(self.values[rows][:, : int(lengths.max())], lengths)


def take(values: Tensor | Padded, rows: Tensor) -> Tensor | Padded:
    """Some rows of a batch. ``rows``: their positions, int64."""
    return values.take(rows) if isinstance(values, Padded) else values[rows]
