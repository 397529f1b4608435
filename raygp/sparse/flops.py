"""Floating-point operations of a model, for any density.

One traced forward pass finds how often each connection is used for one example (once in a Linear layer, once an output
position in a convolution, once a time step in a recurrent one). After that the cost at any mask is arithmetic:
``2 * active * uses`` (a multiplication and an addition).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from raygp.sparse.masks import Masks
from raygp.sparse.tracing import trace_forward


@dataclass(frozen=True)
class FlopCount:
    """Uses of each connection in a forward pass of one example, by parameter name; dense-only layers included."""

    uses: dict[str, float]
    sizes: dict[str, int]

    def dense_forward(self) -> float:
        """FLOPs of a forward pass of one example with all connections active."""
        return sum(2.0 * self.sizes[name] * uses for name, uses in self.uses.items())

    def sparse_forward(self, masks: Masks) -> float:
        """FLOPs of a forward pass of one example over active connections only."""
        total = 0.0
        for name, uses in self.uses.items():
            active = int(masks.bits[name].sum()) if name in masks.bits else self.sizes[name]
            total += 2.0 * active * uses
        return total


def training_flops(forward: float) -> float:
    """FLOPs of a training step of one example: forward, gradient by input, gradient by weight (3 x forward)."""
    return 3.0 * forward


def growth_flops(sparse_forward: float, dense_forward: float) -> float:
    """FLOPs of a growth pass of one example: the gradient by weight is dense, the rest follows active connections."""
    return 2.0 * sparse_forward + dense_forward


def count_uses(model: nn.Module, example: Tensor) -> FlopCount:
    """Trace one forward pass and count the uses of each Linear, Conv, attention and recurrent weight.

    Biases, norms, activations and the products inside of attention are not counted: they are the same for every method.

    Args:
        model: in any mode; its mode and buffers are left as they were.
        example: a model input with a batch of one.
    """
    uses = trace_forward(model, example).uses
    return FlopCount(uses, {name: model.get_parameter(name).numel() for name in uses})
