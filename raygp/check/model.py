"""Checks of the model: how it is built, what is prunable, what it gives, and what its outputs depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from raygp.check.finding import Fault
from raygp.check.subject import Subject, differ, finite, global_seed, pick, row_of, shape_of
from raygp.sparse.layers import prunable_layers
from raygp.tasks.layers import build_bare
from raygp.tasks.padded import Padded

_SEED = 5
_ALONE = 4
"""So many rows are given to the model one by one."""


def seeded_model(subject: Subject) -> nn.Module:
    """A model for the rows' classes, from a fixed seed."""
    with global_seed(_SEED):
        model: Any = subject.task.build_model(_outputs(subject))
    if not isinstance(model, nn.Module):
        raise Fault(f"build_model must give a torch.nn.Module, and gives {type(model).__name__}")
    return model


def building(subject: Subject) -> str:
    """The same seed gives the same model, and more classes change the output layer alone."""
    subject.model = model = seeded_model(subject)
    again = seeded_model(subject).state_dict()
    for name, value in model.state_dict().items():
        if not torch.equal(value, again[name]):
            raise Fault(
                f"two models from the same seed differ in {name}: draw first weights from torch's global generator, so "
                "that all workers begin with the same"
            )
    size = sum(parameter.numel() for parameter in model.parameters())
    if not size:
        raise Fault("the model has no parameters")
    return f"{size:,} parameters, output layer {_output_layer(subject)}"


def _output_layer(subject: Subject) -> str:
    classifier = subject.task.classifier
    names = dict(subject.network.named_parameters())
    if f"{classifier}.weight" not in names:
        raise Fault(f"classifier names '{classifier}', and the model has no {classifier}.weight")
    if not _outputs(subject):
        return classifier
    grown = dict(build_bare(subject.task.build_model, _outputs(subject) + 1).named_parameters())
    others = [name for name, value in names.items() if name not in grown or value.shape != grown[name].shape]
    strange = [name for name in others if name.rpartition(".")[0] != classifier]
    if strange or f"{classifier}.weight" not in others:
        what = f"{', '.join(strange)} change" if strange else f"{classifier}.weight does not change"
        raise Fault(f"{what} with the number of classes: the output layer '{classifier}' alone must")
    return classifier


def pruning(subject: Subject) -> str:
    """There is something to prune."""
    model, task = subject.network, subject.task
    try:
        layers = prunable_layers(model, task.dense)
    except ValueError as error:
        raise Fault(f"dense: {error}") from error
    weights = {layer.parameter for layer in layers}
    if not weights:
        kept = f" ({', '.join(task.dense)} stay dense)" if task.dense else ""
        raise Fault(
            f"nothing is prunable{kept}: weights of Linear, Conv and recurrent layers are, made of torch.nn's classes"
        )
    if unknown := sorted(set(task.density_bounds) - weights):
        raise Fault(f"density_bounds names {', '.join(unknown)}: no such weight is prunable")
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    share = sum(sizes[name] for name in weights) / sum(sizes.values())
    dense = f"; kept dense: {', '.join(task.dense)}" if task.dense else ""
    return f"{len(weights)} weights with {share:.0%} of the parameters{dense}"


def outputs(subject: Subject) -> str:
    """The model gives a row of the right shape for each sample."""
    task, model = subject.task, subject.network.eval()
    with torch.no_grad():
        found: Any = model(subject.prepared)
    count, wanted = len(subject.rows), _outputs(subject)
    shapes = [(count, wanted)] if wanted else [(count,), (count, 1)]
    if task.sequences:
        if not isinstance(found, Padded) or len(found.values) != count:
            raise Fault(f"the model must give a Padded of {count} sequences, and gives {shape_of(found)}")
    elif not isinstance(found, Tensor) or tuple(found.shape) not in shapes:
        each = f"{wanted} classes" if wanted else "one number each"
        raise Fault(f"the model must give {count} x {wanted or 1} ({each}), and gives {shape_of(found)}")
    if not finite(found):
        raise Fault("the model gives values that are NaN or infinite")
    subject.outputs = found
    return f"{shape_of(subject.prepared)} to {shape_of(found)}"


def batching(subject: Subject) -> str:
    """In evaluation mode a row's output does not depend on what it is batched with."""
    model = subject.network.eval()
    for row in range(min(_ALONE, len(subject.rows))):
        with torch.no_grad():
            alone = model(pick(subject.prepared, [row]))
        first, second = row_of(alone, 0), row_of(subject.outputs, row)
        if differ(first, second):
            apart = f"by up to {float((first - second).abs().max()):.3g}" if first.shape == second.shape else "in shape"
            raise Fault(
                f"outputs of {subject.rows[row].key} differ {apart} between a batch of 1 and one of "
                f"{len(subject.rows)}, in evaluation mode{_culprit(subject, row)}"
            )
    return f"the same alone and among {len(subject.rows)}, in evaluation mode"


def _outputs(subject: Subject) -> int:
    """Number of classes that the model is built for; 0 where it gives a number."""
    return len(subject.classes)


def _culprit(subject: Subject, row: int) -> str:
    """The first layer whose output depends on the batch; empty if none of them shows it by itself."""
    whole = _traced(subject.network, lambda: subject.network(subject.prepared))
    alone = _traced(subject.network, lambda: subject.network(pick(subject.prepared, [row])))
    for (name, given), (_, lone) in zip(whole, alone, strict=False):
        if len(given) == len(subject.rows) and len(lone) == 1 and differ(lone[0], given[row]):
            return f". The first layer that does: {name}"
    return ""


def _traced(model: nn.Module, call: Callable[[], object]) -> list[tuple[str, Tensor]]:
    """The outputs of the innermost layers, in the order in which they are called."""
    found: list[tuple[str, Tensor]] = []
    hooks = []
    for name, module in model.named_modules():
        if not list(module.children()):
            shown = f"{name} ({type(module).__name__})"

            def keep(module: nn.Module, given: Any, output: Any, shown: str = shown) -> None:
                if isinstance(output, Tensor) and output.ndim:
                    found.append((shown, output))

            hooks.append(module.register_forward_hook(keep))
    try:
        with torch.no_grad():
            call()
    finally:
        for hook in hooks:
            hook.remove()
    return found
