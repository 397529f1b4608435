"""Growth on gradients (arXiv 1905.10952, abstract)."""

from __future__ import annotations

from torch import Generator, Tensor


def by_gradient(gradient: Tensor, weight: Tensor, generator: Generator) -> Tensor:
    """|G|: the connections whose gradient over all examples is largest. One whose gradient is exactly zero never grows:
    nothing asked for it (the always black border of a digit, say)."""
    return gradient.abs()
