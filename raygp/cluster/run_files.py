"""The checkpoints of a Train run in storage: written by raygp itself, and found again whatever became of Ray's index.

Ray Train would upload inside ``report``: an upload that fails there costs the workers their common step, and with it
the run. Its index, one file in the run's folder, is written in place: a full disk or a kill at the wrong moment leaves
it empty, and Ray then refuses the run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import ray.train

from raygp.errors import RaygpError, TrainingError
from raygp.store import Location
from raygp.update.checkpoints import load
from raygp.update.engine import Outcome
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
    """What this run goes on from: the checkpoint that Ray knows as the last, or the youngest in its folder that can be
    read if it knows none or that one is damaged. None: there is none.

    Raises:
        TrainingError: there are checkpoints that were reported, and none can be read.
    """
    known, damaged = ray.train.get_checkpoint(), None
    if known is not None:
        try:
            with known.as_directory() as folder:
                return load(Path(folder))
        except TrainingError as error:
            damaged = error
    run = _run_folder(location)
    for name in reversed([name for name in location.list(run) if name.startswith(_PREFIX)]):
        try:
            return _read(location, f"{run}/{name}")
        except TrainingError:
            continue  # Its upload was cut off, or it is the damaged one.
    if damaged is not None:
        raise damaged
    return None


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


def _read(location: Location, folder: str) -> Checkpoint | Outcome:
    with tempfile.TemporaryDirectory(prefix="raygp-") as scratch:
        copy = Path(scratch, folder.split("/")[-1])
        copy.mkdir()
        for name in location.list(folder):
            (copy / name).write_bytes(location.read_bytes(f"{folder}/{name}"))
        return load(copy)


def _run_folder(location: Location) -> str:
    """The folder of the run that this worker belongs to, relative to the root."""
    path: str = ray.train.get_context().get_storage().experiment_fs_path
    base = str(location.local_path()) if location.is_local else location.filesystem()[1].rstrip("/")
    return path.removeprefix(base).strip("/")


def _forget(location: Location, folder: str) -> None:
    try:
        location.delete(folder, recursive=True)
    except RaygpError:
        return  # What failed the upload fails this too; half a checkpoint is never read.
