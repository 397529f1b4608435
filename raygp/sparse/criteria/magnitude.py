"""Pruning on magnitudes (arXiv 1905.10952, abstract)."""

from __future__ import annotations

from torch import Generator, Tensor


def by_magnitude(weight: Tensor, generator: Generator) -> Tensor:
    """|w|: the connections with the smallest weights go first."""
    return weight.abs()
