"""What decides which connections wake up and which go to rest: each criterion is one function in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Generator, Tensor


class GrowthCriterion(Protocol):
    """Scores dormant connections: the highest are activated, one that scores zero never is."""

    def __call__(self, gradient: Tensor, weight: Tensor, generator: Generator) -> Tensor:
        """Scores of all connections of a layer; those of active ones are not looked at.

        Args:
            gradient: the sum over examples of dL/dW over all workers, float, the layer's shape.
            weight: the layer's weight, the same shape; zero where dormant.
            generator: of random criteria, on the CPU: at the same place in its stream on every worker.

        Returns:
            At least 0, float, the layer's shape, the same on every worker.
        """
        ...


class PruningCriterion(Protocol):
    """Scores active connections: the lowest are removed."""

    def __call__(self, weight: Tensor, generator: Generator) -> Tensor:
        """Scores of all connections of a layer; those of dormant ones are not looked at.

        Args:
            weight: the layer's weight, float.
            generator: as for :class:`GrowthCriterion`.

        Returns:
            At least 0, float, the layer's shape, the same on every worker.
        """
        ...
