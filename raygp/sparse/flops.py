"""Floating-point operations of a model, for any density.

One traced forward pass finds how often each connection is used for one example (once in a Linear layer, once an output
position in a convolution, once a time step in a recurrent one). After that the cost at any mask is arithmetic:
``2 * active * uses`` (a multiplication and an addition).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from raygp.sparse.layers import prunable_layers
from raygp.sparse.masks import Masks


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


@torch.no_grad()
def count_uses(model: nn.Module, example: Tensor) -> FlopCount:
    """Trace one forward pass and count the uses of each Linear, Conv and recurrent weight.

    Biases, norms and activations are not counted: they are a fraction of a per cent, and the same for every method.

    Args:
        model: in any mode; its mode and buffers are left as they were.
        example: a model input with a batch of one.
    """
    uses: dict[str, float] = {}
    # By identity, not by path: a weight that several modules share has one name and all of their uses.
    names = {id(model.get_parameter(layer.parameter)): layer.parameter for layer in prunable_layers(model)}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        for weight in module.parameters(recurse=False):
            name = names.get(id(weight))
            if name is not None:
                uses[name] = uses.get(name, 0.0) + _uses(module, weight, inputs[0], output)

    handles = [
        module.register_forward_hook(record)
        for module in model.modules()
        # An embedding may share its weight with a Linear layer, but it looks rows up: no operations.
        if isinstance(module, nn.Linear | nn.RNNBase | nn.modules.conv._ConvNd)
    ]
    # Mode by module: model.train() would wake a frozen norm inside a training model.
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        model(example)
    finally:
        for module in training:
            module.training = True
        for handle in handles:
            handle.remove()
    return FlopCount(uses, {name: model.get_parameter(name).numel() for name in uses})


def _uses(
    module: nn.Module, weight: Tensor, inputs: Tensor | PackedSequence, output: Tensor | tuple[Tensor, ...]
) -> float:
    """How often each connection of ``weight`` is used in this call (batch of one)."""
    if isinstance(module, nn.RNNBase):
        steps = inputs.data if isinstance(inputs, PackedSequence) else inputs
        # Both directions and all layers see every step once, and each weight belongs to one of them.
        return float(steps.numel() // steps.shape[-1])
    assert isinstance(output, Tensor) and isinstance(inputs, Tensor)
    if isinstance(module, nn.Linear):
        return output.numel() / weight.shape[0]
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        # A transposed convolution uses each connection once for each position of its input, not of its output.
        return inputs.numel() / weight.shape[0]
    return output.numel() / weight.shape[0]
