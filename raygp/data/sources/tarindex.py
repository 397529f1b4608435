"""The members of a tar and where their bytes lie in it, so that they can be read in any order. Nothing is extracted."""

from __future__ import annotations

import tarfile
from bisect import bisect_left
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from raygp.data.sources.compression import plain_file
from raygp.data.sources.source import FileSlice, PassedOver
from raygp.errors import InputError

_BLOCK = 512
_AT_ONCE = 1 << 20
_RECORD = 20 * _BLOCK
"""To a multiple of it, most programs fill up a tar; some end it with two blocks of zeros."""
_GNU_FOLDER, _VOLUME_LABEL = b"D", b"V"
"""Types of members that only GNU tar writes."""
_MOST_HOPS = 40
_MOST_LINKED = 1_000_000
_DAMAGED = (tarfile.TarError, OSError, EOFError, ValueError, ArithmeticError, LookupError, MemoryError)
"""What tarfile raises where a header makes no sense."""


class TarIndex:
    """Files and folders of a tar, and of the tars that were joined to it (``cat a.tar b.tar``).

    Links are what they lead to, be it a file or a folder. A compressed tar is unpacked first
    (:func:`raygp.data.sources.compression.plain_file`).

    Args:
        path: the tar; its content says how it is compressed, if it is.
        passed_over: is told what gives no file: links that lead nowhere, devices, sparse files and replaced members;
            and runs of zeros that may have been members.

    Raises:
        InputError: the file is not a tar, is damaged or ends too early.
    """

    def __init__(self, path: Path, passed_over: PassedOver | None = None) -> None:
        self.archives: list[dict[str, FileSlice]] = []
        """For each of the joined tars its files by name. Names are as in the tar, but for needless dots and slashes."""
        self.folders: list[str] = []
        self.skipped: list[str] = []
        """Names of what gives no file: links that lead nowhere, devices and sparse files."""
        self._passed_over = PassedOver() if passed_over is None else passed_over
        try:
            plain = plain_file(path)
            with plain.open("rb") as file:
                self._scan(file, str(plain), path.name)
        except _DAMAGED as error:
            raise InputError(f"{path} cannot be read as a tar: {error or type(error).__name__}") from error

    @cached_property
    def files(self) -> dict[str, FileSlice]:
        """By name, those of all joined tars; where a name occurs twice, the later member, as tar itself has it."""
        first, *others = self.archives
        found = dict(first) if others else first
        for archive in others:
            for name in found.keys() & archive.keys():
                self._replaced(name)
            found.update(archive)
        return found

    def _scan(self, file: BinaryIO, path: str, name: str) -> None:
        start: int | None = 0
        while start is not None:
            archive = _Archive(path)
            file.seek(start)
            with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
                while (member := tar.next()) is not None:
                    # tarfile keeps every member it has seen; a million of them take a gigabyte.
                    tar.members.clear()  # type: ignore[attr-defined]  # The type stubs lack it.
                    self._add(archive, member)
                end = tar.offset
            if start == end > 0:
                raise ValueError(f"it is damaged or cut short at byte {end:,}")
            archive.follow_links(self)
            self.archives.append(archive.files)
            following = _next_archive(file, end)
            if following is not None and not _ends_there(start, end, following):
                place = f"bytes {end:,} to {following:,} of {name}"
                self._passed_over.add("zeros between members, which may have been members", place)
            start = following

    def _add(self, archive: _Archive, member: tarfile.TarInfo) -> None:
        name = _plain(member.name)
        is_file = member.isreg() and not member.issparse()
        if member.islnk() and _plain(member.linkname) == name and archive.has(name):
            return  # A file that was given to tar twice.
        if (is_file or member.islnk() or member.issym()) and archive.has(name):
            self._replaced(name)
            archive.files.pop(name, None)
            archive.links.pop(name, None)
        if member.type == _VOLUME_LABEL:
            return
        if member.isdir() or member.type == _GNU_FOLDER:
            self.folders.append(name)
            archive.folders.add(name)
        elif member.islnk() or member.issym():
            archive.add_link(name, member.linkname, member.islnk())
        elif is_file:
            archive.files[name] = FileSlice(archive.path, member.offset_data, member.size)
        elif member.isreg():
            self.skip("sparse files", name)
        else:
            self.skip("devices, pipes and the like" if member.isdev() else "members of unknown types", name)

    def skip(self, what: str, name: str) -> None:
        """Note what gives no file."""
        self.skipped.append(name)
        self._passed_over.add(what, name)

    def _replaced(self, name: str) -> None:
        self._passed_over.add("members that a later one of the same name replaces", name)


class _Archive:
    """One tar of those that a file holds."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files: dict[str, FileSlice] = {}
        self.folders: set[str] = set()
        self.links: dict[str, str] = {}
        """By name, where they lead to: a path from the top of the tar."""

    def has(self, name: str) -> bool:
        return name in self.files or name in self.links

    def add_link(self, name: str, target: str, hard: bool) -> None:
        if not hard:
            inside = "/" in name and not target.startswith("/")
            self.links[name] = f"{name.rpartition('/')[0]}/{target}" if inside else target
        elif (content := self.files.get(_plain(target))) is not None:
            # A hard link means the file that has the name now, not a later one of the same name.
            self.files[name] = content
        else:
            self.links[name] = target

    def follow_links(self, index: TarIndex) -> None:
        """Put under the name of each link what it leads to."""
        if not self.links:
            return
        for name in (*self.files, *self.links):
            parts = name.split("/")
            self.folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
        to_folders: dict[str, str] = {}
        for name in self.links:
            target = self._target(name)
            if target in self.files:
                self.files[name] = self.files[target]
            elif target in self.folders:
                to_folders[name] = target
            else:
                index.skip("links that lead to nothing in the tar", name)
        self._follow_to_folders(to_folders, index)

    def _follow_to_folders(self, links: dict[str, str], index: TarIndex) -> None:
        names, inner = sorted(self.files), sorted(links)
        linked = 0
        for name, target in links.items():
            # A folder's names lie between these two: the character after the slash is a zero.
            start, end = f"{target}/", f"{target}0"
            if name.startswith(start):
                index.skip("links that lead in a circle", name)
                continue
            if bisect_left(inner, start) < bisect_left(inner, end):
                index.skip("linked folders with links to folders in them", name)
            index.folders.append(name)
            for file in names[bisect_left(names, start) : bisect_left(names, end)]:
                self.files.setdefault(name + file[len(target) :], self.files[file])
                linked += 1
            if linked > _MOST_LINKED:
                raise ValueError(f"its links to folders make more than {_MOST_LINKED:,} files of it")

    def _target(self, name: str) -> str:
        """The path that a link leads to through all others; an empty one if it leads out, or in a circle."""
        done: list[str] = []
        todo = self.links[name].split("/")[::-1]
        hops = 0
        while todo:
            part = todo.pop()
            if part == ".." and not done:
                return ""
            if part == "..":
                done.pop()
            elif part != "." and (part or not done):
                done.append(part)
                link = self.links.get("/".join(done))
                if link is not None:
                    hops += 1
                    done, todo = [], todo + link.split("/")[::-1]
            if hops > _MOST_HOPS:
                return ""
        return "/".join(done)


def _plain(name: str) -> str:
    """A member's name without needless dots and slashes: ``./a//b`` is ``a/b``."""
    if "//" not in name and "./" not in name and not name.endswith(("/", "/.")):
        return name
    start = "/" if name.startswith("/") else ""
    return start + "/".join(part for part in name.split("/") if part not in ("", "."))


def _ends_there(start: int, end: int, following: int) -> bool:
    """Whether zeros before the next of joined tars are as programs write them at the end of one.

    Those that a disk leaves in place of a piece of a file hide the members in it.
    """
    return following - end <= 2 * _BLOCK or (following - start) % _RECORD <= _BLOCK


def _next_archive(file: BinaryIO, end: int) -> int | None:
    """Where, after the zeros at the end of a tar, the next one begins; None if there is no more.

    Raises:
        ValueError: the file does not end with a whole block.
    """
    file.seek(end)
    at = end
    while chunk := file.read(_AT_ONCE):
        zeros = len(chunk) - len(chunk.lstrip(b"\0"))
        if at == end and (len(chunk) < _BLOCK or (zeros < _BLOCK and len(chunk) > zeros)):
            # tarfile takes a damaged header for the end of the archive.
            raise ValueError(f"it is damaged or cut short at byte {end:,}")
        if zeros < len(chunk):
            return at + zeros // _BLOCK * _BLOCK
        at += len(chunk)
    return None
