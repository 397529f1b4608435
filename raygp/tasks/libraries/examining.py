"""What raygp has to know of a model, found by building it twice and running it once, on torch's meta device: shapes are
worked out, and no memory is needed for weights."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from raygp.errors import InputError
from raygp.sparse import dense_by_kind, prunable_layers, trace_forward
from raygp.tasks.libraries.common import Library
from raygp.tasks.networks import Network, network_of

_CLASSES = 7, 11
"""Numbers of classes that no width of a network has. Its output layer is what differs between the two."""
_MOST_WEIGHTS = 200_000_000
"""A model with more weights is not built in memory for its examination."""


@dataclass(frozen=True)
class Found:
    """What an examination found."""

    output_layers: tuple[str, ...]
    """Names of the layers that have a row for each class."""
    dense: tuple[str, ...]
    """Prunable weights that had better stay dense."""
    prunable: tuple[str, ...]
    """All prunable weights."""
    network: Network
    architecture: str
    """Digest; see :func:`architecture_of`."""


def examine(
    library: Library, model: str, image_size: int, channels: int, arguments: Mapping[str, Any], usual_size: int
) -> Found:
    """Look at a model of a library.

    Args:
        library: that builds it.
        model: its name there.
        image_size: side of the images that it is to take.
        channels: of the images.
        arguments: for the library's factory.
        usual_size: side of the images that the library made it for.

    Raises:
        InputError: it cannot be built or cannot take such images, has several outputs or no output layer, or nothing
            of it can be pruned.
    """

    called = f"{library.name}:{model}"
    size = _Size(called, image_size, usual_size)

    def build(classes: int) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return library.build(model, classes, channels, arguments)

    first, second, outputs = _first_that_works(build, channels, size)
    for output in outputs:
        _check_output(called, output)
    layers = output_layers(called, first, second)
    example = torch.zeros(1, channels, image_size, image_size, device=next(first.parameters()).device)
    trace = trace_forward(first, example)
    sizes = {layer.parameter: first.get_parameter(layer.parameter).numel() for layer in prunable_layers(first)}
    if sum(count for name, count in sizes.items() if name not in trace.applied) > sum(sizes.values()) / 2:
        raise InputError(
            f"{called} cannot be pruned: most of its weights are computed anew in each step (weight standardisation, "
            "say), so that a zero among its parameters is no missing connection. Choose another model"
        )
    dense = dense_by_kind(first, trace)
    if {f"{layer}.weight" for layer in layers} | set(dense) >= set(sizes):
        raise InputError(f"{called}: nothing in it can be pruned but its output layer. Choose another model")
    return Found(layers, dense, tuple(sizes), network_of(first, trace), architecture_of(first, layers))


def output_layers(called: str, first: nn.Module, second: nn.Module) -> tuple[str, ...]:
    """Names of the layers that have a row for each class: those whose shapes differ between models for two numbers of
    classes. Most models have one; the mean of several is the output of a few.

    Raises:
        InputError: there is none.
    """
    shapes = {name: parameter.shape for name, parameter in second.named_parameters()}
    found = {name: p.shape for name, p in first.named_parameters() if p.shape != shapes.get(name)}
    layers = tuple(dict.fromkeys(name.rpartition(".")[0] for name in found))
    by_rows = all(f"{layer}.weight" in found for layer in layers)
    if not layers or not by_rows or any(shape[0] != _CLASSES[0] for shape in found.values()):
        raise InputError(f"{called}: no layer has a row for each class: raygp can train classifiers only")
    return layers


def architecture_of(model: nn.Module, output_layers: Sequence[str]) -> str:
    """16 hex digits that stand for the names, shapes and kinds of a model's parts, whatever the number of classes."""
    parts = [f"{name} {type(module).__name__}" for name, module in model.named_modules()]
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        parts.append(f"{name} {shape[1:] if name.rpartition('.')[0] in output_layers else shape}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Size:
    """The images that a model is to take."""

    called: str
    side: int
    usual: int

    def refusal(self, error: Exception) -> InputError:
        """That the model cannot be built for these images, or cannot take them, and why."""
        text = str(error).strip().splitlines()
        reason = text[0][:200].rstrip(".") if text else type(error).__name__
        if self.side == self.usual:
            return InputError(f"{self.called} cannot be built and run: {reason}")
        return InputError(
            f"{self.called} cannot take images of {self.side} x {self.side} pixels: {reason}. It was made for "
            f"{self.usual} x {self.usual}: leave --image-size out, or choose another (a multiple of 32 suits most)"
        )


Pair = tuple[nn.Module, nn.Module, list[Any]]
"""Models for two numbers of classes, and the outputs of the first one."""


def _first_that_works(build: Callable[[int], nn.Module], channels: int, size: _Size) -> Pair:
    """The models without memory for their weights; for one that cannot be built or run so, with memory."""
    for make in (_all_on_meta, _weights_on_meta):
        try:
            first, second = (make(build, classes) for classes in _CLASSES)
            return first, second, _outputs(first, channels, size.side, torch.device("meta"))
        except Exception as error:
            if not _is_about_meta(error):
                raise size.refusal(error) from error
    try:
        with torch.random.fork_rng(devices=[]):
            first, second = (build(classes) for classes in _CLASSES)
            if sum(parameter.numel() for parameter in first.parameters()) > _MOST_WEIGHTS:
                raise ValueError(f"it has more than {_MOST_WEIGHTS:,} weights and cannot be examined without memory")
            return first, second, _outputs(first, channels, size.side, torch.device("cpu"))
    except Exception as error:
        raise size.refusal(error) from error


def _all_on_meta(build: Callable[[int], nn.Module], classes: int) -> nn.Module:
    with torch.device("meta"):
        return build(classes)


def _weights_on_meta(build: Callable[[int], nn.Module], classes: int) -> nn.Module:
    """For a model whose constructor calculates with tensors that are no weights."""

    def moved(module: nn.Module, name: str, weight: nn.Parameter | None) -> nn.Parameter | None:
        return None if weight is None else nn.Parameter(weight.to("meta"), weight.requires_grad)

    # A hook may return another parameter, which torch's annotations do not say.
    handle = register_module_parameter_registration_hook(moved)  # type: ignore[arg-type]
    try:
        return build(classes).to("meta")
    finally:
        handle.remove()


def _outputs(model: nn.Module, channels: int, side: int, device: torch.device) -> list[Any]:
    """What a model makes of two images, in training and in evaluation."""
    images = torch.zeros(2, channels, side, side, device=device)
    found = []
    for training in (True, False):
        model.train(training)
        with torch.no_grad():
            found.append(model(images))
    return found


def _check_output(called: str, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise InputError(
            f"{called} gives a {type(output).__name__} and not one tensor of logits: it has several outputs, and raygp "
            "trains one. Choose another model, or a task of your own that takes the right one"
        )
    if tuple(output.shape) != (2, _CLASSES[0]):
        raise InputError(
            f"{called} gives a tensor of shape {tuple(output.shape)} for 2 images and {_CLASSES[0]} classes: it is no "
            "classifier of whole images"
        )


def _is_about_meta(error: Exception) -> bool:
    return isinstance(error, NotImplementedError) or "meta" in str(error)
