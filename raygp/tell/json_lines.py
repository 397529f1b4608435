"""``jsonl``: a file of JSON lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from raygp.tell.base import HookSettings, Told


class JsonLinesSettings(HookSettings):
    """A file of JSON lines, one an event, which grows. Several processes may write to it: each line is whole."""

    kind: Literal["jsonl"] = "jsonl"
    file: str
    """Path of the file on this machine; its folder is made if it is missing."""
    events: Literal["outcomes", "all"] | tuple[str, ...] = "all"
    """Which ones, as for a command; all if nothing is said."""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"events in {self.file}"

    def make(self) -> _JsonLines:
        """Opens the file."""
        return _JsonLines(Path(self.file).expanduser())


class _JsonLines:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def tell(self, told: Told) -> None:
        """Append a line, in one call, so that lines of other processes stand before or after it."""
        line = told.encoded() + b"\n"
        if (written := os.write(self._file, line)) < len(line):
            raise OSError(f"the disk is full: {written} of {len(line)} bytes of a line were written")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
