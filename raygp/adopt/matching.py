"""Which tensor of a checkpoint is which of a model: by name and shape, whatever wrapped the model when it was saved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raygp.adopt.checkpoint import Checkpoint
from raygp.data.listing import listed
from raygp.errors import InputError

_LEAST = 0.5
"""Part of the weights in front of the output layer that must load: with less, it is another model."""
_MOST_LEFT = 0.1
"""Part of the checkpoint's values that may be left over beside heads: with more, it is a larger model."""
_HEADS = re.compile(
    r"(?:fc|(?:aux|(?:\w+_)?heads?|classif|logits|last_linear|output|criterion|loss)[a-z_]*\d*)(?:\.|$)", re.IGNORECASE
)
"""How modules are called that are an output layer, or one beside it for training alone."""
_BLOCK = re.compile(r"(?:.*_)?(\d+)")
"""How a module is called that is one of several alike, one behind the other: ``2``, ``encoder_layer_2``."""
_COMPILED = "_orig_mod."
"""What ``torch.compile`` puts in front of a module's names, at any depth."""


@dataclass(frozen=True)
class Match:
    """How the tensors of a checkpoint fit a model."""

    tensors: dict[str, Tensor]
    """Those that fit, by the model's names."""
    made_new: tuple[str, ...]
    """Names of the model's that are not in the checkpoint: they keep the values that the new model has."""
    left_over: tuple[str, ...]
    """Names of the checkpoint's that the model does not have."""
    other_shape: tuple[str, ...]
    """What has another shape in the two, in words; such a tensor is new, too."""
    prefix: str = ""
    """What stood before the names in the checkpoint: "module." and the like."""
    notes: tuple[str, ...] = ()
    """What a person has to know of the output layer."""


def outputs_of(checkpoint: Checkpoint, model: nn.Module, classifier: str) -> int | None:
    """How many outputs the checkpoint's output layer has; None if it has none of the name.

    Args:
        checkpoint: of a model of this kind.
        model: with any number of outputs.
        classifier: name of the output layer.
    """
    name = f"{classifier}.weight"
    weight = _renamed(checkpoint, model, classifier)[0].get(name)
    # An output layer behind another width says nothing of classes that could be taken over.
    fits = weight is not None and weight.shape[1:] == model.get_parameter(name).shape[1:]
    return len(weight) if weight is not None and fits else None


def match(checkpoint: Checkpoint, model: nn.Module, classifier: str, task: str) -> Match:
    """Find the model's tensors in a checkpoint. Nothing is changed.

    Args:
        checkpoint: that was read.
        model: with as many outputs as it is to have.
        classifier: name of its output layer, which may be new.
        task: name of the line's task, for messages.

    Raises:
        InputError: most of the model is not in the checkpoint, much of the checkpoint is not in the model, or it holds
            several models, or one with more or fewer blocks.
    """
    renamed, left_over, prefix, rivals, inside = _renamed(checkpoint, model, classifier)
    state = model.state_dict()
    fits = {name: tensor for name, tensor in renamed.items() if tensor.shape == state[name].shape}
    other = [
        f"{name} ({_shape(tensor)} in the file, {_shape(state[name])} in the model)"
        for name, tensor in renamed.items()
        if name not in fits
    ]
    missing = [name for name in state if name not in renamed]
    notes = _head_notes(checkpoint, fits, left_over, state, classifier, inside)
    found = Match(fits, tuple(missing), tuple(left_over), tuple(other), prefix, notes)
    if (share := _share(found, model, classifier)) < _LEAST:
        raise InputError(_other_model(checkpoint.where, task, share, found, len(state)))
    if rivals:
        models = ", ".join(repr(prefix) if prefix else "no prefix" for prefix in rivals)
        raise InputError(
            f"{checkpoint.where} holds several models whose names fit: under {models}: save the "
            "tensors of the one that is meant in a file of their own, and adopt that"
        )
    body = [name for name in left_over if not _is_head(name, prefix, classifier)]
    lacks = [name for name in missing if not name.startswith(f"{classifier}.")]
    if problem := _other_depth(renamed, lacks, [name.replace(_COMPILED, "").removeprefix(prefix) for name in body]):
        raise InputError(
            f"{checkpoint.where} is of a model of another depth than the line's task {task}: {problem}. Make a line "
            "for the model that it is of"
        )
    sizes = {name: tensor.numel() for name, tensor in checkpoint.tensors.items()}
    if (share := sum(sizes[name] for name in body) / max(1, sum(sizes.values()))) > _MOST_LEFT:
        raise InputError(
            f"{checkpoint.where} is of a larger model than the line's task {task}: {share:.0%} of its values, in "
            f"{len(body):,} of its {len(sizes):,} tensors, have no place in the model: {listed(body)}. Make a line for "
            "the model that it is of, or save the tensors that are meant in a file of their own"
        )
    return found


@torch.no_grad()
def load(found: Match, model: nn.Module) -> list[str]:
    """Fill the model with what fits, in place. Returns the names of what was stored in another precision."""
    state = model.state_dict()
    for name, tensor in found.tensors.items():
        state[name].copy_(tensor)
    return [name for name, tensor in found.tensors.items() if tensor.dtype != state[name].dtype]


class _Renamed(NamedTuple):
    """The tensors of a checkpoint by a model's names."""

    tensors: dict[str, Tensor]
    left_over: list[str]
    """Names in the checkpoint."""
    prefix: str
    """That was taken off."""
    rivals: list[str]
    """Where there are several prefixes that could be meant, all of them."""
    inside: str
    """Module of the checkpoint that is the output layer, where it stands inside one of its name; else empty."""


def _renamed(checkpoint: Checkpoint, model: nn.Module, classifier: str) -> _Renamed:
    names = set(model.state_dict())
    plain = {name: name.replace(_COMPILED, "") for name in checkpoint.tensors}
    counts: Counter[str] = Counter()
    for name in plain.values():
        parts = name.split(".")
        for start in range(len(parts)):
            if (rest := ".".join(parts[start:])) in names:
                counts[name[: len(name) - len(rest)]] += 1
    ranked = sorted(counts, key=lambda prefix: (-counts[prefix], len(prefix), prefix))
    prefix = ranked[0] if ranked else ""
    renamed: dict[str, Tensor] = {}
    left_over: list[str] = []
    for name, tensor in checkpoint.tensors.items():
        rest = plain[name].removeprefix(prefix)
        if plain[name].startswith(prefix) and rest in names:
            renamed[rest] = tensor
        else:
            left_over.append(name)
    # Only what is left over counts: "conv1.weight" of a block is no other model's.
    again = (
        [other for other in ranked if 2 * _fitting(left_over, plain, other, names) >= len(renamed)] if renamed else []
    )
    rivals = [prefix, *(other for other in again if other != prefix)] if again else []
    inside = _inside(
        checkpoint.tensors, [name for name in left_over if plain[name].startswith(f"{prefix}{classifier}.")]
    )
    head = model.state_dict().get(f"{classifier}.weight")
    parts = [name for name in names if name.startswith(f"{classifier}.")]
    if inside and head is not None and not set(parts) & set(renamed):
        moved = {f"{classifier}.{kind}": f"{inside}.{kind}" for kind in ("weight", "bias")}
        moved = {name: old for name, old in moved.items() if old in checkpoint.tensors}
        if set(moved) == set(parts) and checkpoint.tensors[f"{inside}.weight"].shape[1:] == head.shape[1:]:
            renamed |= {name: checkpoint.tensors[old] for name, old in moved.items()}
            left_over = [name for name in left_over if name not in moved.values()]
            return _Renamed(renamed, left_over, prefix, rivals, inside)
    return _Renamed(renamed, left_over, prefix, rivals, "")


def _inside(tensors: Mapping[str, Tensor], names: Sequence[str]) -> str:
    """The module whose weight and bias the names are; empty if there is another among them, or none."""
    modules = {name.rpartition(".")[0] for name in names}
    module = modules.pop() if len(modules) == 1 else ""
    weight, bias = (tensors.get(f"{module}.{kind}") for kind in ("weight", "bias"))
    if weight is None or weight.ndim < 2 or (bias is not None and bias.shape != weight.shape[:1]):
        return ""
    return module if len(names) == 1 + (bias is not None) else ""


def _head_notes(
    checkpoint: Checkpoint,
    fits: Mapping[str, Tensor],
    left_over: Sequence[str],
    state: Mapping[str, Tensor],
    classifier: str,
    inside: str,
) -> tuple[str, ...]:
    """Where the output layer is from, if not from its name; or what in the file could be it."""
    head = f"{classifier}.weight"
    if head in fits or head not in state:
        said = (
            f"the output layer {classifier} is loaded from '{inside}', the one layer there: activations and norms in "
        )
        return (f"{said}front of it in the file's model, if any, are not in the line's",) if inside else ()
    alike = [
        name.removesuffix(".weight")
        for name in left_over
        if name.endswith(".weight") and checkpoint.tensors[name].shape == state[head].shape
    ]
    if len(alike) != 1:
        return ()
    return (
        f"'{alike[0]}' in the file has the shape of the output layer: if it is the trained one, rename "
        f"{alike[0]}.weight and .bias to {head} and .bias in the file, and adopt that",
    )


def _fitting(left_over: Sequence[str], plain: Mapping[str, str], prefix: str, names: set[str]) -> int:
    """How many of the names that are left over are the model's behind another prefix."""
    return sum(plain[name].startswith(prefix) and plain[name].removeprefix(prefix) in names for name in left_over)


def _is_head(name: str, prefix: str, classifier: str) -> bool:
    """Whether a tensor of the checkpoint is of an output layer: its own, or one for training alone."""
    rest = name.replace(_COMPILED, "").removeprefix(prefix)
    # Only the outermost module counts: "fc2" deep in a block is no head.
    return bool(_HEADS.match(rest)) or rest.startswith(f"{classifier.split('.')[0]}.")


def _other_depth(loaded: Mapping[str, Tensor], missing: Sequence[str], left_over: Sequence[str]) -> str:
    """Where one of the two models goes on with blocks behind those that they share: in words; empty if nowhere.

    Args:
        loaded: tensors that both have, by the model's names.
        missing: names that the file lacks, but for the output layer.
        left_over: names that the model lacks, but for output layers.
    """
    shared = _last_blocks(loaded)
    of_model, of_file = _last_blocks(missing), _last_blocks(left_over)
    for module, last in shared.items():
        for more, who, other in ((of_model, "the line's model", "the file"), (of_file, "the file", "the line's model")):
            if module in more and more[module] > last:
                return f"'{module}' ends with number {last} in {other}, and with {more[module]} in {who}"
    return ""


def _last_blocks(names: Iterable[str]) -> dict[str, int]:
    """The highest number of the blocks of each module, as far as some of these names stand in it."""
    found: dict[str, int] = {}
    for name in names:
        parts = name.split(".")
        for at, part in enumerate(parts[:-1]):
            if block := _BLOCK.fullmatch(part):
                module = ".".join([*parts[:at], part[: block.start(1)]]).rstrip("._")
                found[module] = max(found.get(module, 0), int(block[1]))
    return found


def _share(found: Match, model: nn.Module, classifier: str) -> float:
    """Part of the weights in front of the output layer that fits; of a model that is nothing else, 1 or 0."""
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    body = [name for name in sizes if not name.startswith(f"{classifier}.")] or list(sizes)
    return sum(sizes[name] for name in body if name in found.tensors) / sum(sizes[name] for name in body)


def _other_model(where: str, task: str, share: float, found: Match, names: int) -> str:
    parts = [
        f"not in the file: {listed(found.made_new)}" if found.made_new else "",
        f"of another shape: {listed(found.other_shape, 3)}" if found.other_shape else "",
        f"in the file alone: {listed(found.left_over)}" if found.left_over else "",
    ]
    details: Mapping[str, str] = {part: part for part in parts if part}
    return (
        f"{where} is of another model than the line's task {task}: {len(found.tensors)} of the model's {names} tensors "
        f"fit, {share:.0%} of its weights; {'; '.join(details)}. Give the checkpoint of such a model, or make a line "
        "for the model that it is of"
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
