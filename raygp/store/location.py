"""A root in storage: a local folder, an S3 prefix, or whatever else fsspec can address."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from raygp.errors import InputError, RaygpError
from raygp.store.backends import Files, StoredFile, connect

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

READERS = 16
"""Small files that are read at once."""

_SLASH_MISSING = re.compile(r"^(s3|s3a|gs|gcs|memory|https?|file):/?[^/]")
"""A URL that was mistyped: without this it would be taken for a folder of that name."""


class Location:
    """Files below one root, whatever store it lies on. All paths are relative to it, with ``/`` between their parts.

    It can be pickled: another process connects to the root by itself. Local roots are made absolute when it is built.

    Args:
        root: a local path, ``s3://bucket/prefix``, ``memory://name`` or any fsspec URL.
        single_writer: nobody else ever writes here, so that storage need not guard against it.

    Every method raises InputError where the root cannot be used (no permission, no such bucket, no credentials) and
    RaygpError where storage fails otherwise (disk full, connection lost).
    """

    def __init__(self, root: str, single_writer: bool = False) -> None:
        given = str(root)
        if not given or _SLASH_MISSING.match(given):
            raise InputError(f"'{given}' is no usable root: give a folder or a URL such as s3://bucket/prefix")
        _check_name(given)
        self._files: Files = connect(given, single_writer)
        self.root = self._files.root
        _check_name(self.root)  # It has the folder that the process runs in before it.
        self.single_writer = single_writer

    def __repr__(self) -> str:
        return f"Location({self.root!r})"

    def __reduce__(self) -> tuple[type[Location], tuple[str, bool]]:
        return Location, (self.root, self.single_writer)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return self._files.folder is not None

    @property
    def endpoint(self) -> str:
        """The server, without credentials; "file" for this machine."""
        with self._explained(""):
            return self._files.endpoint

    def filesystem(self) -> tuple[AbstractFileSystem, str]:
        """The fsspec file system behind a remote root, and the root's path in it.

        Raises:
            InputError: the root is local.
        """
        return self._files.filesystem()

    def honours_conditions(self, path: str) -> bool:
        """Whether :meth:`create` and :meth:`replace` hold against racing writers: tried out on S3, with a file at
        ``path`` that is gone afterwards."""
        with self._explained(path):
            return self._files.honours_conditions(_checked(path))

    def local_path(self, path: str = "") -> Path:
        """Where ``path`` lies on this machine.

        Raises:
            InputError: the root is not local.
        """
        if self._files.folder is None:
            raise InputError(f"{self.root} is not on this machine: this needs a local --root")
        return self._files.folder / _checked(path)

    def url(self, path: str = "") -> str:
        """The address of ``path``, as it can be given to other programs; a plain path if the root is local."""
        return f"{self.root.rstrip('/')}/{_checked(path)}" if path else self.root

    def read_bytes(self, path: str) -> bytes:
        """The whole file.

        Raises:
            InputError: there is no such file.
        """
        data = self.read_if_exists(path)
        if data is None:
            raise InputError(f"{self.url(path)} does not exist")
        return data

    def read_if_exists(self, path: str) -> bytes | None:
        """The whole file, or None if there is none."""
        with self._explained(path):
            return self._files.read(_checked(path))

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """A file from which parts are to be read, in the block.

        Raises:
            InputError: there is no such file.
        """
        with self._explained(path):
            if self._files.folder is not None:
                with open(self._files.folder / _checked(path), "rb") as local:
                    yield local
            else:
                system, root = self.filesystem()
                with system.open(f"{root.rstrip('/')}/{_checked(path)}", "rb") as remote:
                    yield remote

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file, over what is there; it is seen whole or not at all. Folders are made as needed."""
        with self._explained(path):
            self._files.write(_checked(path), data)

    @contextlib.contextmanager
    def new_file(self, folder: str) -> Iterator[Path]:
        """A file of this machine to write in the block, for :meth:`adopt`; an error in the block removes it."""
        with self._explained(folder):
            file = self._files.new_file(_checked(folder))
            try:
                yield file
            except BaseException:
                file.unlink(missing_ok=True)
                raise

    def adopt(self, file: Path, path: str) -> None:
        """Store a file of this machine at ``path``: it is seen whole or not at all, and may be gone where it was."""
        with self._explained(path):
            self._files.adopt(file, _checked(path))

    def create(self, path: str, data: bytes) -> None:
        """Write a file that must not exist. Of several processes that try, exactly one succeeds (local, S3).

        Raises:
            ConflictError: it exists.
        """
        with self._explained(path):
            self._files.create(_checked(path), data)

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        """Compare and swap: write only over ``expected``. Safe against racing writers on local disks and on S3 that
        :meth:`honours_conditions`; elsewhere it is read, compare, write: one writer at a time.

        Args:
            expected: what the file must contain now; None: it must not exist.

        Raises:
            ConflictError: it contains something else, or is there or gone against expectation.
        """
        with self._explained(path):
            self._files.replace(_checked(path), data, expected)

    def exists(self, path: str = "") -> bool:
        """Whether there is a file or folder."""
        with self._explained(path):
            return self._files.exists(_checked(path))

    def list(self, path: str = "") -> list[str]:
        """Sorted names of the direct children of a folder; empty if there is no such folder."""
        with self._explained(path):
            return self._files.list(_checked(path))

    def walk(self, path: str = "") -> Sequence[StoredFile]:
        """All files below a folder, at any depth; on this machine also those that :meth:`list` leaves out."""
        with self._explained(path):
            return list(self._files.walk(_checked(path)))

    def size(self, path: str) -> int:
        """Bytes of a file.

        Raises:
            InputError: there is no such file.
        """
        with self._explained(path):
            return self._files.size(_checked(path))

    def delete(self, path: str, recursive: bool = False) -> None:
        """Delete a file or an empty folder, or with ``recursive`` a whole folder. Nothing there: nothing happens."""
        if not path:
            raise ValueError("refusing to delete a whole root")
        with self._explained(path):
            self._files.delete(_checked(path), recursive)

    @contextlib.contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turn what storage raises into an error for the person who chose the root."""
        where = f" ({path})" if path else ""
        try:
            yield
        except RaygpError:
            raise
        except Exception as error:
            explained = self._files.explain(error, where) or self._explain(error, path, where)
            if explained is None:
                raise
            raise explained from error

    def _explain(self, error: Exception, path: str, where: str) -> RaygpError | None:
        """What an error of the operating system means, whichever store raised it; None for any other error."""
        if isinstance(error, PermissionError):
            return InputError(f"{self.root}: permission denied{where}: check its owner or your credentials")
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self.url(path)} does not exist")
        if isinstance(error, NotADirectoryError):
            return InputError(f"{self.root}: a part of the path is a file, not a folder{where}")
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return RaygpError(f"{self.root}: the disk is full{where}: free some space and run again")
        if isinstance(error, OSError):
            reason = " ".join(str(error).split()) or type(error).__name__
            return RaygpError(f"{self.root}: storage failed{where}: {reason}")
        return None


def _check_name(root: str) -> None:
    try:
        root.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the root {root!a} is not valid UTF-8: choose another --root") from error


def _checked(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"'{path}' is not below the root")
    return path
