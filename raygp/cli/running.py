"""What surrounds a command: its console, its exit code, and what a signal does to it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
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


def run_command(command: Callable[[], None], spelled: str = "") -> int:
    """Run a command; a RaygpError becomes one line on standard error and its exit code.

    Args:
        command: what to run.
        spelled: what goes on with it if it is interrupted, as a shell takes it (:func:`spelled_command`).
    """
    try:
        with on_sigterm(leave):
            command()
        return 0
    except StoppedError as error:
        said, code = str(error), error.exit_code
    except RaygpError as error:
        print(f"raygp: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        said, code = "interrupted; run the same command again to go on", 130
    except Terminated:
        said, code = "stopped on request; run the same command again to go on", StoppedError.exit_code
    print(f"raygp: {said}" + (f":\n  {spelled}" if spelled else ""), file=sys.stderr)
    return code


def spelled_command(arguments: Sequence[str] | None = None) -> str:
    """The command that runs now, as a shell takes it: with all its options, quoted where they need it.

    Args:
        arguments: of ``raygp``; None: those of this process, which may be a job.
    """
    if arguments is not None:
        return shlex.join(["raygp", *arguments])
    program, *given = sys.argv
    if os.path.basename(program) == "__main__.py":  # python -m raygp
        return shlex.join([_python(), "-m", "raygp", *given])
    if program.endswith(".py"):
        return shlex.join([_python(), program, *given])
    return shlex.join([os.path.basename(program) if os.path.exists(program) else "raygp", *given])


def _python() -> str:
    """This Python, in the form in which a shell finds it."""
    name = os.path.basename(sys.executable)
    return name if shutil.which(name) == sys.executable else sys.executable
