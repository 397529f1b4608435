"""Packages of the extra ``export``, imported when they are needed."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

from raygp.errors import InputError


@cache
def needed(name: str) -> ModuleType:
    """A package of the extra ``export``.

    Raises:
        InputError: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"ONNX needs {name}, which is not installed: pip install 'raygp[export]'") from error


def onnx() -> ModuleType:
    """The package of that name. Raises as :func:`needed`."""
    return needed("onnx")


def onnxruntime() -> ModuleType:
    """The package of that name. Raises as :func:`needed`."""
    return needed("onnxruntime")
