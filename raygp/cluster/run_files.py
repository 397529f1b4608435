"""The checkpoints of a Train run in storage: written by raygp itself, and found again whatever became of Ray's index.

Why not by Ray Train? It uploads inside ``report``. If an upload fails there, one worker raises and the others do not,
and the run is lost. Here the failure is a value that the worker can go on with.

Ray keeps an index of a run's checkpoints, one file in the run's folder, which its controller writes in place. If that
fails, the run ends. If a full disk or a kill cuts the writing short, the file is damaged and Ray refuses to go on. So
raygp has the index written whole or not at all (:class:`_RunFiles`), and finds checkpoints without it.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.fs
import ray.train
import ray.train.collective
from fsspec.implementations.local import LocalFileSystem

from raygp.cluster.internals import CHECKPOINT_INDEX, CHECKPOINT_PREFIX, checkpoints_in_index, new_checkpoint_name
from raygp.errors import RaygpError
from raygp.store import Location
from raygp.update.checkpoints import read_checkpoint, store_checkpoint_files, youngest_checkpoint
from raygp.update.outcome import Outcome
from raygp.update.state import Checkpoint

_INDEX, _PREFIX = CHECKPOINT_INDEX, CHECKPOINT_PREFIX


def store_checkpoint(location: Location, run: str, save: Callable[[Path], None]) -> ray.train.Checkpoint:
    """Write a checkpoint into the folder of a run.

    Args:
        location: root of the line.
        run: the run's folder, relative to the root.
        save: writes the files into a folder of this machine.

    Raises:
        RaygpError: storage or the temporary folder cannot take it (full, denied, out of reach); nothing of it is left.
    """
    folder = f"{run}/{new_checkpoint_name()}"
    store_checkpoint_files(location, folder, save)
    storage = run_storage(location, folder)
    return ray.train.Checkpoint(storage["storage_path"], storage["storage_filesystem"])


def last_checkpoint(location: Location, run: str) -> Checkpoint | Outcome | None:
    """What a run goes on from: the youngest checkpoint in its folder that is whole; None if there is none.

    Every worker has to call it. Rank 0 looks, so that all ranks go on from the same.

    Args:
        location: root of the line.
        run: the run's folder, relative to the root.

    Raises:
        RaygpError: storage cannot be read.
    """
    found, name, failure = None, None, None
    if ray.train.get_context().get_world_rank() == 0:
        try:
            name, found = youngest_checkpoint(location, run)
        except RaygpError as error:
            failure = str(error)
    name, failure = ray.train.collective.broadcast_from_rank_zero((name, failure))
    if failure:
        raise RaygpError(failure)
    return found if found is not None or name is None else read_checkpoint(location, f"{run}/{name}")


def drop_damaged_index(location: Location, run: str) -> None:
    """Delete Ray's index of the checkpoints in the folder ``run`` if Ray could not use it: because it is damaged, or
    names a checkpoint that is gone. :func:`last_checkpoint` then finds those that are there."""
    content = location.read_if_exists(f"{run}/{_INDEX}")
    if content is None:
        return
    named = checkpoints_in_index(content)
    if named is None or named - set(location.list(run)):
        location.delete(f"{run}/{_INDEX}")


def run_storage(location: Location, folder: str) -> dict[str, Any]:
    """``storage_path`` and ``storage_filesystem`` of runs of Train and Tune below ``folder``, as Ray's configurations
    take them."""
    base = str(location.local_path()) if location.is_local else location.filesystem()[1]
    return {"storage_path": f"{base}/{folder}", "storage_filesystem": pyarrow.fs.PyFileSystem(_RunFiles(location))}


class _RunFiles(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]
    """The root's file system, as Ray uses it, with two changes.

    The index is written whole or not at all. And every listing is fetched anew: fsspec would repeat an earlier one,
    while workers, in other processes, have written checkpoints that this process is to find.
    """

    def __init__(self, location: Location) -> None:
        super().__init__(LocalFileSystem() if location.is_local else location.filesystem()[0])
        self._location = location

    # Ray takes a checkpoint only if its file system is equal to the run's. fsspec calls two of the same kind unequal if
    # they were made in different threads, and a worker's loop has a thread of its own.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _RunFiles) and self._location == other._location

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._location)

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
    """Ray's index while it is being written: it is stored when it is closed.

    If storing fails, nobody is told and the index of before stays. That does no harm: a checkpoint that it does not
    name is found without it, and if it names one that is gone, :func:`drop_damaged_index` deletes it.
    """

    def __init__(self, location: Location, path: str) -> None:
        super().__init__()
        self._location, self._path = location, path

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(RaygpError):
                self._location.write_bytes(self._path, self.getvalue())
        super().close()


def _relative(location: Location, path: str) -> str:
    """A path of the root's file system, relative to the root."""
    base = str(location.local_path()) if location.is_local else location.filesystem()[1].rstrip("/")
    return path.removeprefix(base).strip("/")
