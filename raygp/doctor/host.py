"""The machine that is looked at: its files, its variables, and the programs that can be asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PATIENCE_S = 10.0
"""A GPU's driver that hangs does not answer for ever."""


def ask(command: Sequence[str]) -> tuple[int, str]:
    """Run a program: its exit code, and what it printed on both streams.

    Returns:
        -1 and what happened, where it could not be run or did not end in time.
    """
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return -1, f"no answer in {_PATIENCE_S:.0f} s"
    except OSError as error:
        return -1, error.strerror or str(error)
    return done.returncode, done.stdout.strip()


@dataclass(frozen=True)
class Host:
    """Where the checks look. Tests put other files, variables and programs in their place."""

    root: Path = Path("/")
    """``/proc``, ``/sys`` and ``/dev`` lie below it."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    ask: Callable[[Sequence[str]], tuple[int, str]] = ask
    find: Callable[[str], str | None] = shutil.which
    """Where a program is; None where there is none."""

    def read(self, path: str) -> str | None:
        """The text of a file, by its path below ``/``; None where it cannot be read."""
        try:
            return (self.root / path.lstrip("/")).read_text(errors="replace").strip()
        except OSError:
            return None

    def limits(self, name: str) -> list[str]:
        """What the control groups around this process say under a name of version 2, such as ``memory.max``: the
        innermost first. Empty where there is no limit to be seen."""
        groups = (self.read("proc/self/cgroup") or "").splitlines()
        within = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), "")
        found = []
        # In a container, the group's path may be that of the machine outside, and the files lie at the top.
        for folder in [within, *(str(parent) for parent in Path(within).parents), "/"]:
            if text := self.read(f"sys/fs/cgroup/{folder.strip('/')}/{name}"):
                found.append(text)
        return found
