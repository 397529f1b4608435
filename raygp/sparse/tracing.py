"""One forward pass of a model, watched: which weights are applied, how often, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from raygp.sparse.layers import prunable_layers

_LINEAR: frozenset[Any] = frozenset({F.linear})
_CONVOLUTIONS: frozenset[Any] = frozenset({torch.conv1d, torch.conv2d, torch.conv3d})
_TRANSPOSED: frozenset[Any] = frozenset({torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d})
_ATTENTION: frozenset[Any] = frozenset({F.scaled_dot_product_attention, F.multi_head_attention_forward})
_SOFTMAX: frozenset[Any] = frozenset({F.softmax, torch.softmax, Tensor.softmax})


@dataclass
class Trace:
    """What a forward pass of one example did with each prunable weight, by parameter name."""

    uses: dict[str, float] = field(default_factory=dict)
    """How often each connection was used."""
    convolutions: list[str] = field(default_factory=list)
    """Weights of convolutions in the order in which they were first applied."""
    applied: set[str] = field(default_factory=set)
    """Weights that were applied as they are. One that is not here was not used, or another weight was computed from it
    (weight standardisation, say): its zeros are then no missing connections."""
    attends: bool = False
    """Whether positions were weighted by a softmax over other positions."""


@torch.no_grad()
def trace_forward(model: nn.Module, example: Any) -> Trace:
    """Watch one forward pass in evaluation mode.

    Args:
        model: in any mode, on any device (``meta`` too); its mode and buffers are left as they were.
        example: a model input with a batch of one.
    """
    watch = _Watch(model)
    handles = watch.hooks()
    # Mode by module: model.train() would wake a frozen norm inside a training model.
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        # With the mode on, torch's transformer layers take no shortcut around their parts.
        with watch:
            model(example)
    finally:
        for module in training:
            module.training = True
        for handle in handles:
            handle.remove()
    return watch.trace


class _Watch(TorchFunctionMode):
    """Notes every call of a linear map with a weight of the model. Modules that are known count by their own call,
    since they may compute their weight; what is applied outside of them counts by the function that applies it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.trace = Trace()
        self._model = model
        # By identity, not by path: a weight that several modules share has one name and all of their uses.
        self._names = {id(model.get_parameter(layer.parameter)): layer.parameter for layer in prunable_layers(model)}
        self._inside = 0

    def hooks(self) -> list[Any]:
        """Hook every module that is known. Returns what removes the hooks."""
        known = (nn.Linear, nn.RNNBase, nn.MultiheadAttention, nn.modules.conv._ConvNd)
        # An embedding may share its weight with a Linear layer, but it looks rows up: no operations.
        found = [module for module in self._model.modules() if isinstance(module, known)]
        before = [module.register_forward_pre_hook(self._enter) for module in found]
        return before + [module.register_forward_hook(self._leave, with_kwargs=True) for module in found]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        output = func(*args, **named)
        if func in _LINEAR | _CONVOLUTIONS | _TRANSPOSED:
            inputs = args[0] if args else named["input"]
            weight = args[1] if len(args) > 1 else named["weight"]
            name = self._names.get(id(weight))
            if name is not None:
                self.trace.applied.add(name)
                if not self._inside:
                    self._note(name, (inputs if func in _TRANSPOSED else output).numel() / weight.shape[0])
                    if func not in _LINEAR:
                        self._note_convolution(name)
        elif func in _ATTENTION or (func in _SOFTMAX and _over_positions(args, named)):
            self.trace.attends = True
        return output

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._inside += 1

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        self._inside -= 1
        if self._inside:
            return  # A part of a module that counts itself.
        given = (*inputs, *named.values())
        for local, weight in _weights(module):
            name = self._names.get(id(weight))
            if name is None:
                continue
            self._note(name, _uses(module, local, weight, given, output))
            if isinstance(module, nn.modules.conv._ConvNd):
                self._note_convolution(name)
            if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
                self.trace.applied.add(name)
        self.trace.attends |= isinstance(module, nn.MultiheadAttention)

    def _note(self, name: str, uses: float) -> None:
        self.trace.uses[name] = self.trace.uses.get(name, 0.0) + uses

    def _note_convolution(self, name: str) -> None:
        if name not in self.trace.convolutions:
            self.trace.convolutions.append(name)


def _weights(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """A module's own parameters by local name; those of an attention's output projection belong to the attention."""
    return list(module.named_parameters(recurse=isinstance(module, nn.MultiheadAttention)))


def _uses(module: nn.Module, local: str, weight: Tensor, inputs: tuple[Any, ...], output: Any) -> float:
    """How often each connection of ``weight`` is used in this call (batch of one)."""
    if isinstance(module, nn.RNNBase):
        steps = inputs[0].data if isinstance(inputs[0], PackedSequence) else inputs[0]
        return float(steps.numel() // steps.shape[-1])
    if isinstance(module, nn.MultiheadAttention):
        queries, keys = (rows.numel() / rows.shape[-1] for rows in inputs[:2])
        # Three matrices in one parameter: one is used by the queries, two by what they look at.
        by_name = {"in_proj_weight": (queries + 2 * keys) / 3, "k_proj_weight": keys, "v_proj_weight": keys}
        return float(by_name.get(local, queries))
    of = inputs[0] if isinstance(module, nn.modules.conv._ConvTransposeNd) else output
    return float(of.numel() / weight.shape[0])


def _over_positions(args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    """Whether a softmax runs over the last of three or more axes, for several rows of each example."""
    of = args[0] if args else named.get("input")
    dim = args[1] if len(args) > 1 else named.get("dim")
    if not isinstance(of, Tensor) or of.dim() < 3 or dim not in (-1, of.dim() - 1):
        return False
    return min(of.shape[-2:]) > 1
