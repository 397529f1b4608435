"""Which tensors of a model are prunable, and how they fall into layers.

A *layer* is the unit in which growth and pruning count: a whole weight of a Linear or Conv module, or one gate matrix
of a recurrent one (torch stacks the 4 gates of an LSTM, the 3 of a GRU, along the first dimension of one parameter).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn

_GATES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.LSTM: ("input", "forget", "cell", "output"),
    nn.GRU: ("reset", "update", "new"),
    nn.RNN: ("hidden",),
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
        model: any module; weights of Linear, Conv and recurrent submodules count, never biases or norms. A parameter
            that two modules share counts once.
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


def _gates_of(module: nn.Module, local_name: str) -> tuple[str, ...]:
    """The gates stacked in a parameter; one nameless gate for a plain weight; none if it is not prunable."""
    if isinstance(module, _PLAIN):
        return ("",) if local_name == "weight" else ()
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
