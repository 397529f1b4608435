"""A folder of class folders of images, or a tar of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from raygp.data.sources.kind import POSSIBLE, UNLIKELY, SourceKind
from raygp.data.sources.naming import TARS
from raygp.data.sources.source import FileSlice, SourceSample, SplitName
from raygp.data.sources.tarindex import TarIndex
from raygp.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_SPLITS = ("train", "val", "test")
_LAYOUT = "expected one folder of images for each class, or such folders in train, val and test"

Parts = tuple[str, ...]


class ImageFolderSource:
    """``DIR/<class>/*.jpg``, or the same under ``DIR/train`` with ``DIR/val`` and ``DIR/test`` beside it, or a tar.

    Without ``test``, ``val`` is the held-out test split, since it is the one that published results are about; a
    validation split is then drawn from ``train``. Images may lie deeper in their class folder. Names that begin with a
    dot are passed over.

    Args:
        path: the folder, or a .tar, .tar.gz or .tgz file.

    Raises:
        InputError: there is nothing at ``path``, or it is neither folder nor tar.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).absolute()
        if not self._path.exists():
            raise InputError(f"{path} does not exist")
        if not self._path.is_dir() and not self._path.name.lower().endswith(TARS):
            raise InputError(f"{path} is neither a folder nor a {', '.join(TARS)} file")
        self.name = f"image folder {self._path.resolve().name}"

    def samples(self) -> Iterator[SourceSample]:
        """All images in the order of their keys, which are paths relative to the folder.

        Raises:
            InputError: there are no class folders, or only one, or one without images; or a tar cannot be read.
        """
        return iter(self._listing)

    @cached_property
    def _listing(self) -> list[SourceSample]:
        files, folders = self._walk() if self._path.is_dir() else self._read_tar()
        files, folders = _without_top(files, folders)
        split_layout = any(parts[0] == "train" for parts in folders)
        depth = 1 if split_layout else 0
        # A test folder without labels, as contests have them, does not count.
        has_test = any(parts[0] == "test" and len(parts) > 2 and _is_image(parts) for parts in files)
        samples = []
        for parts, load in files.items():
            if len(parts) < depth + 2 or (split_layout and parts[0] not in _SPLITS):
                continue
            if load is None or not _is_image(parts):
                continue
            split = _split_of(parts[0], has_test) if split_layout else None
            samples.append(SourceSample(split, parts[depth], self._key(parts), load))
        prefix = ("train",) if split_layout else ()
        self._check({parts[depth] for parts in folders if len(parts) > depth and parts[:depth] == prefix}, samples)
        return sorted(samples, key=lambda sample: sample.key)

    def _walk(self) -> tuple[dict[Parts, FileSlice | None], set[Parts]]:
        files: dict[Parts, FileSlice | None] = {}
        folders: set[Parts] = set()
        seen: set[str] = set()
        for folder, below, names in os.walk(self._path, followlinks=True, onerror=_refuse):
            real = os.path.realpath(folder)
            # Links to folders are followed, but not in circles.
            below[:] = [] if real in seen else sorted(name for name in below if not name.startswith("."))
            if real in seen:
                continue
            seen.add(real)
            parts = Path(folder).relative_to(self._path).parts
            if parts:
                folders.add(parts)
            files.update({(*parts, name): FileSlice(f"{folder}/{name}") for name in names if not name.startswith(".")})
        return files, folders

    def _read_tar(self) -> tuple[dict[Parts, FileSlice | None], set[Parts]]:
        index = TarIndex(self._path)
        named: dict[str, FileSlice | None] = {**dict.fromkeys(index.skipped), **index.files}
        files = {parts: load for name, load in named.items() if (parts := _parts(name))}
        folders = {parts for name in index.folders if (parts := _parts(name))}
        for parts in files:
            folders.update(parts[:end] for end in range(1, len(parts)))
        return files, folders

    def _key(self, parts: Parts) -> str:
        key = "/".join(parts)
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{self._path}: the name {key!a} is not valid UTF-8; rename it") from error
        return key

    def _check(self, labels: set[str], samples: list[SourceSample]) -> None:
        if not labels:
            raise InputError(f"{self._path} holds no class folders; {_LAYOUT}")
        if len(labels) == 1:
            raise InputError(f"{self._path} holds only one class ('{labels.pop()}'); at least two are needed")
        for label in sorted(labels - {sample.label for sample in samples if sample.split in (None, "train")}):
            raise InputError(f"{self._path}: class '{label}' holds no images ({', '.join(SUFFIXES)})")
        for sample in samples:
            if sample.label not in labels:
                where = sample.key.split("/")[0]
                raise InputError(
                    f"{self._path}: {where} has a class '{sample.label}' that train lacks; rename or remove it"
                )


def _is_image(parts: Parts) -> bool:
    return parts[-1].lower().endswith(SUFFIXES)


def _split_of(folder: str, has_test: bool) -> SplitName:
    if folder == "val":
        return "val" if has_test else "test"
    return "test" if folder == "test" else "train"


def _parts(name: str) -> Parts:
    """A tar member's path, or nothing for what is passed over: hidden, or outside the folder."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return () if hidden else parts


def _without_top(
    files: dict[Parts, FileSlice | None], folders: set[Parts]
) -> tuple[dict[Parts, FileSlice | None], set[Parts]]:
    """Drop a single folder that holds all the others, unless it is itself a class or ``train``."""
    tops = {parts[0] for parts in folders}
    images_in_top = any(len(parts) == 2 and _is_image(parts) for parts in files)
    if len(tops) != 1 or tops & set(_SPLITS) or images_in_top or all(len(parts) < 2 for parts in folders):
        return files, folders
    return (
        {parts[1:]: load for parts, load in files.items() if len(parts) > 1},
        {parts[1:] for parts in folders if len(parts) > 1},
    )


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}")


def _looks_like(path: Path) -> int:
    return POSSIBLE if path.is_dir() or path.name.lower().endswith(TARS) else UNLIKELY


IMAGEFOLDER = SourceKind(ImageFolderSource, "DIR", "or a .tar, .tar.gz or .tgz of one", looks_like=_looks_like)
