"""``raygp init-task``: write a file to start a task of one's own from."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from raygp.cli.running import make_console
from raygp.errors import InputError

NAME = "init-task"
HELP = "write a commented file to start your own task from"
HAS_ROOT = False
KINDS = ("image", "tabular", "regression", "text", "speech")
"""Kinds of task that a file is written for."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", metavar="FILE", nargs="?", default="my_task.py", help="to write (default my_task.py)")
    parser.add_argument("--kind", choices=KINDS, default="image", help="what samples are (default image)")


def run(options: argparse.Namespace) -> None:
    """Write the file, and say what to do with it.

    Raises:
        InputError: it exists already, or cannot be written.
    """
    path = Path(options.file)
    if path.suffix != ".py":
        raise InputError(f"{path}: a task is a Python file, such as {path.with_suffix('.py')}")
    text = files("raygp.tasks.templates").joinpath(f"{options.kind}.txt").read_text("utf-8")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text.replace("my_task.py", path.name))
    except FileExistsError as error:
        raise InputError(f"{path} exists already: give another name") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    make_console().print(f"wrote {path}: change it, then try it out with raygp check {path}", soft_wrap=True)
