"""The idx files below a path, whichever names and folders they came in, and which of them belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from raygp.data.sources.naming import split_of
from raygp.data.sources.source import PassedOver, SplitName
from raygp.data.sources.walk import walk
from raygp.errors import InputError

_NAME = re.compile(
    r"(?:(?P<start>.*[^-_.])[-_.])?(?P<what>images?|labels?)[-_.]?(?:idx[1-4]?(?:[-_.]?(?:u?byte|int))?|ubyte)"
    r"(?P<again> ?\([0-9]+\))?(?P<packed>\.(?:gz|xz|bz2|zst))?",
    re.IGNORECASE,
)
"""``train-images-idx3-ubyte``, ``t10k-labels.idx1-ubyte.gz``, ``emnist-letters-test-images-idx3-ubyte``."""
_T10K = "t10k"
_DEEPEST = 4
_SHOWN = 5


@dataclass(frozen=True)
class IdxPart:
    """The two files of a split."""

    word: str
    """As in their names: "train", "t10k", "test"."""
    split: SplitName
    images: Path
    labels: Path


@dataclass(frozen=True)
class IdxSet:
    """Idx files that belong together."""

    name: str
    """What stands before the part in their names, such as "emnist-letters"; empty for MNIST's own names."""
    folder: Path
    parts: tuple[IdxPart, ...]
    """In the order of their words."""
    mapping: Path | None
    """EMNIST's table of the characters that its labels mean, where it lies beside them."""


@dataclass(frozen=True)
class _File:
    path: Path
    home: Path
    """The folder of its set: no folder of the file's own name, and none that is called after a split."""
    set: str
    word: str
    split: SplitName
    images: bool
    packed: bool
    again: bool
    """Fetched once more by a browser: ``train-images-idx3-ubyte (1).gz``."""


def looks_like_idx(name: str) -> bool:
    """Whether a file or folder of this name holds images or labels as idx files do."""
    return _NAME.fullmatch(name) is not None


def set_of(path: Path) -> str:
    """Name of the set that a file of this path belongs to, such as ``emnist-letters``; empty for MNIST's own."""
    file = _idx_file(path.parent, path)
    return file.set if file else ""


def find_idx_set(path: Path, passed_over: PassedOver) -> IdxSet:
    """The one set of idx files at a path.

    Args:
        path: absolute; a folder that holds them, itself or further below; or one of the files; or how the paths of
            several begin, such as ``DIR/emnist-letters``.
        passed_over: is told which files are no part of the set.

    Raises:
        InputError: there is none, or there are several, or one of a pair is missing.
    """
    if not path.is_dir():
        return _find_by_name(path)
    files = [Path(folder.path, name) for folder in walk(path, passed_over, deepest=_DEEPEST) for name in folder.files]
    known = [file for name in files if (file := _idx_file(path, name)) is not None]
    chosen = _only_set(path, [file for file in known if file.home == path] or known)
    found = _paired(chosen, files)
    used = {found.mapping, *(name for part in found.parts for name in (part.images, part.labels))}
    twice, other_sets = ({file.path for file in some} for some in (chosen, known))
    for name in files:
        if name not in used:
            rest = "idx files of other sets" if name in other_sets else "other files"
            what = "idx files of which there is another" if name in twice else rest
            passed_over.add(what, name.relative_to(path).as_posix())
    return found


def _find_by_name(path: Path) -> IdxSet:
    """The set that a file belongs to, or that a path is the beginning of."""
    folder, start = path.parent, path.name.lower().rstrip("-_.")
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    known = [file for name in files if name.is_file() and (file := _idx_file(folder, name)) is not None]
    own = _idx_file(folder, path)
    chosen = [file for file in known if (file.set == own.set if own else start and file.set.startswith(start))]
    if not chosen:
        raise InputError(f"{path} {'is not a folder' if path.exists() else 'does not exist'}")
    exact = [file for file in chosen if file.set == start]
    return _paired(_only_set(folder, exact or chosen), files)


def _idx_file(root: Path, path: Path) -> _File | None:
    """What the name says; None if it is no idx file's."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        return None
    home = path.parent
    # 7-Zip unpacks a file into a folder of the same name.
    if home != root and looks_like_idx(home.name):
        home = home.parent
    *_, before, word = ["", *re.split(r"[-_.](?=[^-_.]*$)", named["start"] or "")]
    split = _split_of(word)
    if split is None:
        before, word = named["start"] or "", home.name.lower()
        split = _split_of(word)
    if split is None:
        return None
    if home != root and _split_of(home.name) == split:
        home = home.parent
    images = named["what"].lower().startswith("image")
    return _File(path, home, before.lower(), word.lower(), split, images, bool(named["packed"]), bool(named["again"]))


def _split_of(word: str) -> SplitName | None:
    return "test" if word.lower() == _T10K else split_of(word)


def _only_set(root: Path, files: Sequence[_File]) -> list[_File]:
    """The files of the one set that there is.

    Raises:
        InputError: there is none, or there are several.
    """
    sets: dict[tuple[Path, str], list[_File]] = {}
    for file in files:
        sets.setdefault((file.home, file.set), []).append(file)
    if len(sets) == 1:
        return next(iter(sets.values()))
    if sets:
        names = sorted(f"idx:{_path_of(key, sets)}" for key in sets)
        raise InputError(f"{root} holds idx files of several sets: name one of {', '.join(names)}")
    there = sorted(path.name for path in root.iterdir())
    shown = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN:,} more" if len(there) > _SHOWN else "")
    raise InputError(
        f"{root} lacks train-images-idx3-ubyte and train-labels-idx1-ubyte (with or without .gz); "
        + (f"there is {shown}" if there else "it is empty")
    )


def _path_of(key: tuple[Path, str], sets: dict[tuple[Path, str], list[_File]]) -> Path:
    """What to name so that this one of several sets is read."""
    home, name = key
    if sum(other == home for other, _ in sets) == 1:
        return home
    return home / name if name else sets[key][0].path


def _paired(files: Sequence[_File], beside: Sequence[Path]) -> IdxSet:
    """The set that files make. Where one is there twice, the plainer one is taken.

    Raises:
        InputError: there are images without labels, or labels without images.
    """
    best: dict[tuple[str, bool], _File] = {}
    for file in sorted(files, key=lambda file: (file.again, file.packed, len(file.path.parts), str(file.path))):
        best.setdefault((file.word, file.images), file)
    parts = []
    for word in sorted({file.word for file in files}):
        images, labels = (best.get((word, kind)) or _lacking(best[word, not kind]) for kind in (True, False))
        parts.append(IdxPart(word, images.split, images.path, labels.path))
    name, home = files[0].set, files[0].home
    mapping = next((path for path in beside if name and path.name.lower() == f"{name}-mapping.txt"), None)
    return IdxSet(name, home, tuple(parts), mapping)


def _lacking(there: _File) -> NoReturn:
    """Say that of two files one is missing."""
    name = there.path.name.removesuffix(there.path.suffix) if there.packed else there.path.name
    for one, other in (("images", "labels"), ("image", "label"), ("idx3", "idx1"), ("idx4", "idx1")):
        name = name.replace(one, other) if there.images else name.replace(other, one)
    raise InputError(f"{there.home} lacks {name} (or {name}.gz)")
