"""A folder of class folders of images, or a tar of one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from raygp.data.sources.formats import suffixes
from raygp.data.sources.kind import LIKELY, POSSIBLE, UNLIKELY, SourceKind
from raygp.data.sources.layout import ClassFolder, Tree, class_folders
from raygp.data.sources.looking import first_members, has_labels, holds_below
from raygp.data.sources.naming import TARS
from raygp.data.sources.skipping import skipped
from raygp.data.sources.source import FileSlice, PassedOver, SourceSample
from raygp.data.sources.tarindex import TarIndex
from raygp.data.sources.walk import UNREADABLE, Parts, is_pattern, is_sample, not_decoded, shown, walk
from raygp.errors import InputError

SUFFIXES = suffixes("image")


class ImageFolderSource:
    """``DIR/<class>/*.jpg``, or such folders in folders called after splits, as ``DIR/train/<class>``; or a tar.

    :func:`~raygp.data.sources.naming.split_of` says which names mean a split. Without a test folder, one called ``val``
    is the held-out test split, since it is the one that published results are about, and a validation split is drawn
    from ``train``; ``valid`` and ``validation`` are what they say.

    Images may lie deeper in their class folder. A folder that holds nothing but one folder of folders is looked
    through. What is an image is told by its suffix, or where that is none of the known ones, by its first bytes.

    Args:
        path: the folder, or a .tar, .tar.gz or .tgz file.

    Raises:
        InputError: there is nothing at ``path``, or it is neither folder nor tar.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).absolute()
        if is_pattern(str(path)):
            raise InputError(f"{path} is a pattern, and imagefolder takes one folder or tar: give the folder above")
        if not self._path.exists():
            raise InputError(f"{path} does not exist")
        if not self._path.is_dir() and not self._path.name.lower().endswith(TARS):
            raise InputError(f"{path} is neither a folder nor a {', '.join(TARS)} file")
        self.name = f"image folder {shown(self._path.resolve().name)}"
        self.passed_over = PassedOver()

    def samples(self) -> Iterator[SourceSample]:
        """All images in the order of their keys, which are paths relative to the folder (to the one where the
        layout begins, if others are looked through).

        Raises:
            InputError: there are no class folders, or names leave it open what is a class; or a tar cannot be read.
        """
        return iter(self._listing)

    @cached_property
    def _listing(self) -> list[SourceSample]:
        tree = self._read_folder() if self._path.is_dir() else self._read_tar()
        top, classes = class_folders(str(self._path), tree, self.passed_over)
        start = len(top.path) + 1 if top.path else 0
        samples = (sample for found in classes for sample in self._samples(found, start))
        return sorted(samples, key=lambda sample: sample.key)

    def _samples(self, found: ClassFolder, start: int) -> Iterator[SourceSample]:
        """The images of a class folder; ``start`` is where in their paths their keys begin."""
        for path, load in found.folder.everything():
            key = path[start:]
            try:
                key.encode()
            except UnicodeEncodeError as error:
                raise InputError(f"{self._path}: the name {key!a} is not valid UTF-8; rename it") from error
            yield SourceSample(found.split, found.label, key, load)

    def _read_folder(self) -> Tree:
        tree = Tree("")
        for folder in walk(self._path, self.passed_over):
            here = tree.at(folder.parts)
            for name in folder.files:
                self._add(here, name, FileSlice(f"{folder.path}/{name}"))
        return tree

    def _add(self, folder: Tree, name: str, content: FileSlice) -> None:
        try:
            what = None if is_sample("image", name, content) else not_decoded("image", name)
        except InputError:
            what = UNREADABLE
        if what is None:
            folder.add(name, content)
        else:
            self.passed_over.add(what, f"{folder.path}/{name}".lstrip("/"))

    def _read_tar(self) -> Tree:
        index = TarIndex(self._path, self.passed_over)
        tree = Tree("")
        for name in index.folders:
            tree.at(self._parts(name))
        for name, content in index.files.items():
            if parts := self._parts(name):
                self._add(tree.at(parts[:-1]), parts[-1], content)
        return tree

    def _parts(self, name: str) -> Parts:
        """A tar member's path, or nothing for what is passed over: hidden, or outside the folder."""
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if ".." in parts:
            self.passed_over.add("names that lead out of the tar", name)
            return ()
        for end, part in enumerate(parts, 1):
            if (what := skipped(part)) is not None:
                self.passed_over.add(what, "/".join(parts[:end]))
                return ()
        return parts


def _looks_like(path: Path) -> int:
    if path.is_dir():
        return LIKELY if holds_below(path, SUFFIXES) else POSSIBLE
    if not path.name.lower().endswith(TARS):
        return UNLIKELY
    names = first_members(path)
    in_folders = any("/" in name and name.lower().endswith(SUFFIXES) for name in names)
    return LIKELY if in_folders and not has_labels(names) else POSSIBLE


IMAGEFOLDER = SourceKind(
    ImageFolderSource, "DIR", "or a .tar, .tar.gz or .tgz of one", media=("image",), looks_like=_looks_like
)
