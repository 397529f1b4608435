"""Which tensors of a model are prunable, how they fall into layers, and which of them had better stay dense.

A *layer* is the unit in which growth and pruning count: a whole weight of a Linear or Conv module, or one of the
matrices that torch stacks along the first dimension of one parameter (the 4 gates of an LSTM, the 3 of a GRU; query,
key and value of an attention).

The rule by kind of layer:

- **prunable** are weights of Linear, Conv and recurrent modules and of torch's attention; never biases, norms,
  embeddings, position tables.
- Of those, :func:`dense_by_kind` keeps **dense**: the first convolution, which every pixel passes through; grouped and
  depthwise convolutions, which are sparse already and hold a few per cent of the weights; and weights that are not
  applied as they are (a layer that standardises its weight, say), since their zeros are no missing connections.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from raygp.sparse.tracing import Trace

_GATES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.LSTM: ("input", "forget", "cell", "output"),
    nn.GRU: ("reset", "update", "new"),
    nn.RNN: ("hidden",),
}
_ATTENTION: dict[str, tuple[str, ...]] = {
    "in_proj_weight": ("query", "key", "value"),
    # Where keys or values have another width, the three are parameters of their own.
    "q_proj_weight": ("",),
    "k_proj_weight": ("",),
    "v_proj_weight": ("",),
}
_PLAIN = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@dataclass(frozen=True)
class Layer:
    """A run of rows of one prunable parameter."""

    name: str
    """The parameter's name, with the gate in brackets where it has gates: ``rnn.weight_hh_l0[forget]``."""

    parameter: str
    start: int
    stop: int

    def of(self, tensor: Tensor) -> Tensor:
        """This layer's view of a tensor that has the parameter's shape."""
        return tensor[self.start : self.stop]


def prunable_layers(model: nn.Module, dense: Collection[str] = ()) -> list[Layer]:
    """The prunable layers of ``model`` in the order of its parameters.

    Args:
        model: any module; weights of Linear, Conv, attention and recurrent submodules count, never biases or norms. A
            parameter that two modules share counts once.
        dense: names of parameters to leave out.

    Raises:
        ValueError: ``dense`` names a parameter that is not prunable.
    """
    layers: list[Layer] = []
    seen: set[int] = set()
    known: set[str] = set()
    for module_name, module in model.named_modules():
        for local_name, weight in module.named_parameters(recurse=False):
            gates = _gates_of(module, local_name)
            if not gates or id(weight) in seen:
                continue
            seen.add(id(weight))
            name = f"{module_name}.{local_name}" if module_name else local_name
            known.add(name)
            if name not in dense:
                layers += _split(name, weight, gates)
    unknown = sorted(set(dense) - known)
    if unknown:
        raise ValueError(f"not prunable, so cannot be kept dense: {', '.join(unknown)}")
    return layers


def dense_by_kind(model: nn.Module, trace: Trace) -> tuple[str, ...]:
    """Names of the prunable parameters that had better stay dense, by the rule at the head of this module.

    Args:
        model: any module.
        trace: of one of its forward passes (:func:`raygp.sparse.trace_forward`).
    """
    first = trace.convolutions[:1]
    grouped = [
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd) and module.groups > 1
    ]
    names = dict.fromkeys(layer.parameter for layer in prunable_layers(model))
    return tuple(name for name in names if name in first or name in grouped or name not in trace.applied)


def _gates_of(module: nn.Module, local_name: str) -> tuple[str, ...]:
    """The gates (or other matrices) stacked in a parameter; one nameless one for a plain weight; none if it is not
    prunable."""
    if isinstance(module, _PLAIN):
        return ("",) if local_name == "weight" else ()
    if isinstance(module, nn.MultiheadAttention):
        return _ATTENTION.get(local_name, ())
    for kind, gates in _GATES.items():
        if isinstance(module, kind):
            # weight_hr is the LSTM's projection: one matrix, no gates.
            if local_name.startswith("weight_hr"):
                return ("",)
            return gates if local_name.startswith("weight_") else ()
    return ()


def _split(name: str, weight: Tensor, gates: tuple[str, ...]) -> list[Layer]:
    rows = weight.shape[0] // len(gates)
    return [Layer(f"{name}[{gate}]" if gate else name, name, i * rows, (i + 1) * rows) for i, gate in enumerate(gates)]
