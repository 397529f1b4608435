"""Errors in code of one's own: they name its file and line, not raygp's."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from raygp.errors import InputError, RaygpError

OWN_MODULES: dict[str, str] = {}
"""Modules of this process that hold a task of one's own, and the file that messages name."""


def in_own_code(error: BaseException) -> str | None:
    """What went wrong in code of one's own and where, as one line; None if no such code was running.

    The innermost line of one's own counts, however deep in torch the error was raised. Where torch's own layers were
    running for such a task's model, the layer is named.
    """
    place, layer = None, ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module in OWN_MODULES:
            place = f"{OWN_MODULES[module]}, line {line}, in {frame.f_code.co_name}"
        elif module.startswith("torch.nn.modules.") and frame.f_code.co_name == "forward":
            layer = _shown(frame.f_locals.get("self"))
    if place is None:
        return None
    inside = f" in layer {layer}" if layer else ""
    return f"{place}: {_what(error)}{inside}"


def _shown(layer: object) -> str:
    """A layer as torch shows it, where that is short."""
    text = repr(layer)
    return text if "\n" not in text and len(text) <= 100 else ""


def _what(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"


class Told:
    """Around calls of code of one's own: what it raises becomes an InputError that names its file and line. Errors of
    raygp's, and those in which no such code was running, pass.

    Args:
        model: what is said where no line of one's own was running, but a layer of torch's: a model that is made of
            torch's layers alone, such as ``Sequential``. Empty: such errors pass.
    """

    def __init__(self, model: str = "") -> None:
        self._model = model

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, RaygpError):
            said = in_own_code(error) or (self._model and in_layer(error, self._model))
            if said:
                raise InputError(said) from error


def in_layer(error: BaseException, model: str) -> str | None:
    """What went wrong in a layer of torch's, as one line; None if none was running."""
    layer = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("torch.nn.modules.") and frame.f_code.co_name.startswith(("forward", "_conv_forward")):
            layer = frame.f_locals.get("self")
    return None if layer is None else f"{model}: {_what(error)} in layer {_shown(layer) or type(layer).__name__}"


def missing_neighbour(file: str, error: Exception) -> str:
    """What to do where the code imports a file that lies beside it; empty if that is not what went wrong."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    return (
        f". Only {Path(file).name} itself travels to workers: put what it imports into it, or install it as a package "
        "wherever workers run"
    )
