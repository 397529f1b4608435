"""Errors in code of one's own: they name its file and line, not raygp's."""

from __future__ import annotations

import ast
import importlib.util
import traceback
from pathlib import Path
from types import TracebackType

from raygp.errors import InputError, RaygpError

OWN_MODULES: dict[str, str] = {}
"""Modules of this process that hold a task of one's own, and the file that messages name."""


def in_own_code(error: BaseException) -> str | None:
    """What went wrong in code of one's own and where, as one line; None if no such code was running, or if raygp found
    what is wrong and says it.

    The innermost line of one's own counts, however deep in torch the error was raised. Where torch's own layers were
    running for such a task's model, the layer is named.
    """
    if isinstance(error, RaygpError):
        return None
    place, layer = None, ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module in OWN_MODULES:
            inside = frame.f_code.co_name
            place = f"{OWN_MODULES[module]}, line {line}" + (f", in {inside}" if inside != "<module>" else "")
            layer = ""  # Only layers that this line called.
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
        if isinstance(error, Exception):
            said = in_own_code(error) or (in_layer(error, self._model) if self._model else None)
            if said:
                raise InputError(said) from error


def in_layer(error: BaseException, model: str) -> str | None:
    """What went wrong in a layer of torch's, as one line; None if none was running."""
    if isinstance(error, RaygpError):
        return None
    layer = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("torch.nn.modules.") and frame.f_code.co_name.startswith(("forward", "_conv_forward")):
            layer = frame.f_locals.get("self")
    return None if layer is None else f"{model}: {_what(error)} in layer {_shown(layer) or type(layer).__name__}"


def refuse_neighbours(path: Path, text: str) -> None:
    """Refuse code that imports what lies beside it: it would be found here, and not where workers run.

    Raises:
        InputError: it does; the message names the line.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # Whoever runs it says so.
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = ["." if node.level else str(node.module)]
        for name in names:
            if name == "." or _lies_beside(path, name.partition(".")[0]):
                shown = "a module of its own package" if name == "." else f"'{name}', which lies beside it"
                line = getattr(node, "lineno", 1)
                raise InputError(
                    f"{path}, line {line}: it imports {shown}, but this one file alone travels to workers: put "
                    "that code into it, or install both as a package wherever workers run and give --task "
                    "package.module:Class"
                )


def _lies_beside(path: Path, name: str) -> bool:
    """Whether a module of this name is found in the folder of a file, and nowhere else."""
    folder = path.resolve().parent
    if not (folder / f"{name}.py").is_file() and not (folder / name).is_dir():
        return False
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return True
    places = [] if found is None else [found.origin, *(found.submodule_search_locations or ())]
    return found is None or any(place and Path(place).resolve().is_relative_to(folder) for place in places)
