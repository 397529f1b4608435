"""The page as a file."""

from __future__ import annotations

import os
from pathlib import Path

from raygp.errors import InputError, RaygpError
from raygp.page.packages import PACKAGES
from raygp.page.render import GENERATOR, render
from raygp.page.saying import numbered
from raygp.page.story import Story
from raygp.tasks.extras import require

LIMIT = 3_000_000
"""Bytes that a page has at most, as far as that is possible."""
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


def fitted(story: Story, limit: int = LIMIT) -> tuple[Story, bytes]:
    """The page of a story, and the story that it tells: of a very long line, the updates that were first are left out.

    Args:
        story: of the line.
        limit: bytes that the page may have.
    """
    content = render(story).encode()
    kept = len(story.updates)
    told = story
    while len(content) > limit and kept > 1:
        kept //= 2
        gone = f"details of the {numbered(len(story.updates) - kept, 'oldest update')}: raygp show VERSION has them"
        told = story.model_copy(update={"updates": story.updates[:kept], "left_out": [*story.left_out, gone]})
        content = render(told).encode()
    return told, content


def write_page(story: Story, out: str | os.PathLike[str]) -> Story:
    """Write the page, over an earlier one; it is seen whole or not at all. Gives the story that it tells.

    Raises:
        InputError: something else is there, or a package of the extra ``report`` is missing.
        RaygpError: it cannot be written.
    """
    check_free(out)
    path = Path(out)
    told, content = fitted(story)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RaygpError(f"{path} cannot be written: {error.strerror or error}") from error
    return told
