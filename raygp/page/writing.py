"""The page as a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from raygp.data.listing import numbered
from raygp.errors import InputError, RaygpError
from raygp.page.packages import PACKAGES
from raygp.page.render import GENERATOR, render
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
    if not str(out).strip():
        raise InputError("--out is empty: name the file to write, such as report.html")
    try:
        _check_place(Path(out))
    except OSError as error:
        raise InputError(f"{out!s} cannot be written: {_reason(error)}: give another name") from error


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file in it, such as {path / 'report.html'}")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} does not exist: make it first")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no plain file, and would be replaced by one: give another name")
    if path.exists():
        with path.open("rb") as file:
            start = file.read(_START)
        if start.strip() and f'content="{GENERATOR}"'.encode() not in start:
            raise InputError(f"{path} is there and was not written by raygp report: give another name")
    # Whether somebody may write is found out by writing: modes do not say it of root, or of a disk that is read-only.
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


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
    # As short as can be: with more than its own name, a file of a long name could not be written.
    beside = path.with_name(f".raygp-{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RaygpError(f"{path} cannot be written: {_reason(error)}") from error
    return told
