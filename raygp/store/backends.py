"""What a store must be able to do, and the table of stores by the protocol of a root's URL.

A new store is one file with a class that offers the methods of :class:`Files`, a function that connects it
(:class:`Connect`), and one line in :data:`STORES`; or a package that installs it as an entry point ``raygp.stores``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from raygp.errors import RaygpError
from raygp.registry import Registry

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class StoredFile(NamedTuple):
    """A file below a root."""

    path: str
    """Relative to the root."""
    bytes: int
    modified: float
    """Seconds since 1970."""


class Files(Protocol):
    """The files below one root: what :class:`raygp.store.Location` needs of a store.

    Paths are relative to the root, with ``/`` between their parts, and never lead out of it; "" is the root itself.
    Folders come into being with the first file in them. Methods raise what the operating system or the store's client
    raises (:meth:`explain` makes a message of the latter), and ConflictError where another writer was first.
    """

    @property
    def root(self) -> str:
        """The root in its normal form, as messages show it. Connecting to it again gives the same store."""
        ...

    @property
    def folder(self) -> Path | None:
        """The root as a folder of this machine; None if it is not one."""
        ...

    @property
    def endpoint(self) -> str:
        """The server behind the root, without credentials; "file" for this machine."""
        ...

    def filesystem(self) -> tuple[AbstractFileSystem, str]:
        """The fsspec file system behind the root, and the root's path in it. Only asked where ``folder`` is None."""
        ...

    def honours_conditions(self, path: str) -> bool:
        """Whether :meth:`create` and :meth:`replace` hold against racing writers. A store that has to try it out does
        so with a file at ``path``, which is gone afterwards."""
        ...

    def read(self, path: str) -> bytes | None:
        """The whole file; None if there is none."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Write a file, over what is there. Readers see the old or the new content, never a part."""
        ...

    def new_file(self, folder: str) -> Path:
        """An empty file of this machine, which the caller fills and gives to :meth:`adopt` or deletes."""
        ...

    def adopt(self, file: Path, path: str) -> None:
        """Store a file of this machine at ``path``, whole or not at all. The file may be gone afterwards."""
        ...

    def create(self, path: str, data: bytes) -> None:
        """Write a file that must not exist yet. ConflictError: it does."""
        ...

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        """Write a file only if it contains ``expected`` now (None: does not exist). ConflictError: it does not."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        ...

    def list(self, path: str) -> list[str]:
        """Sorted names of the direct children of a folder; empty if there is no such folder."""
        ...

    def walk(self, path: str) -> Iterator[StoredFile]:
        """All files below a folder, at any depth."""
        ...

    def size(self, path: str) -> int:
        """Bytes of a file. FileNotFoundError: there is none."""
        ...

    def delete(self, path: str, recursive: bool) -> None:
        """Delete a file or an empty folder; with ``recursive`` a folder and all in it. Nothing there: no error."""
        ...

    def explain(self, error: Exception, where: str) -> RaygpError | None:
        """What an exception of the store's own client means for the person who chose the root.

        Args:
            error: what a method of this store raised.
            where: the file that it was about, as " (path)"; empty for the root.

        Returns:
            None if the store has nothing of its own to say: then the meaning that is common to all stores is told.
        """
        ...


class Connect(Protocol):
    """How a store is connected: the entries of :data:`STORES`."""

    def __call__(self, root: str, single_writer: bool) -> Files:
        """The files below ``root``.

        Args:
            root: as the user gave it, protocol and all.
            single_writer: nobody else ever writes there, so that the store need not guard against it.

        Raises:
            InputError: the root cannot be used, or a package is missing; the message says which and how to get it.
        """
        ...


ANY_PROTOCOL = "fsspec"
"""The store of every protocol that has none of its own."""

STORES: Registry[Connect] = Registry(
    "store",
    "raygp.stores",
    {
        "file": "raygp.store.local_files:connect",
        "local": "raygp.store.local_files:connect",
        "memory": "raygp.store.remote_files:connect",
        "s3": "raygp.store.s3_files:connect",
        "s3a": "raygp.store.s3_files:connect",
        ANY_PROTOCOL: "raygp.store.remote_files:connect",
    },
)
"""Stores by the protocol of their URLs."""


def connect(root: str, single_writer: bool) -> Files:
    """The files below a root, by the store that its protocol asks for. Raises as :class:`Connect` says."""
    protocol = root.split("://", 1)[0] if "://" in root else "file"
    name = protocol if protocol in STORES else ANY_PROTOCOL
    return STORES.get(name)(root, single_writer)
