"""The drop folder: what lies in it, what of that is complete, and what it is called in the line."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from raygp.data.sources.skipping import skipped
from raygp.errors import InputError, RaygpError
from raygp.store import Location, StoredFile
from raygp.watch.settings import DropSettings

_MARKERS = frozenset({"_SUCCESS", ".done", "_done"})
"""Files in a folder that say that it is complete."""
_MARKED = (".done", "._SUCCESS")
"""What is added to a file's name for the file that says that it is complete."""
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


@dataclass(frozen=True)
class Item:
    """A file or a folder in the drop folder."""

    name: str
    files: int
    bytes: int
    digest: str
    """Of its files: names, sizes and times. Another one is another content."""
    shape: str
    """The same with the files that are passed over, such as partial downloads: it changes until all are complete."""
    marked: bool
    """Whether a marker says that it is complete."""


class DropFolder:
    """A drop folder.

    Args:
        settings: where it is, and how its files are read.

    Raises:
        InputError: there is no such folder.
    """

    def __init__(self, settings: DropSettings) -> None:
        self._source = settings.source
        self._location = Location(settings.folder, single_writer=True)
        if self._location.is_local and not self._location.local_path().is_dir():
            raise InputError(f"watch.drop.folder: {self._location.root} is no folder: make it, or name another")
        self._before: dict[str, str] = {}

    @property
    def address(self) -> str:
        """Where it is."""
        return self._location.root

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self._location.is_local

    def look(self) -> tuple[list[Item], list[Item]]:
        """What lies in it now, sorted by name: what is complete, and what may not be yet.

        Something is complete if a marker says so, or if nothing has changed about it since the look before. Asks the
        storage for one listing.

        Raises:
            RaygpError: it cannot be read, such as a disk of the network that is gone for a while.
        """
        items = self.items()
        complete = [item for item in items if item.marked or self._before.get(item.name) == item.shape]
        self._before = {item.name: item.shape for item in items}
        return complete, [item for item in items if item not in complete]

    def items(self) -> list[Item]:
        """All that lies in it now, sorted by name, without what is passed over and what is empty."""
        groups: dict[str, list[StoredFile]] = defaultdict(list)
        for file in (*self._location.walk(), *self._linked()):
            groups[file.path.partition("/")[0]].append(file)
        found = []
        for name, files in sorted(groups.items()):
            if skipped(name) is not None or _marks(name, groups):
                continue
            data = [file for file in files if not any(map(skipped, file.path.split("/")))]
            if data:
                marked = _is_marked(name, files, groups)
                size = sum(file.bytes for file in data)
                found.append(Item(name, len(data), size, _digest(data), _digest(files), marked))
        return found

    def _linked(self) -> Iterator[StoredFile]:
        """What lies in folders elsewhere to which a link leads."""
        if not self._location.is_local:
            return
        try:
            with os.scandir(self._location.local_path()) as entries:
                links = [entry.name for entry in entries if entry.is_symlink() and _is_folder(entry)]
        except OSError as error:
            raise RaygpError(f"the drop folder {self.address} cannot be read: {error.strerror}") from error
        for name in links:
            for file in Location(self._location.url(name)).walk():
                yield file._replace(path=f"{name}/{file.path}")

    def source(self, item: Item) -> str:
        """The form of its source, or its path where the kind is to be guessed."""
        where = self._location.url(item.name)
        return f"{self._source}:{where}" if self._source else where


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to itself.
        return False


def arrival_name(item: str, taken: Collection[str]) -> str:
    """What something in the drop folder is called in the line.

    Args:
        item: its name.
        taken: names that others have: where it has that of one, a number follows.
    """
    name = _NO_NAME.sub("-", item).strip(".-")[:_LONGEST] or "dropped"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found


def _digest(files: Sequence[StoredFile]) -> str:
    listing = sorted(f"{file.path}\0{file.bytes}\0{file.modified!r}" for file in files)
    return hashlib.sha256("\n".join(listing).encode(errors="surrogateescape")).hexdigest()[:32]


def _is_marked(name: str, files: Sequence[StoredFile], groups: Collection[str]) -> bool:
    inside = any(f"{name}/{marker}" == file.path for file in files for marker in _MARKERS)
    return inside or any(f"{name}{end}" in groups for end in _MARKED)


def _marks(name: str, groups: Collection[str]) -> bool:
    """Whether a file is the marker of another."""
    return any(name.endswith(end) and name.removesuffix(end) in groups for end in _MARKED)
