"""What every library of models has to say, and a model that is built by its name."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from torch import nn

from raygp.errors import InputError


@dataclass(frozen=True)
class Defaults:
    """Which images a model was made for."""

    image_size: int
    mean: tuple[float, ...]
    """By channel, of pixels in [0, 1]."""
    std: tuple[float, ...]


class Library(Protocol):
    """A library of classifiers."""

    name: str
    """Of the library, of the package that is imported, and of raygp's extra where it has one."""

    def names(self) -> Sequence[str]:
        """All models that it can build."""
        ...

    def has(self, model: str) -> bool:
        """Whether it can build a model of this name."""
        ...

    def defaults(self, model: str) -> Defaults:
        """What the library says of the model's input."""
        ...

    def arguments(self, model: str, image_size: int) -> dict[str, Any]:
        """What its factory has to be told beside the number of classes, as plain data: for images of this size, or to
        have one output."""
        ...

    def build(self, model: str, classes: int, channels: int, arguments: Mapping[str, Any]) -> nn.Module:
        """The model, freshly initialised from torch's global generator: N x channels x H x W to N x classes."""
        ...


def import_library(name: str) -> ModuleType:
    """Import a library.

    Raises:
        InputError: it is not installed, or it cannot be loaded.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise InputError(f"{name} cannot be loaded: {error}") from error
        raise InputError(f"{name} is not installed: pip install 'raygp[{name}]'") from error
    except ImportError as error:
        raise InputError(f"{name} cannot be loaded: {error}") from error


def version_of(name: str) -> str:
    """The installed version of a library."""
    import_library(name)
    return importlib.metadata.version(name)


def require_model(library: Library, model: str) -> None:
    """Refuse a name that the library does not know.

    Raises:
        InputError: with the closest names.
    """
    if library.has(model):
        return
    close = difflib.get_close_matches(model, library.names(), n=5, cutoff=0.6)
    hint = f": did you mean {', '.join(close)}?" if close else f": raygp can build its {len(library.names()):,} models"
    raise InputError(f"{library.name} has no classifier called '{model}'{hint}")
