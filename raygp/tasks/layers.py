"""What a model's layers say of a task: which is the output layer, what stays dense, which kind of network it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from raygp.errors import InputError
from raygp.sparse import Trace, dense_by_kind, prunable_layers, trace_forward
from raygp.tasks.networks import Network, network_of
from raygp.tasks.protocol import Values

BuildModel = Callable[[int], nn.Module]
"""Makes a model for so many classes."""
_FEW, _MORE = 7, 8
"""Numbers of classes of which two models are built to compare them."""
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def build_bare(build: BuildModel, num_classes: int) -> nn.Module:
    """A model whose shapes alone are wanted: without values where it can be built so. Nobody's draws move by it.

    Raises:
        InputError: a layer has no size yet.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                model = build(num_classes)
        except Exception:
            # Some models look at values while they are built. What is wrong with others, the next line says.
            model = build(num_classes)
    _refuse_lazy(model)
    return model


def _refuse_lazy(model: nn.Module) -> None:
    """Refuse layers whose size is open until a first input comes: what is pruned must be known before."""
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        if any(isinstance(value, UninitializedParameter) for value in module.parameters(recurse=False)):
            kind = type(module).__name__
            raise InputError(
                f"build_model: the size of layer {name or kind} ({kind}) is not known before a first input: write "
                f"nn.{kind.removeprefix('Lazy')} with its number of inputs, or call the model once in build_model"
            )


def output_layer(build: BuildModel, task: str) -> str:
    """Name of the layer whose weight has a row for each class.

    Raises:
        InputError: there is none, or more than one; the message says what to do.
    """
    shapes = []
    for count in (_FEW, _MORE):
        model = build_bare(build, count)
        if not isinstance(model, nn.Module):
            raise InputError(f"build_model of {task} must give a torch.nn.Module, and gives {type(model).__name__}")
        shapes.append({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
    few, more = shapes
    grown = [name for name in few if few[name] != more.get(name)]
    # A row for each class, and maybe one more, such as CTC's blank.
    weights = [
        name for name in grown if len(few[name]) > 1 and name in more and more[name][0] - few[name][0] == _MORE - _FEW
    ]
    if not weights:
        raise InputError(
            f"build_model of {task}: no weight has a row for each class (num_classes), so there is no output layer"
        )
    layers = [name.rpartition(".")[0] for name in weights]
    others = [name for name in grown if name.rpartition(".")[0] != layers[0]]
    if len(layers) > 1 or others:
        raise InputError(
            f"build_model of {task}: more than one layer depends on the number of classes: {', '.join(grown)}. The "
            "output layer alone may"
        )
    return layers[0]


def last_layer(build: BuildModel) -> str:
    """Name of the last layer with a weight, for tasks whose outputs are no classes.

    Raises:
        InputError: there is none.
    """
    names = [name for name, value in build_bare(build, 0).named_parameters() if value.ndim > 1]
    if not names:
        raise InputError("build_model gives a model without weights")
    return names[-1].rpartition(".")[0]


def dense_and_network(build: BuildModel, example: Values | None) -> tuple[tuple[str, ...], Network]:
    """Names of weights that had better stay dense, and the kind of network, by one forward pass without values.

    Args:
        build: makes the model.
        example: an input with a batch of one; None: none is known. Then, and where the model cannot take it,
            convolutions are taken to be applied in the order in which the model lists them.
    """
    model = build_bare(build, _FEW)
    trace = None if example is None else _trace(model, example)
    if trace is None and example is not None:
        with torch.random.fork_rng(devices=[]):
            trace = _trace(build(_FEW), example)
    if trace is None:
        prunable = {layer.parameter for layer in prunable_layers(model)}
        convolutions = [f"{name}.weight" for name, module in model.named_modules() if isinstance(module, _CONVOLUTIONS)]
        trace = Trace(convolutions=convolutions, applied=prunable)
    return dense_by_kind(model, trace), network_of(model, trace)


def check_dense(build: BuildModel, dense: Sequence[str], task: str) -> None:
    """Make sure that what is to stay dense are prunable weights.

    Raises:
        InputError: one of them is none; the message lists those that there are.
    """
    known = list(dict.fromkeys(layer.parameter for layer in prunable_layers(build_bare(build, _FEW)))) if dense else []
    for name in dense:
        if name not in known:
            raise InputError(
                f"dense of {task}: no prunable weight is called '{name}'; the model has {', '.join(known)}"
            )


def _trace(model: nn.Module, example: Values) -> Trace | None:
    """What a forward pass shows; None if the model cannot take the example: whoever trains it says why."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    try:
        return trace_forward(model, example.to(device))
    except Exception:
        return None
