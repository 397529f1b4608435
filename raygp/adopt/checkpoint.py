"""Checkpoints as people's trainers write them: safetensors (one file, or parts with an index), and torch's files.

A torch file is a pickle, and a pickle may run anything. So it is loaded with ``weights_only=True``, which builds
tensors and plain containers alone, or not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from raygp.adopt.class_lists import ClassList, class_lists
from raygp.data.text import decode_text
from raygp.errors import InputError
from raygp.store import OriginFile

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Under which trainers put the weights beside what else they keep, in the order in which they are looked for."""
_DEEPEST = 3
_WRAPPED = re.compile(r"^(?:(?:module|model|net|_orig_mod)\.)+")
"""What wrappers put in front of names, so that a model and its running average have the same."""
_INDEX = ".index.json"
_SINGLE = "model.safetensors"
_GLOBAL = re.compile(r"(?:Unsupported global: GLOBAL|unsupported GLOBAL) (\S+)")
_SAVE = "torch.save(model.state_dict(), 'weights.pth')"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds of a model."""

    where: str
    """Its file, for messages."""
    tensors: dict[str, Tensor]
    """By the names in the file, on the CPU."""
    files: tuple[OriginFile, ...]
    class_lists: tuple[ClassList, ...] = ()
    """Names of classes that the file itself has."""
    notes: tuple[str, ...] = ()
    """What of the file is not used, for people."""


def read_checkpoint(weights: str | os.PathLike[str]) -> Checkpoint:
    """Read the weights of a model.

    Args:
        weights: a ``.safetensors`` file; a ``.safetensors.index.json`` with its parts beside it, or a folder that holds
            either; or a file that ``torch.save`` wrote, of a state dict or of a dict with one in it.

    Raises:
        InputError: there is no such file, it is of another kind or damaged, holds code, or has no weights; or those of
            several models, as beside a running average.
    """
    text = os.fspath(weights)
    if "://" in text and not text.startswith("file://"):
        raise InputError(f"{text}: weights are read from this machine: copy the file here first")
    path = _file_of(Path(text.removeprefix("file://")).expanduser())
    if path.name.endswith(_INDEX):
        return _read_parts(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
        files = (_described(path),)
        if _is_safetensors(start, path.stat().st_size):
            tensors, metadata = _read_safetensors(path)
            return Checkpoint(str(path), _checked(tensors, path), files, tuple(class_lists(metadata)))
        if not start.startswith((b"PK\x03\x04", b"\x80")):
            raise InputError(
                f"{path} is neither a safetensors file nor one that torch.save wrote: in the program that made it, "
                f"{_SAVE} writes one"
            )
        content = _read_torch(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    keys, tensors = _weights_in(content, path)
    notes = _beside(content, keys, tensors, path)
    return Checkpoint(str(path), _checked(tensors, path), files, tuple(class_lists(content)), notes)


def _file_of(path: Path) -> Path:
    """The file that a path means: a folder means the safetensors in it."""
    if path.is_dir():
        found = [path / name for name in (_SINGLE + _INDEX, _SINGLE) if (path / name).is_file()]
        if not found:
            raise InputError(f"{path} is a folder without {_SINGLE} or {_SINGLE}{_INDEX}: name the file of the weights")
        return found[0]
    if not path.exists():
        raise InputError(f"{path}: there is no such file of weights")
    return path


def _described(path: Path) -> OriginFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return OriginFile(file=path.name, bytes=path.stat().st_size, sha256=digest)


# -- safetensors ------------------------------------------------------------------------------------------------------


def _is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file begins as safetensors do: with the length of a JSON header."""
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return safetensors.torch.load_file(path), metadata
    except safetensors.SafetensorError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is damaged or no safetensors file ({reason}): copy it again") from error


def _read_parts(index: Path) -> Checkpoint:
    """The parts that an index names, together."""
    try:
        content = json.loads(decode_text(index.read_bytes()))
        parts = sorted(set(content["weight_map"].values()))
    except OSError as error:
        raise InputError(f"{index}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{index}: expected a JSON object with 'weight_map', names of tensors to files") from error
    tensors: dict[str, Tensor] = {}
    files, lists = [_described(index)], list(class_lists(content.get("metadata")))
    for name in parts:
        part = index.parent / str(name)
        if Path(str(name)).name != name or not part.is_file():
            raise InputError(f"{index} names the part '{name}', which is not beside it: copy all parts into one folder")
        files.append(_described(part))
        read, metadata = _read_safetensors(part)
        tensors |= read
        lists += class_lists(metadata)
    return Checkpoint(str(index), _checked(tensors, index), tuple(files), tuple(lists))


# -- torch ------------------------------------------------------------------------------------------------------------


def _read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote: tensors and plain data, never code.

    Raises:
        InputError: there is code in it, or it is damaged.
    """
    if _is_torchscript(path):
        raise InputError(f"{path} is a TorchScript program: load it with torch.jit, then {_SAVE}, and adopt that")
    try:
        with torch.serialization.safe_globals(_plain_values()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # A damaged pickle may raise anything.
        raise InputError(_refusal(path, str(error))) from None


def _plain_values() -> list[Any]:
    """What trainers keep beside weights and is data, not code: their options and numpy's numbers."""
    scalar = np.float64(0.0).__reduce__()[0]
    names = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
    return [argparse.Namespace, np.dtype, *kinds, *((scalar, name) for name in names)]


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _refusal(path: Path, reason: str) -> str:
    if found := _GLOBAL.search(reason):
        return (
            f"{path} holds more than weights: the class {found[1].rstrip('.')}, whose code loading would run. raygp "
            f"does not: where you trust the file, load it with weights_only=False, then {_SAVE}, and adopt that"
        )
    first = reason.strip().split("\n")[0][:200] or "no reason given"
    return f"{path} is damaged or not written by torch.save ({first}): copy it again"


def _weights_in(content: Any, path: Path) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """The state dict in what a trainer wrote, behind the keys under which it stands."""
    taken: list[str] = []
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        inside = [key for key in _WRAPPERS if _has_tensors(content.get(key))]
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if not inside and not tensors:
            # Under a name of its own, if there is no other that it could be.
            inside = [key for key, value in content.items() if _has_tensors(value)]
            if len(inside) != 1:
                break
        if not inside:
            return tuple(taken), tensors
        taken.append(inside[0])
        content = content[inside[0]]
    keys = ", ".join(map(str, content)) if isinstance(content, Mapping) else ""
    found = f"it holds {keys}" if keys else f"it holds a {type(content).__name__}"
    raise InputError(f"{path} has no weights that are known as such ({found[:200]}): {_SAVE} writes them")


def _beside(content: Any, keys: tuple[str, ...], tensors: Mapping[str, Tensor], path: Path) -> tuple[str, ...]:
    """What is said of weights beside those that were found.

    Raises:
        InputError: they are of the same model, such as a running average of it: which is meant is not guessed.
    """
    others = {other: state for other, state in _state_dicts(content) if other != keys}
    shapes = _shapes(tensors)
    rivals = [other for other, state in others.items() if 2 * len(shapes & _shapes(state)) >= len(shapes)]
    if not rivals:
        return tuple(f"{path} has other weights under {_path(other)}: not used" for other in others)
    models = ", ".join(_path(found) for found in (keys, *rivals))
    meant = "".join(f"[{key!r}]" for key in rivals[0])
    raise InputError(
        f"{path} holds several models: under {models}. Save the one that is meant in a file of its own, and adopt it: "
        f"torch.save(content{meant}, 'weights.pth'), where content is what torch loads from {path.name}; "
        "give --classes where class names stood beside it"
    )


def _state_dicts(content: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Every mapping with tensors by name in what a trainer wrote, behind its keys. An optimizer's are by number."""
    if not isinstance(content, Mapping) or len(keys) > _DEEPEST:
        return
    if state := {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}:
        yield keys, state
    for key, value in content.items():
        if isinstance(key, str):
            yield from _state_dicts(value, (*keys, key))


def _shapes(tensors: Mapping[str, Tensor]) -> set[tuple[str, torch.Size]]:
    return {(_WRAPPED.sub("", name), tensor.shape) for name, tensor in tensors.items()}


def _path(keys: Sequence[str]) -> str:
    return "'" + ".".join(keys) + "'" if keys else "no key"


def _has_tensors(value: Any) -> bool:
    """Whether a value is a state dict, or a dict with one in it."""
    if not isinstance(value, Mapping):
        return False
    within = [value, *(value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping))]
    return any(isinstance(item, Tensor) and isinstance(key, str) for part in within for key, item in part.items())


def _checked(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors, detached.

    Raises:
        InputError: there is none, or one is quantized, sparse or not finite.
    """
    if not tensors:
        raise InputError(f"{path} holds no tensor")
    found = {name: tensor.detach() for name, tensor in tensors.items()}
    odd = [name for name, tensor in found.items() if tensor.is_quantized or tensor.layout is not torch.strided]
    if odd:
        raise InputError(f"{path}: {_named(odd)} is quantized or sparse: adopt the dense weights that it was made from")
    broken = [name for name, tensor in found.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise InputError(f"{path}: {_named(broken)} has values that are not finite: take an earlier checkpoint")
    return found


def _named(names: Sequence[str]) -> str:
    more = f" (and {len(names) - 1:,} more)" if len(names) > 1 else ""
    return f"{names[0]}{more}"
