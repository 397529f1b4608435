"""``command``: a program that gets each event as JSON on its standard input."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from raygp.errors import InputError
from raygp.tell.base import HookSettings, NotAgain, NotTold, Told

_SAID = 300
"""Characters of what a program printed that a message has at most."""


class CommandSettings(HookSettings):
    """A program that is started for each event and gets it as JSON on its standard input. What it prints is not shown;
    if its exit code is not 0, that and its last line on standard error are the reason in the message."""

    kind: Literal["command"] = "command"
    run: Annotated[tuple[str, ...], Field(min_length=1)]
    """The program and its arguments, as a list: [python, notify.py]. No shell is between. It runs in the folder in
    which raygp runs, with RAYGP_EVENT (the type) and RAYGP_LINE (the root) in its environment."""
    timeout_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0
    """Seconds after which it is ended, with everything that it started."""

    @field_validator("run", mode="before")
    @classmethod
    def _is_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("expected a list, such as [python, notify.py]: no shell takes it apart")
        return value

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"command {self.run[0]}"

    def check(self) -> None:
        """Raises InputError if there is no such program."""
        if shutil.which(self.run[0]) is None:
            raise InputError(f"there is no program '{self.run[0]}' that can be run: write its whole path")

    def make(self) -> _Command:
        """Nothing is started yet."""
        return _Command(self)


class _Command:
    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings

    def tell(self, told: Told) -> None:
        """Run the program to its end.

        Raises:
            NotAgain: it cannot be started, or did not end in time.
            NotTold: its exit code is not 0.
        """
        limit = self._settings.timeout_s
        try:
            process = subprocess.Popen(
                self._settings.run,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={**os.environ, "RAYGP_EVENT": told.type, "RAYGP_LINE": told.location.root},
                # A group of its own: Ctrl-C at the terminal is for raygp, and what it started ends with it.
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise NotAgain(f"it cannot be started: {error.strerror}") from error
        try:
            _, errors = process.communicate(told.encoded() + b"\n", timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise NotAgain(f"it did not end within {limit:g} s") from error
        finally:
            _end(process)
        if process.returncode:
            lines = errors.decode(errors="replace").strip().splitlines()
            said = f": {lines[-1][:_SAID]}" if lines else ""
            raise NotTold(f"it ended with code {process.returncode}{said}")

    def close(self) -> None:
        """Nothing is open."""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a program and of what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
