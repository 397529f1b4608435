"""``tensorboard``: event files for TensorBoard, one folder an update."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from raygp.events import UpdateStarted
from raygp.store import Location
from raygp.tasks.extras import installed, require
from raygp.tell.base import TellSettings, Told
from raygp.tell.tracking import End, Run, Tracking, flat, run_name

LINE_FOLDER = "reports/tensorboard"
"""Where the files lie in a line."""


class TensorBoardSettings(TellSettings):
    """Event files for TensorBoard: a folder for each update, with loss, accuracy, density by layer and connections
    grown and pruned at the end of each epoch, over the examples that the update has spent."""

    kind: Literal["tensorboard"] = "tensorboard"
    folder: str = ""
    """A folder of this machine; empty: ``reports/tensorboard`` of the line, wherever that is. Look at it with
    ``tensorboard --logdir FOLDER``."""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"tensorboard files in {self.folder or LINE_FOLDER}"

    def check(self) -> None:
        """Raises InputError if the package is missing."""
        installed("tensorboardX", "tensorboard", "tensorboard")

    def make(self) -> Tracking:
        """Nothing is written yet."""
        return Tracking(self._open, self._try_out)

    def _open(self, told: Told, event: UpdateStarted) -> Run:
        name = run_name(event)
        if self.folder:
            return _Run(Path(self.folder).expanduser() / name, event, told.at)
        if told.location.is_local:
            return _Run(told.location.local_path(f"{LINE_FOLDER}/{name}"), event, told.at)
        return _RemoteRun(told.location, f"{LINE_FOLDER}/{name}", event, told.at)

    def _try_out(self, told: Told) -> None:
        """Make sure that the folder can be written to."""
        if self.folder:
            folder = Path(self.folder).expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        else:
            told.location.write_bytes(f"{LINE_FOLDER}/.tried-out", b"")
            told.location.delete(f"{LINE_FOLDER}/.tried-out")


def _writer_class() -> Any:
    # Ray brings it; torch's own writer would load torch, and TensorBoard with it.
    return require("tensorboardX", "tensorboard", "tensorboard").SummaryWriter


class _Run:
    """Writes into a folder of this machine."""

    def __init__(self, folder: Path, event: UpdateStarted, at: datetime) -> None:
        # Else a run that goes on within a second would write over its own file.
        self._writer = _writer_class()(str(folder), filename_suffix=f".{time.time_ns()}")
        about = [f"arrival: {event.arrival}", f"parent: {event.parent or 'none'}", f"plan: {event.plan}"]
        about += [f"{name}: {value}" for name, value in flat(event.settings).items()]
        self._text("plan", "    " + "\n    ".join(about), 0, at)

    def log(self, values: Mapping[str, float], step: int, at: datetime) -> None:
        """Numbers of an epoch."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, walltime=at.timestamp())
        self._writer.flush()

    def end(self, end: End) -> None:
        """How it ended, and what it came to."""
        at = end.at or datetime.now().astimezone()
        step = int(end.values.get("final/examples", 0))
        self._text("outcome", f"{end.how}: {end.reason}" if end.reason else end.how, step, at)
        self.log(end.values, step, at)
        self._writer.close()

    def _text(self, tag: str, text: str, step: int, at: datetime) -> None:
        self._writer.add_text(tag, text, step, walltime=at.timestamp())


class _RemoteRun(_Run):
    """Writes into a scratch folder, and stores its files in the line."""

    def __init__(self, location: Location, path: str, event: UpdateStarted, at: datetime) -> None:
        self._location, self._path = location, path
        self._scratch = tempfile.TemporaryDirectory(prefix="raygp-tensorboard-")
        super().__init__(Path(self._scratch.name), event, at)

    def log(self, values: Mapping[str, float], step: int, at: datetime) -> None:
        """Numbers of an epoch."""
        super().log(values, step, at)
        self._store()

    def end(self, end: End) -> None:
        """How it ended."""
        super().end(end)
        self._store()
        self._scratch.cleanup()

    def _store(self) -> None:
        for file in Path(self._scratch.name).iterdir():
            self._location.write_bytes(f"{self._path}/{file.name}", file.read_bytes())
