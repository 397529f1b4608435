"""Files on this machine: nothing is ever seen half-written, and one of several racing writers wins."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from raygp.errors import ConflictError, InputError, RaygpError
from raygp.store.backends import Files, StoredFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

HIDDEN_PREFIX = ".raygp-"
"""Temporary files and locks start with it; listings leave them out."""

LOCK_WAIT_S = 5.0
LOCK_STALE_S = 30.0
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
_LEADS_NOWHERE = {errno.ENOENT, errno.ELOOP}
"""Of a link to something that is gone, or to itself."""


def connect(root: str, single_writer: bool) -> Files:
    """The files below a folder of this machine, given as a path or as file://... Relative paths are made absolute."""
    return LocalFiles(Path(root.split("://", 1)[-1]).expanduser().absolute())


class LocalFiles:
    """Files below a folder of this machine (:class:`raygp.store.backends.Files` says what the methods do)."""

    endpoint = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = str(folder)

    def filesystem(self) -> tuple[AbstractFileSystem, str]:
        raise InputError(f"{self.root} is a local folder")

    def honours_conditions(self, path: str) -> bool:
        return True

    def explain(self, error: Exception, where: str) -> RaygpError | None:
        return None

    def read(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        with self._temporary(path, data) as temporary:
            os.replace(temporary, self.folder / path)

    def new_file(self, folder: str) -> Path:
        temporary = self.folder / folder / f"{HIDDEN_PREFIX}{uuid.uuid4().hex}"
        os.close(_open_new(temporary))
        return temporary

    def adopt(self, file: Path, path: str) -> None:
        with open(file, "rb") as content:
            os.fsync(content.fileno())
        os.replace(file, self.folder / path)

    def create(self, path: str, data: bytes) -> None:
        with self._temporary(path, data) as temporary:
            try:
                os.link(temporary, self.folder / path)
            except FileExistsError as error:
                raise ConflictError(f"{self.folder / path} exists already") from error
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                self._create_locked(path, temporary)

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        if expected is None:
            return self.create(path, data)
        target = self.folder / path
        if not target.exists():
            raise ConflictError(f"{target} does not exist (any more)")
        with self._lock(path) as still_held, self._temporary(path, data) as temporary:
            if not target.exists() or target.read_bytes() != expected or not still_held():
                raise ConflictError(f"{target} was changed by another writer")
            os.replace(temporary, target)

    def exists(self, path: str) -> bool:
        return (self.folder / path).exists()

    def list(self, path: str) -> list[str]:
        try:
            names = os.listdir(self.folder / path)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if not name.startswith(HIDDEN_PREFIX))

    def walk(self, path: str) -> Iterator[StoredFile]:
        for folder, _, names in os.walk(self.folder / path):
            for name in names:
                file = Path(folder, name)
                try:
                    state = file.stat()
                except OSError as error:
                    if error.errno in _LEADS_NOWHERE:
                        continue
                    raise
                yield StoredFile(file.relative_to(self.folder).as_posix(), state.st_size, state.st_mtime)

    def size(self, path: str) -> int:
        return (self.folder / path).stat().st_size

    def delete(self, path: str, recursive: bool) -> None:
        target = self.folder / path
        with contextlib.suppress(FileNotFoundError):
            if not target.is_dir() or target.is_symlink():
                target.unlink()
            elif recursive:
                shutil.rmtree(target)
            else:
                target.rmdir()

    def _create_locked(self, path: str, temporary: Path) -> None:
        """Exclusive creation for file systems without hard links."""
        with self._lock(path) as still_held:
            if (self.folder / path).exists() or not still_held():
                raise ConflictError(f"{self.folder / path} exists already")
            os.replace(temporary, self.folder / path)

    @contextlib.contextmanager
    def _temporary(self, path: str, data: bytes) -> Iterator[Path]:
        """A synced file with ``data`` beside ``path``; gone when the block is left."""
        temporary = (self.folder / path).parent / f"{HIDDEN_PREFIX}{uuid.uuid4().hex}"
        descriptor = _open_new(temporary)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, path: str) -> Iterator[_Held]:
        target = self.folder / path
        lock = target.with_name(f"{HIDDEN_PREFIX}lock-{target.name}")
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                descriptor = _open_new(lock)
                break
            except FileExistsError as error:
                _remove_stale(lock)
                if time.monotonic() > deadline:
                    raise ConflictError(
                        f"{target} is being written by another process (lock {lock}): try again;"
                        f" a lock older than {LOCK_STALE_S:.0f} s is removed on its own"
                    ) from error
                time.sleep(0.005)
        held = _Held(lock, os.fstat(descriptor))
        os.close(descriptor)
        try:
            yield held
        finally:
            if held():
                lock.unlink(missing_ok=True)


class _Held:
    """Calling it says whether the lock file is still the one this process made."""

    def __init__(self, lock: Path, made: os.stat_result) -> None:
        self._lock = lock
        self._made = (made.st_ino, made.st_mtime_ns)

    def __call__(self) -> bool:
        try:
            found = self._lock.stat()
        except FileNotFoundError:
            return False
        return (found.st_ino, found.st_mtime_ns) == self._made


def _open_new(path: Path) -> int:
    """Descriptor of a file that did not exist. Parents are made again if an abort removes them in between."""
    for _ in range(5):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    raise FileNotFoundError(errno.ENOENT, "its folder disappears while it is written", str(path))


def _remove_stale(lock: Path) -> None:
    """Remove a lock that its process left behind when it was killed."""
    with contextlib.suppress(FileNotFoundError):
        judged = lock.stat()
        if time.time() - judged.st_mtime < LOCK_STALE_S:
            return
        aside = lock.with_name(f"{HIDDEN_PREFIX}{uuid.uuid4().hex}")
        lock.rename(aside)
        moved = aside.stat()
        # Between stat and rename another process may have removed the stale lock and taken a fresh one: give it back.
        if (moved.st_ino, moved.st_mtime_ns) != (judged.st_ino, judged.st_mtime_ns):
            with contextlib.suppress(FileExistsError):
                os.link(aside, lock)
        aside.unlink()
