"""Names in a task of one's own that nothing reads and that look like ones that raygp does: misspelt, most likely."""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
from collections.abc import Iterable
from types import FunctionType
from typing import Any

_ALIKE = 0.7
"""How much two names have in common that may be meant for each other: ``augmentation`` and ``augment`` have so much."""
_BESIDE = ("loss", "metric")
"""Functions that are taken from beside the class."""


def misspelt(task: type[Any], text: str) -> list[str]:
    """A line for each name that is ignored: in the class, and of functions beside it.

    Args:
        task: the class.
        text: of the file that it stands in; empty: it is looked up.
    """
    module = sys.modules.get(task.__module__)
    own = [found for found in task.__mro__ if found.__module__ == task.__module__]
    known = {name for found in task.__mro__ if found not in own for name in [*vars(found), *_annotated(found)]}
    read = _names_read(text or _source_of(module))
    said = []
    for found in reversed(own):
        mine = [name for name in vars(found) if name not in known and name not in read]
        said += [_line(found.__name__, name, meant) for name in mine if (meant := _meant(name, known))]
    free = [name for name in _BESIDE if getattr(task, name, None) is None]
    for name, value in vars(module).items() if module else ():
        mine_too = isinstance(value, FunctionType) and value.__module__ == task.__module__
        if mine_too and name not in read and name not in _BESIDE and (meant := _meant(name, free)):
            said.append(_line("the function", name, meant))
    return said


def _line(where: str, name: str, meant: str) -> str:
    shown = f"{where} {name}" if where == "the function" else f"{where}.{name}"
    return f"{shown} is ignored: nothing reads it. Is {meant} meant?"


def _meant(name: str, known: Iterable[str]) -> str:
    """The name that is meant; empty if none is like it."""
    if name.startswith("_"):
        return ""
    plain = {each.replace("_", "").lower(): each for each in sorted(known) if not each.startswith("_")}
    found = difflib.get_close_matches(name.replace("_", "").lower(), plain, 1, _ALIKE)
    return plain[found[0]] if found else ""


def _annotated(found: type[Any]) -> Iterable[str]:
    return list(vars(found).get("__annotations__", ()))


def _names_read(text: str) -> set[str]:
    """All names that some code reads, of whatever."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return set()
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def _source_of(module: Any) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return ""
