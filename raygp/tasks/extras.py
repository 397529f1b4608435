"""Packages that only some of raygp needs, imported when it does."""

from __future__ import annotations

import importlib
from types import ModuleType

from raygp.errors import InputError


def require(name: str, who: str, extra: str) -> ModuleType:
    """A package of an optional extra.

    Args:
        name: of the module.
        who: needs it, for the message: "speech".
        extra: that brings it.

    Raises:
        InputError: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{who} needs {name}, which is not installed: pip install 'raygp[{extra}]'") from error
