"""Packages that only some of raygp needs, imported when it does."""

from __future__ import annotations

import importlib
import importlib.util
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
        raise InputError(_missing(name, who, extra)) from error


def installed(name: str, who: str, extra: str) -> None:
    """Make sure that a package of an optional extra is installed, without loading it. Arguments as for :func:`require`.

    Raises:
        InputError: it is not installed; the message says what to install.
    """
    if importlib.util.find_spec(name) is None:
        raise InputError(_missing(name, who, extra))


def _missing(name: str, who: str, extra: str) -> str:
    return f"{who} needs {name}, which is not installed: pip install 'raygp[{extra}]'"
