"""Files behind fsspec: S3 with conditional writes, and other file systems without."""

from __future__ import annotations

import contextlib
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from raygp.errors import ConflictError

_LOST_RACE = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class RemoteFiles:
    """The file operations of a :class:`raygp.store.Location` on an fsspec file system.

    Only ``create`` is exclusive, and only where the file system's own ``mode="create"`` is; ``replace`` reads, compares
    and writes, which is safe for a single writer at a time.
    """

    def __init__(self, fs: AbstractFileSystem, base: str, root: str) -> None:
        self.fs = fs
        self.base = base.rstrip("/")
        self.root = root

    def read(self, path: str) -> bytes:
        return bytes(self.fs.cat_file(self._full(path)))

    def write(self, path: str, data: bytes) -> None:
        self.fs.pipe_file(self._full(path), data)

    def create(self, path: str, data: bytes) -> None:
        try:
            self.fs.pipe_file(self._full(path), data, mode="create")
        except FileExistsError as error:
            raise ConflictError(f"{self.root}/{path} exists already") from error
        except OSError as error:
            if error_code(error) not in _LOST_RACE:
                raise
            raise ConflictError(f"{self.root}/{path} exists already") from error

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        if expected is None:
            return self.create(path, data)
        if not self.exists(path) or self.read(path) != expected:
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

    def size(self, path: str) -> int:
        return int(self.fs.info(self._fresh(path))["size"])

    def delete(self, path: str, recursive: bool) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(self._fresh(path), recursive=recursive)

    def _full(self, path: str) -> str:
        return f"{self.base}/{path}" if path else self.base

    def _fresh(self, path: str) -> str:
        """The full path, after forgetting what a listing said about it: other processes write here too."""
        full = self._full(path)
        self.fs.invalidate_cache(full)
        return full


class S3Files(RemoteFiles):
    """S3: ``create`` sends If-None-Match, ``replace`` If-Match with the ETag that it read.

    A server that ignores these headers (some S3 look-alikes) gives no protection against racing writers. A write that
    succeeded but whose answer was lost is repeated by the client and then reported as a conflict: callers look at what
    is there before they give up.
    """

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        if expected is None:
            return self.create(path, data)
        bucket, key, _ = self.fs.split_path(self._full(path))
        try:
            found: dict[str, Any] = self.fs.call_s3("get_object", Bucket=bucket, Key=key)
            if sync(self.fs.loop, found["Body"].read) != expected:
                raise ConflictError(f"{self.root}/{path} was changed by another writer")
            self.fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, IfMatch=found["ETag"])
        except OSError as error:
            if error_code(error) not in _LOST_RACE | {"NoSuchKey", "404"}:
                raise
            raise ConflictError(f"{self.root}/{path} was changed by another writer") from error
        self.fs.invalidate_cache(self._full(path))


def error_code(error: BaseException) -> str:
    """The code that an S3 server answered with (such as NoSuchBucket); empty if there is none."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
