"""Files behind fsspec. For S3, which can do more, see :mod:`raygp.store.s3_files`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from raygp.errors import ConflictError, InputError, RaygpError
from raygp.store.backends import Files, StoredFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LOST_RACE = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
"""What S3 answers when a condition does not hold."""


def connect(root: str, single_writer: bool) -> Files:
    """The files below any URL that fsspec can address.

    Raises:
        InputError: the URL holds credentials, cannot be understood, or needs a package that is not installed.
    """
    refuse_credentials(root)
    import fsspec

    try:
        fs, base = fsspec.url_to_fs(root)
    except ImportError as error:
        raise InputError(f"{root} needs a package that is not installed: {one_line(error)}") from error
    except ValueError as error:
        raise InputError(f"{root} is no usable root: {one_line(error)}") from error
    return RemoteFiles(fs, base, root)


def refuse_credentials(root: str) -> None:
    """Raises InputError if a URL holds a user or password: roots are shown in messages and logs."""
    if "@" in root.split("/")[2]:
        raise InputError("credentials do not belong into a root: put them into the environment or a profile file")


def one_line(error: BaseException) -> str:
    """The message of an exception, or its kind if it has none, without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


class RemoteFiles:
    """Files on an fsspec file system (:class:`raygp.store.backends.Files` says what the methods do).

    Only ``create`` is exclusive, and only where the file system's own ``mode="create"`` is; ``replace`` reads, compares
    and writes, which is safe for a single writer at a time.
    """

    folder = None

    def __init__(self, fs: AbstractFileSystem, base: str, root: str) -> None:
        self.fs = fs
        self.base = base.rstrip("/")
        self.root = root.rstrip("/")

    def filesystem(self) -> tuple[AbstractFileSystem, str]:
        return self.fs, self.base

    def explain(self, error: Exception, where: str) -> RaygpError | None:
        if isinstance(error, FileNotFoundError) and error_code(error) == "NoSuchBucket":
            return InputError(f"{self.root}: there is no such bucket: create it or correct --root")
        # Clients of cloud storage let exceptions of the libraries below them through, which are no OSError.
        library = type(error).__module__.split(".")[0]
        if library == "aiohttp" and not isinstance(error, OSError):
            return RaygpError(f"{self.root}: the connection broke{where}: {one_line(error)}")
        if library in {"botocore", "aiobotocore"} and not isinstance(error, OSError):
            return InputError(f"{self.root} cannot be reached: {one_line(error)}")
        return None

    def read(self, path: str) -> bytes | None:
        try:
            return bytes(self.fs.cat_file(self._full(path)))
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
            return None

    def write(self, path: str, data: bytes) -> None:
        self.fs.pipe_file(self._full(path), data)

    def new_file(self, folder: str) -> Path:
        descriptor, name = tempfile.mkstemp(prefix="raygp-")
        os.close(descriptor)
        return Path(name)

    def adopt(self, file: Path, path: str) -> None:
        self.write(path, file.read_bytes())

    def create(self, path: str, data: bytes) -> None:
        try:
            self.fs.pipe_file(self._full(path), data, mode="create")
        except FileExistsError as error:
            raise ConflictError(f"{self.root}/{path} exists already") from error
        except OSError as error:
            if error_code(error) not in LOST_RACE:
                raise
            raise ConflictError(f"{self.root}/{path} exists already") from error

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        if expected is None:
            return self.create(path, data)
        if self.read(path) != expected:
            raise ConflictError(f"{self.root}/{path} was changed by another writer")
        self.write(path, data)

    def exists(self, path: str) -> bool:
        try:
            self.fs.info(self._fresh(path))
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
            return False
        return True

    def list(self, path: str) -> list[str]:
        full = self._fresh(path)
        try:
            entries = self.fs.ls(full, detail=False)
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
            return []
        return sorted({name.rstrip("/").rsplit("/", 1)[1] for name in entries if name.rstrip("/") != full})

    def walk(self, path: str) -> Iterator[StoredFile]:
        found = self.fs.find(self._fresh(path), detail=True)
        for name, details in found.items():
            modified = details.get("LastModified") or self.fs.modified(name)
            yield StoredFile(name.removeprefix(f"{self.base}/"), int(details["size"]), modified.timestamp())

    def size(self, path: str) -> int:
        return int(self.fs.info(self._fresh(path))["size"])

    def delete(self, path: str, recursive: bool) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(self._fresh(path), recursive=recursive)

    @property
    def endpoint(self) -> str:
        """The part of the root that names the server."""
        return "/".join(self.root.split("/", 3)[:3])

    def honours_conditions(self, path: str) -> bool:
        """Whether ``create`` and ``replace`` hold against others. In one process's memory there are no others."""
        return self.root.startswith("memory://")

    def _create_plainly(self, path: str, data: bytes) -> None:
        if self.exists(path):
            raise ConflictError(f"{self.root}/{path} exists already")
        self.write(path, data)

    def _full(self, path: str) -> str:
        return f"{self.base}/{path}" if path else self.base

    def _fresh(self, path: str) -> str:
        """The full path, after forgetting what a listing said about it: other processes write here too."""
        full = self._full(path)
        self.fs.invalidate_cache(full)
        return full


def error_code(error: BaseException) -> str:
    """The code that an S3 server answered with (such as NoSuchBucket); empty if there is none."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
