"""What surrounds a command: its console, its exit code, and what a signal does to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from raygp.errors import RaygpError, StoppedError
from raygp.loading import ending_on_ctrl_c
from raygp.stopping import Terminated, leave, on_sigterm

_ROOM = 160
"""Columns of tables where the output is no terminal."""


def make_console(as_json: bool = False) -> Console:
    """Where a command prints for people: standard output, or standard error if that is kept for JSON.

    It is as wide as the terminal, and wide enough for every table where it is none.
    """
    stream = sys.stderr if as_json else sys.stdout
    return Console(highlight=False, stderr=as_json, width=None if stream.isatty() else _ROOM)


def print_json(value: Any) -> None:
    """Print plain data as one JSON value on standard output."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def load_slow_modules() -> None:
    """Import what takes seconds and every command that trains or decodes needs; Ctrl-C meanwhile ends the process."""
    with ending_on_ctrl_c():
        import pyarrow.parquet  # noqa: F401
        import torch  # noqa: F401


def run_command(command: Callable[[], None]) -> int:
    """Run a command; a RaygpError becomes one line on standard error and its exit code."""
    try:
        with on_sigterm(leave):
            command()
    except RaygpError as error:
        print(f"raygp: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("raygp: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except Terminated:
        print("raygp: stopped on request; run the same command again to go on", file=sys.stderr)
        return StoppedError.exit_code
    return 0
