"""What can be read from names: which split a file belongs to, which files a path means."""

from __future__ import annotations

import re
from pathlib import Path

from raygp.data.sources.source import SplitName
from raygp.errors import InputError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2")
"""How the names of tars end."""

_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


def split_of(text: str) -> SplitName | None:
    """The split that a word such as "validation" means; None if it means none."""
    return _SPLITS.get(text.lower())


def split_of_path(path: Path) -> SplitName | None:
    """The split that a folder (``test/0.parquet``) or the start of a file's name (``test-00000-of-00002``) says."""
    words = [*path.parts[:-1], re.split(r"[-_.]", path.name, maxsplit=1)[0]]
    found = [split for word in words if (split := split_of(word)) is not None]
    return found[-1] if found else None


def files_of(path: str, suffixes: tuple[str, ...]) -> list[tuple[Path, Path]]:
    """The file at ``path``, or those below it with one of the suffixes, sorted: each with its name relative to it.

    Raises:
        InputError: there is nothing at ``path``, or no such file.
    """
    root = Path(path).absolute()
    if root.is_file():
        return [(root, Path(root.name))]
    if not root.is_dir():
        raise InputError(f"{path} does not exist")
    found = sorted(file for file in root.rglob("*") if file.is_file() and file.name.lower().endswith(suffixes))
    if not found:
        raise InputError(f"{path} holds no {' or '.join(suffixes)} file")
    return [(file, file.relative_to(root)) for file in found]
