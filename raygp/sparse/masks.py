"""The masks of one model: which connections are active. All of raygp's sparse state is this one value."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from raygp.sparse.bits import digest
from raygp.sparse.layers import Layer, prunable_layers


class Masks:
    """Boolean masks over the prunable parameters of a model.

    Invariant that raygp keeps: ``w == 0`` wherever a mask is 0. :meth:`apply` establishes it; after that, masking the
    gradients (:meth:`mask_gradients`) is enough to hold it under any optimizer whose update of an entry with zero
    weight, zero gradient and zero state is zero: SGD with momentum, Nesterov and weight decay, Adam, AdamW.

    Attributes:
        layers: the prunable layers, in the model's order.
        bits: by parameter name, bool, the parameter's shape and device. Change them through :meth:`set` only.
        generation: goes up at every change, so that what is derived from the masks knows when it is stale.
    """

    def __init__(self, model: nn.Module, dense: Collection[str] = ()) -> None:
        """All connections active.

        Raises:
            ValueError: nothing in the model is prunable, or ``dense`` names what is not.
        """
        self.layers: list[Layer] = prunable_layers(model, dense)
        if not self.layers:
            raise ValueError(f"{type(model).__name__} has no prunable weight")
        self._parameters: dict[str, nn.Parameter] = {
            layer.parameter: model.get_parameter(layer.parameter) for layer in self.layers
        }
        self.bits: dict[str, Tensor] = {
            # Row-major whatever the weight's layout: digests, packed bits and ties go by that order.
            name: torch.ones_like(weight, dtype=torch.bool, memory_format=torch.contiguous_format)
            for name, weight in self._parameters.items()
        }
        self.generation = 0
        self._factors: list[tuple[Tensor, Tensor]] = []
        # Masks change between steps only; what follows from them is made anew when their generation has moved.
        self._factors_generation = -1

    def parameter(self, name: str) -> nn.Parameter:
        """The model's parameter that the mask ``name`` belongs to."""
        return self._parameters[name]

    def weight(self, layer: Layer) -> Tensor:
        """The layer's weights, a detached view: writing to it writes to the model."""
        return layer.of(self._parameters[layer.parameter].detach())

    def mask(self, layer: Layer) -> Tensor:
        """The layer's mask, a view."""
        return layer.of(self.bits[layer.parameter])

    def set(self, bits: Mapping[str, Tensor]) -> None:
        """Replace masks by name; weights are left alone (see :meth:`apply`).

        Raises:
            ValueError: a name that is not prunable, or a wrong shape.
        """
        for name, mask in bits.items():
            if name not in self.bits:
                raise ValueError(f"{name} is not a prunable parameter of this model")
            if mask.shape != self.bits[name].shape:
                raise ValueError(f"{name}: mask of shape {tuple(mask.shape)}, weight of {tuple(self.bits[name].shape)}")
        # Only now, so that refused masks leave all of the old ones (and the generation) in place.
        for name, mask in bits.items():
            self.bits[name] = mask.to(device=self.bits[name].device, dtype=torch.bool).contiguous().clone()
        self.generation += 1

    def update(self, layer: Layer, on: Tensor | None = None, off: Tensor | None = None) -> None:
        """Activate the connections in ``on`` and put to rest those in ``off`` (bool, the layer's shape)."""
        mask = self.mask(layer)
        if on is not None:
            # In place: the mask is a view of its parameter's, which may hold other gates.
            mask |= on
        if off is not None:
            mask &= ~off
        self.generation += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Set the weights of dormant connections to exactly zero, in place."""
        for name, weight in self._parameters.items():
            weight.masked_fill_(~self.bits[name], 0.0)

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Multiply the gradients by the masks, in place, in one fused call. Parameters without a gradient are passed.

        A non-finite gradient stays non-finite: the loop's own check of the loss is what catches divergence.
        """
        if self._factors_generation != self.generation:
            # Weights without a dormant connection are left out: a dense model pays nothing.
            self._factors = [
                (weight, mask.to(weight.dtype).contiguous(memory_format=_format(weight)))
                for mask, weight in zip(self.bits.values(), self._parameters.values(), strict=True)
                if not bool(mask.all())
            ]
            self._factors_generation = self.generation
        pairs = [(weight.grad, factor) for weight, factor in self._factors if weight.grad is not None]
        if pairs:
            torch._foreach_mul_([grad for grad, _ in pairs], [factor for _, factor in pairs])

    @property
    def active(self) -> int:
        """Number of active connections."""
        return sum(int(mask.sum()) for mask in self.bits.values())

    @property
    def total(self) -> int:
        """Number of connections, active and dormant."""
        return sum(mask.numel() for mask in self.bits.values())

    @property
    def density(self) -> float:
        """Active over all connections."""
        return self.active / self.total

    def densities(self) -> dict[str, float]:
        """Density by layer name."""
        return {layer.name: float(self.mask(layer).float().mean()) for layer in self.layers}

    def digest(self) -> str:
        """64-bit digest of all masks (16 hex digits)."""
        return digest(self.bits)


def _format(weight: Tensor) -> torch.memory_format:
    channels_last = weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last and not weight.is_contiguous() else torch.contiguous_format
