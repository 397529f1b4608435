"""Short looks at a path, by which a kind of source tells whether it may be one of its own. No file is read whole."""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

from raygp.data.sources.formats import suffixes
from raygp.data.sources.skipping import skipped
from raygp.data.sources.source import PassedOver
from raygp.data.sources.tarkeys import LABELS
from raygp.data.sources.walk import walk
from raygp.errors import InputError

_FOLDERS, _MEMBERS = 200, 64
"""So many folders, or members of a tar, are looked at."""
_DEEPEST = 4
_SAMPLES = frozenset(suffixes("image") + suffixes("audio"))


def holds_below(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a folder in ``path`` (not ``path`` itself) holds files whose names end so, in lower case."""
    below = (folder for folder in _folders(path) if folder[0])
    return any(name.lower().endswith(endings) for _, files in below for name in files)


def holds(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether ``path`` or a folder in it holds files whose names end so, in lower case."""
    return any(name.lower().endswith(endings) for _, files in _folders(path) for name in files)


def first_members(path: Path) -> list[str]:
    """Names of the first files in a tar, without those that are no data; none if it cannot be read."""
    names: list[str] = []
    try:
        with tarfile.open(path, "r|*") as tar:
            for member in itertools.islice(tar, _MEMBERS):
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if member.isfile() and not any(skipped(part) for part in parts):
                    names.append("/".join(parts))
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return names  # Cut short or compressed in a way that tarfile does not know: what reads it will say so.
    return names


def has_labels(names: list[str]) -> bool:
    """Whether members of a tar have labels beside them, as WebDataset has it: ``0001.jpg`` and ``0001.cls``."""
    samples, labels = set(), set()
    for name in names:
        folder, _, base = name.rpartition("/")
        key, suffix = f"{folder}/{base.partition('.')[0]}", base.rpartition(".")[2].lower()
        if suffix in LABELS:
            labels.add(key)
        elif f".{suffix}" in _SAMPLES:
            samples.add(key)
    return bool(samples & labels)


def _folders(path: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Parts and files of the first folders."""
    try:
        for folder in itertools.islice(walk(path, PassedOver(), deepest=_DEEPEST), _FOLDERS):
            yield folder.parts, folder.files
    except InputError:
        return
