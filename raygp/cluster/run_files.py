"""The checkpoints of a Train run in storage: written by raygp itself, and found again whatever became of Ray's index.

Ray Train would upload inside ``report``: an upload that fails there costs the workers their common step, and with it
the run. Its index of them, one file in the run's folder, is written in place by the controller, whose failure ends the
run; a full disk or a kill at the wrong moment leaves it empty, and Ray then refuses to go on. So the index is written
through :class:`_RunFiles`, and not relied on.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.fs
import ray.train
import ray.train.collective
from fsspec.implementations.local import LocalFileSystem

from raygp.errors import RaygpError, TrainingError
from raygp.store import Location
from raygp.update.checkpoints import load
from raygp.update.outcome import Outcome
from raygp.update.state import Checkpoint

_INDEX = "checkpoint_manager_snapshot.json"
_PREFIX = "checkpoint_"


def store_checkpoint(location: Location, save: Callable[[Path], None]) -> ray.train.Checkpoint:
    """Write a checkpoint into the folder of the run that this worker belongs to.

    Args:
        location: root of the line.
        save: writes the files into a folder of this machine.

    Raises:
        RaygpError: storage or the temporary folder cannot take it (full, denied, out of reach); nothing of it is left.
    """
    storage = ray.train.get_context().get_storage()
    name = storage.make_default_checkpoint_dir_name()
    folder = f"{_run_folder(location)}/{name}"
    try:
        with tempfile.TemporaryDirectory(prefix="raygp-") as scratch:
            save(Path(scratch))
            for file in sorted(Path(scratch).iterdir()):
                location.write_bytes(f"{folder}/{file.name}", file.read_bytes())
    except OSError as error:
        raise RaygpError(f"{tempfile.gettempdir()}: {error.strerror or error}") from error
    except RaygpError:
        _forget(location, folder)
        raise
    return ray.train.Checkpoint(f"{storage.experiment_fs_path}/{name}", storage.storage_filesystem)


def last_checkpoint(location: Location) -> Checkpoint | Outcome | None:
    """What this run goes on from: the youngest checkpoint in its folder that is whole; None if there is none.

    Rank 0 looks, so that all ranks go on from the same.

    Raises:
        RaygpError: storage cannot be read.
    """
    run, found, name, failure = _run_folder(location), None, None, None
    if ray.train.get_context().get_world_rank() == 0:
        try:
            name, found = youngest_checkpoint(location, run)
        except RaygpError as error:
            failure = str(error)
    name, failure = ray.train.collective.broadcast_from_rank_zero((name, failure))
    if failure:
        raise RaygpError(failure)
    return found if found is not None or name is None else _read(location, f"{run}/{name}")


def youngest_checkpoint(location: Location, run: str) -> tuple[str | None, Checkpoint | Outcome | None]:
    """Name and content of the youngest checkpoint in the folder ``run`` that is whole; None twice if there is none."""
    for name in reversed([name for name in location.list(run) if name.startswith(_PREFIX) and name != _INDEX]):
        try:
            return name, _read(location, f"{run}/{name}")
        except TrainingError:
            continue  # Its upload was cut off.
    return None, None


def drop_damaged_index(location: Location, run: str) -> None:
    """Delete Ray's index of the checkpoints in the folder ``run`` if Ray could not use it: it is not whole, or names a
    checkpoint that is gone. :func:`last_checkpoint` then finds those that are there."""
    content = location.read_if_exists(f"{run}/{_INDEX}")
    if content is None:
        return
    try:
        named = {entry["checkpoint_dir_name"] for entry in json.loads(content)["checkpoint_results"]}
    except (ValueError, KeyError, TypeError):
        location.delete(f"{run}/{_INDEX}")
        return
    if named - set(location.list(run)):
        location.delete(f"{run}/{_INDEX}")


def run_storage(location: Location, folder: str) -> dict[str, Any]:
    """``storage_path`` and ``storage_filesystem`` of runs of Train and Tune below ``folder``, as Ray's configurations
    take them."""
    base = str(location.local_path()) if location.is_local else location.filesystem()[1]
    return {"storage_path": f"{base}/{folder}", "storage_filesystem": pyarrow.fs.PyFileSystem(_RunFiles(location))}


class _RunFiles(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]
    """The root's file system for Ray, but that the index is written whole or not at all, and that what a listing said
    earlier is not relied on: workers write checkpoints that this process is to find."""

    def __init__(self, location: Location) -> None:
        super().__init__(LocalFileSystem() if location.is_local else location.filesystem()[0])
        self._location = location

    def get_file_info(self, paths: list[str]) -> Any:
        """Called by pyarrow."""
        self.fs.invalidate_cache()
        return super().get_file_info(paths)

    def get_file_info_selector(self, selector: Any) -> Any:
        """Called by pyarrow."""
        self.fs.invalidate_cache()
        return super().get_file_info_selector(selector)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        """Called by pyarrow."""
        if not path.endswith(f"/{_INDEX}"):
            return super().open_output_stream(path, metadata)
        return pyarrow.PythonFile(_Index(self._location, _relative(self._location, path)), mode="w")


class _Index(io.BytesIO):
    """Is stored when it is closed. If that fails the last one stays: a checkpoint it does not know is found all the
    same, and one it knows that is gone makes it void."""

    def __init__(self, location: Location, path: str) -> None:
        super().__init__()
        self._location, self._path = location, path

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(RaygpError):
                self._location.write_bytes(self._path, self.getvalue())
        super().close()


def _read(location: Location, folder: str) -> Checkpoint | Outcome:
    with tempfile.TemporaryDirectory(prefix="raygp-") as scratch:
        copy = Path(scratch, folder.split("/")[-1])
        copy.mkdir()
        for name in location.list(folder):
            (copy / name).write_bytes(location.read_bytes(f"{folder}/{name}"))
        return load(copy)


def _run_folder(location: Location) -> str:
    """The folder of the run that this worker belongs to, relative to the root."""
    return _relative(location, ray.train.get_context().get_storage().experiment_fs_path)


def _relative(location: Location, path: str) -> str:
    """A path of the root's file system, relative to the root."""
    base = str(location.local_path()) if location.is_local else location.filesystem()[1].rstrip("/")
    return path.removeprefix(base).strip("/")


def _forget(location: Location, folder: str) -> None:
    # What failed the upload may fail this too; half a checkpoint is never gone on from.
    with contextlib.suppress(RaygpError):
        location.delete(folder, recursive=True)
