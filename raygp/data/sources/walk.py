"""What lies below a folder, or matches a pattern: one walk for every source, which names what it passes over."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raygp.data.sources.formats import HEAD_BYTES, Medium, format_of, suffixes
from raygp.data.sources.skipping import skipped
from raygp.data.sources.source import FileSlice, PassedOver
from raygp.errors import InputError

Parts = tuple[str, ...]
"""A path, in parts."""

NO_FILES = "links that lead nowhere"
CIRCLES = "links that lead back to a folder they lie in"
SPECIAL = "pipes, sockets and devices"
UNREADABLE = "files that cannot be read"

PHOTOS = (".heic", ".heif", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".pef", ".srw", ".raf")
"""Suffixes of photos that cannot be decoded. Many raw files of cameras are TIFF by their first bytes, but what can be
decoded of them is a thumbnail."""
NO_SAMPLES = (
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".py", ".ipynb", ".mat",
    ".npy", ".npz", ".pkl", ".pdf", ".zip", ".db", *PHOTOS,
)  # fmt: skip
"""Suffixes of what lies beside samples and is none: not worth a look into the file."""
_MARKS = ((".parquet", 0, b"PAR1"), (".tar", 257, b"ustar"))
"""What tells the kind of a file without its suffix: where, and which bytes."""
_MARKS_END = 262
_BRACES = re.compile(r"\{([^{}]*,[^{}]*|\d+\.\.\d+)\}")
_MOST = 100_000
"""Paths that braces may mean."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that the walk has come to."""

    path: str
    """Absolute."""
    parts: Parts
    """Relative to where the walk began; empty there."""
    files: tuple[str, ...]
    """Names of the files in it, sorted. Links to files are files."""


def walk(root: str | Path, passed_over: PassedOver, deepest: int | None = None) -> Iterator[Folder]:
    """``root`` and each folder below it, in order, without what :func:`~raygp.data.sources.skipping.skipped` names.

    Links to folders are followed, also where two of them lead to the same place. Only one that leads back to a folder
    it lies in is not: that would be a circle. No file is opened and none is looked up but links, so that a million
    files take seconds.

    Args:
        root: a folder.
        passed_over: gets what is left out.
        deepest: go down so many folders and no further; folders below are left out without a word.

    Raises:
        InputError: a folder cannot be read.
    """
    start = str(Path(root).absolute())
    waiting: list[tuple[str, Parts, frozenset[tuple[int, int]]]] = [(start, (), frozenset())]
    while waiting:
        path, parts, above = waiting.pop()
        try:
            state = os.stat(path)
            if (state.st_dev, state.st_ino) in above:
                passed_over.add(CIRCLES, "/".join(parts))
                continue
            files, folders = _entries(path, parts, passed_over)
        except OSError as error:
            raise InputError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
        yield Folder(path, parts, tuple(files))
        inside = above | {(state.st_dev, state.st_ino)}
        if deepest is not None and len(parts) >= deepest:
            continue
        waiting += [(f"{path}/{name}", (*parts, name), inside) for name in reversed(folders)]


def _entries(path: str, parts: Parts, passed_over: PassedOver) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        what = skipped(entry.name)
        if what is None:
            kind = _kind(entry)
            if isinstance(kind, bool):
                (folders if kind else files).append(entry.name)
                continue
            what = kind
        passed_over.add(what, "/".join((*parts, entry.name)))
    return files, folders


def _kind(entry: os.DirEntry[str]) -> bool | str:
    """True for a folder, False for a file, else what it is."""
    try:
        if entry.is_dir():
            return True
        if entry.is_file():
            return False
        return NO_FILES if entry.is_symlink() and not os.path.exists(entry.path) else SPECIAL
    except OSError:
        # A link to itself, or into a folder that must not be read.
        return NO_FILES


def is_sample(medium: Medium, name: str, content: FileSlice) -> bool:
    """Whether a file is an image (or a recording): by its suffix where that is known, else by its first bytes.

    Raises:
        InputError: it has to be opened and cannot be read.
    """
    lower = name.lower()
    if lower.endswith(_KNOWN[medium]):
        return True
    if lower.endswith(_NOT[medium]):
        return False
    form = format_of(_head(content, HEAD_BYTES))
    return form is not None and form.medium == medium


def not_decoded(medium: Medium, name: str) -> str:
    """What a file that is no sample is called where such are counted."""
    if medium == "image" and name.lower().endswith(PHOTOS):
        return "photos that cannot be decoded (HEIC, raw files of cameras): convert them to JPEG"
    return "files that are no images" if medium == "image" else "files that are no recordings"


def _head(content: FileSlice, size: int) -> bytes:
    try:
        with open(content.path, "rb") as file:
            file.seek(content.offset)
            return file.read(size if content.size is None else min(size, content.size))
    except OSError as error:
        raise InputError(f"{shown(content.path)} cannot be read: {error.strerror or error}") from error


_KNOWN: dict[Medium, tuple[str, ...]] = {"image": suffixes("image"), "audio": suffixes("audio")}
_NOT: dict[Medium, tuple[str, ...]] = {
    "image": (*suffixes("audio"), *NO_SAMPLES),
    "audio": (*suffixes("image"), *NO_SAMPLES),
}


def files_of(path: str, endings: tuple[str, ...], passed_over: PassedOver | None = None) -> list[tuple[Path, Path]]:
    """The files that a path means: itself, or those below it, or what a pattern matches, in order.

    A pattern has ``*``, ``?``, ``[...]``, or braces as WebDataset has them: ``data-{000..017}.tar``, ``{a,b}.tar``.
    What exists under the very name is no pattern.

    Args:
        path: of a file or a folder, or a pattern of some.
        endings: how the names of files end that are looked for in folders, in lower case. One of another name is taken
            if its first bytes say that it is one.
        passed_over: gets what is left out.

    Returns:
        For each file where it is, absolute, and its name relative to the folder that was given: for a pattern, to the
        folder before its first wildcard.

    Raises:
        InputError: there is nothing at ``path``, or no such file.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
    root = Path(path).absolute()
    found: dict[Path, Path] = {}
    if is_pattern(path):
        base = _before_wildcards(root)
        for match in matches(path):
            found.update(dict(_files_at(Path(match).absolute(), base, endings, passed_over, chosen=False)))
    elif not root.exists():
        raise InputError(f"{path} does not exist")
    elif not root.is_file() and not root.is_dir():
        raise InputError(f"{path} is neither a file nor a folder")
    else:
        found = dict(_files_at(root, root.parent if root.is_file() else root, endings, passed_over, chosen=True))
    if not found:
        raise InputError(f"{path} holds no {' or '.join(endings)} file")
    return sorted(found.items())


def is_pattern(path: str) -> bool:
    """Whether a path has wildcards or braces, and nothing is called so."""
    return (glob.has_magic(path) or _BRACES.search(path) is not None) and not os.path.exists(path)


def _before_wildcards(path: Path) -> Path:
    """The folder before the first part that has wildcards or braces."""
    parts = itertools.takewhile(lambda part: not glob.has_magic(part) and "{" not in part, path.parts)
    return Path(*parts)


def matches(path: str) -> list[str]:
    """What a pattern (:func:`is_pattern`) matches, in order.

    Raises:
        InputError: nothing, or one of the names that braces mean is missing.
    """
    found: list[str] = []
    for name in expanded(path):
        here = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else [name]
        if not here or not os.path.exists(here[0]):
            raise InputError(f"nothing is at {name}" + (f", which {path} means" if name != path else ""))
        found += here
    return found


def expanded(path: str) -> list[str]:
    """The paths that braces mean: ``{00..02}`` is 00, 01, 02."""
    done, waiting = [], [path]
    while waiting:
        text = waiting.pop(0)
        braces = _BRACES.search(text)
        if braces is None:
            done.append(text)
            continue
        inner = braces[1].split(",")
        if len(inner) == 1:
            first, last = inner[0].split("..")
            if int(last) - int(first) >= _MOST:
                raise InputError(f"{path} means more than {_MOST:,} files")
            inner = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        waiting += [text[: braces.start()] + choice + text[braces.end() :] for choice in inner]
        if len(waiting) > _MOST:
            raise InputError(f"{path} means more than {_MOST:,} files")
    return done


def _files_at(
    root: Path, base: Path, endings: tuple[str, ...], passed_over: PassedOver, chosen: bool
) -> Iterator[tuple[Path, Path]]:
    """A file, or what a folder holds, with names relative to ``base``; ``chosen``: the file was named by itself."""
    if not root.is_dir():
        if not root.is_file():
            passed_over.add(SPECIAL, root.relative_to(base).as_posix())
        elif chosen or _wanted(root, base, endings, passed_over):
            yield root, root.relative_to(base)
        return
    for folder in walk(root, passed_over):
        for name in folder.files:
            file = Path(folder.path, name)
            if _wanted(file, base, endings, passed_over):
                yield file, file.relative_to(base)


def _wanted(file: Path, base: Path, endings: tuple[str, ...], passed_over: PassedOver) -> bool:
    what = skipped(file.name)
    if what is None:
        lower = file.name.lower()
        if lower.endswith(endings):
            return True
        what = f"files that are no {endings[0]}"
        if not lower.endswith((*_KNOWN["image"], *_KNOWN["audio"], *NO_SAMPLES)):
            try:
                head = _head(FileSlice(str(file)), _MARKS_END)
                if any(head.startswith(mark, at) for ending, at, mark in _MARKS if ending in endings):
                    return True
            except InputError:
                what = UNREADABLE
    passed_over.add(what, file.relative_to(base).as_posix())
    return False


def shown(path: str) -> str:
    """A path for a message of one line: as it is, or with escapes where it could not be printed."""
    return path if path.isprintable() else f"{path!a}"
