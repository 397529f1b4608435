"""The page as a file."""

from __future__ import annotations

import os
from pathlib import Path

from raygp.errors import InputError, RaygpError
from raygp.page.render import GENERATOR, PACKAGES, render
from raygp.page.story import Story
from raygp.tasks.extras import require

_START = 4096
"""Bytes within which a page says who made it."""


def check_free(out: str | os.PathLike[str]) -> None:
    """Make sure, before anything takes time, that a page can be written there: over an earlier one, but over nothing
    else.

    Raises:
        InputError: it cannot, or a package of the extra ``report`` is missing.
    """
    for package in PACKAGES:
        require(package, "raygp report", "report")
    path = Path(out)
    if not str(out).strip():
        raise InputError("--out is empty: name the file to write, such as report.html")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file in it, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} does not exist: make it first")
    if path.exists():
        with path.open("rb") as file:
            start = file.read(_START)
        if start.strip() and f'content="{GENERATOR}"'.encode() not in start:
            raise InputError(f"{path} is there and was not written by raygp report: give another name")


def write_page(story: Story, out: str | os.PathLike[str]) -> int:
    """Write the page, over an earlier one; it is seen whole or not at all. Gives its size in bytes.

    Raises:
        InputError: something else is there, or a package of the extra ``report`` is missing.
        RaygpError: it cannot be written.
    """
    check_free(out)
    path = Path(out)
    content = render(story).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RaygpError(f"{path} cannot be written: {error.strerror or error}") from error
    return len(content)
