"""The first layer of a network over rows of a table. It needs torch alone: exports copy this file as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

UNTRAINED = 2
"""Places of an embedding in front of those of known categories: a missing value, and any category that is not known."""
_WIDEST = 16


class RowFeatures(nn.Module):
    """Numbers and flags as they are, each category by its embedding.

    Args:
        plain: how many numbers and flags a row begins with.
        places: how many different places the category of each value behind them may have, :data:`UNTRAINED` included.

    Maps float32 rows, N x (``plain`` + ``len(places)``), to N x :attr:`width`.
    """

    def __init__(self, plain: int, places: Sequence[int]) -> None:
        super().__init__()
        self.plain = plain
        self.embeddings = nn.ModuleList()
        widths = []
        for count in places:
            widths.append(min(_WIDEST, math.ceil(1.6 * count**0.56)))
            embedding = nn.Embedding(count, widths[-1])
            # What no training row has must not say anything: these rows are moved by training alone.
            nn.init.zeros_(embedding.weight[:UNTRAINED])
            self.embeddings.append(embedding)
        self.width = plain + sum(widths)
        """How many features come out."""

    def forward(self, rows: Tensor) -> Tensor:
        """Features, N x :attr:`width`."""
        places = rows[:, self.plain :].long()
        found = [embedding(places[:, i]) for i, embedding in enumerate(self.embeddings)]
        return torch.cat([rows[:, : self.plain], *found], dim=1) if found else rows
