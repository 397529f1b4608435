"""A small transformer encoder that classifies sequences of tokens (Vaswani et al., arXiv 1706.03762; norms come first,
as in arXiv 2002.04745)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PADDING = 0
"""Id that stands for no token."""
_WIDER = 4
"""Hidden units of the part behind attention, by units of the model."""
_START = 0.02
"""Standard deviation of embeddings before training."""


class Block(nn.Module):
    """Attention over all tokens, then a network of two layers on each: N x T x width to the same.

    All of its weights are those of Linear layers, so that they can be pruned and grown.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, _WIDER * width)
        self.down = nn.Linear(_WIDER * width, width)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """The values after this block.

        Args:
            values: N x T x width.
            valid: bool, N x T: which places hold a token. At least one in each row.
        """
        normed = self.attention_norm(values)
        query, key, value = (self._by_head(layer(normed)) for layer in (self.query, self.key, self.value))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
        values = values + self.mix(found.transpose(1, 2).flatten(2))
        hidden: Tensor = self.down(F.gelu(self.up(self.norm(values))))
        return values + hidden

    def _by_head(self, values: Tensor) -> Tensor:
        """N x heads x T x width of a head."""
        texts, tokens, width = values.shape
        return values.view(texts, tokens, self.heads, width // self.heads).transpose(1, 2)


class TextTransformer(nn.Module):
    """Ids of tokens, int64, N x T with :data:`PADDING` at the end, to logits, N x classes.

    Places without a token are neither attended to nor part of the mean over places that the classifier sees.

    Args:
        tokens: ids are at most this.
        length: T is at most this.
        width: units of the model.
        depth: number of blocks.
        heads: of attention; they divide the width.
        classes: of the output.
    """

    def __init__(self, tokens: int, length: int, width: int, depth: int, heads: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens + 1, width, padding_idx=PADDING)
        self.positions = nn.Parameter(torch.empty(length, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)
        nn.init.normal_(self.embedding.weight, std=_START)
        nn.init.normal_(self.positions, std=_START)
        with torch.no_grad():
            self.embedding.weight[PADDING].zero_()

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, not normalised."""
        if self.training:
            # The end that is padding in every row takes time and adds nothing. In use the shape stays as it is, so that
            # the model can be exported.
            ids = ids[:, : _longest(ids)]
        # A row without any token would attend to nothing, which is not a number.
        valid = (ids != PADDING) | (torch.arange(ids.shape[1], device=ids.device) == 0)
        values = self.embedding(ids) + self.positions[: ids.shape[1]]
        for block in self.blocks:
            values = block(values, valid)
        weights = valid[:, :, None].to(values.dtype)
        mean = (self.norm(values) * weights).sum(dim=1) / weights.sum(dim=1)
        logits: Tensor = self.classifier(mean)
        return logits


def _longest(ids: Tensor) -> int:
    """The place behind the last token of any row; at least 1."""
    used = (ids != PADDING).any(dim=0).nonzero()
    return int(used[-1]) + 1 if len(used) else 1
