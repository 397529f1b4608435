"""Packages of the extra ``export``, imported when they are needed."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from raygp.tasks.extras import require


@cache
def needed(name: str) -> ModuleType:
    """A package of the extra ``export``.

    Raises:
        InputError: it is not installed; the message says what to install.
    """
    return require(name, "ONNX", "export")


def onnx() -> ModuleType:
    """The package of that name. Raises as :func:`needed`."""
    return needed("onnx")


def onnxruntime() -> ModuleType:
    """The package of that name. Raises as :func:`needed`."""
    return needed("onnxruntime")
