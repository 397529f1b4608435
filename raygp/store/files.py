"""Data files that a document vouches for."""

from __future__ import annotations

import mmap
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from raygp.errors import InputError
from raygp.store.documents import sha256_hex
from raygp.store.location import Location


class FileInfo(BaseModel):
    """A file beside the document that lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")
    """Name, without folders. Its last part before the suffix is the start of the hash."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def describe(stem: str, suffix: str, data: bytes | mmap.mmap) -> FileInfo:
    """Name and measure a file: ``<stem>-<first 8 hex digits of its SHA-256><suffix>``."""
    digest = sha256_hex(data)
    return FileInfo(file=f"{stem}-{digest[:8]}{suffix}", bytes=len(data), sha256=digest)


def describe_file(stem: str, suffix: str, file: Path) -> FileInfo:
    """As :func:`describe`, of a file of this machine that is not empty."""
    with open(file, "rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return describe(stem, suffix, data)


def read_checked(location: Location, folder: str, info: FileInfo) -> bytes:
    """The content of a file, if it is what its document says.

    Raises:
        InputError: it is missing, or its size or SHA-256 differs.
    """
    path = f"{folder}/{info.file}"
    data = location.read_if_exists(path)
    if data is None:
        raise InputError(f"{location.url(path)} is missing: restore it from a copy")
    if len(data) != info.bytes:
        raise InputError(_mismatch(location.url(path), f"{info.bytes} bytes", f"{len(data)} bytes"))
    if (found := sha256_hex(data)) != info.sha256:
        raise InputError(_mismatch(location.url(path), f"SHA-256 {info.sha256}", found))
    return data


def _mismatch(where: str, expected: str, found: str) -> str:
    return f"{where} is damaged: expected {expected}, found {found}; restore it from a copy"
