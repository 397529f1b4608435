"""MNIST and its kin as they were published: idx files, compressed or not.

numpy and Pillow are imported when a file is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.data.sources.compression import plain_file
from raygp.data.sources.emnist import characters, is_emnist
from raygp.data.sources.idxnames import IdxPart, find_idx_set, looks_like_idx, set_of
from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.source import FileSlice, PassedOver, SourceSample
from raygp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_IMAGES, _LABELS = 2051, 2049
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""By the third byte of a file: what it holds, for numpy."""
_HEAD = 20
_DIMENSIONS = range(1, 5)
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""By channels, for Pillow."""
_QMNIST = "qmnist"


class IdxSource:
    """The rows of ``train-*`` (split train), ``t10k-*`` or ``test-*`` (split test), as PNG images.

    A part may be absent. EMNIST's pictures are turned as people see them, and its labels are the characters.

    Args:
        path: a folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same for ``t10k``, each as
            it is or compressed; they may lie further below, and be named as they often are
            (:mod:`raygp.data.sources.idxnames`). Where there are several sets, how the paths of one begin:
            ``DIR/emnist-letters``.

    Raises:
        InputError: there are none, or one of a pair is missing, or there are several sets.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path).absolute()
        self.passed_over = PassedOver()
        """Files that are no part of the set."""
        self._set = find_idx_set(path, self.passed_over)
        folder = (path if path.is_dir() else path.parent).resolve().name
        self.name = f"idx files in {folder}" + (f"/{self._set.name}" if self._set.name else "")

    def samples(self) -> Iterator[SourceSample]:
        """All rows, with keys like ``train-000123``.

        Raises:
            InputError: a file is damaged or of another kind, or images and labels differ in number.
        """
        emnist = is_emnist(self._set.name)
        names = characters(self._set.name, self._set.mapping) if emnist else None
        for part, (images, numbers) in zip(self._set.parts, self._contents, strict=True):
            labels = {number: _label(number, names) for number in set(numbers)}
            for row, (number, load) in enumerate(zip(numbers, images.rows(emnist), strict=True)):
                label, problem = labels[number]
                yield SourceSample(part.split, label, f"{part.word}-{row:06d}", load, problem)

    @cached_property
    def _contents(self) -> list[tuple[IdxFile, list[float]]]:
        """Images and labels of each part."""
        found = []
        for part in self._set.parts:
            images, labels = IdxFile.read(part.images), IdxFile.read(part.labels)
            with_writers = len(labels.shape) == 2 and self._set.name.startswith(_QMNIST)
            _check(part, images, labels, with_writers)
            values = labels.values()
            found.append((images, (values[:, 0] if with_writers else values).tolist()))
        return found


@dataclass(frozen=True, slots=True)
class IdxRow:
    """One image of an idx file as PNG bytes."""

    path: str
    start: int
    shape: tuple[int, int, int]
    """Height, width and channels."""
    transposed: bool = False

    def __call__(self) -> bytes:
        """The PNG (mode L, RGB or RGBA).

        Raises:
            InputError: the file cannot be read.
        """
        from PIL import Image

        height, width, channels = self.shape
        content = FileSlice(self.path, self.start, height * width * channels)()
        mode = _MODES[channels]
        image = Image.frombuffer(mode, (width, height), content, "raw", mode, 0, 1)
        if self.transposed:
            image = image.transpose(Image.Transpose.TRANSPOSE)
        png = io.BytesIO()
        image.save(png, "PNG")
        return png.getvalue()


@dataclass(frozen=True)
class IdxFile:
    """The header of an idx file."""

    path: str
    """Of its content, unpacked."""
    kind: str
    """Of its values, for numpy."""
    start: int
    """Bytes before the values."""
    shape: tuple[int, ...]

    @staticmethod
    def read(path: Path) -> IdxFile:
        """The header of a file, which may be compressed.

        Raises:
            InputError: it is no idx file, or damaged.
        """
        try:
            plain = plain_file(path)
            with plain.open("rb") as file:
                head = file.read(_HEAD)
            size = plain.stat().st_size
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        kind = _TYPES.get(head[2]) if len(head) >= 4 and head[:2] == b"\0\0" else None
        dimensions = head[3] if kind else 0
        if kind is None or dimensions not in _DIMENSIONS:
            magic = int.from_bytes(head[:4], "big")
            raise InputError(
                f"{path} is not an idx file: it begins with {magic}, not {_IMAGES} (images) or {_LABELS} (labels)"
            )
        start = 4 + 4 * dimensions
        shape = tuple(int.from_bytes(head[at : at + 4], "big") for at in range(4, start, 4))
        expected = start + int(kind[-1]) * math.prod(shape)
        if size != expected or 0 in shape:
            sides = "x".join(map(str, shape))
            raise InputError(f"{path} has {size:,} bytes; its header says {sides}, so {expected:,}: damaged or empty")
        return IdxFile(str(plain), kind, start, shape)

    def rows(self, transposed: bool) -> Iterator[IdxRow]:
        """Its images."""
        shape = (self.shape[1], self.shape[2], math.prod(self.shape[3:]))
        size = math.prod(shape)
        return (IdxRow(self.path, self.start + row * size, shape, transposed) for row in range(self.shape[0]))

    def values(self) -> np.ndarray:
        """All that it holds.

        Raises:
            InputError: the file cannot be read.
        """
        import numpy as np

        content = FileSlice(self.path, self.start, int(self.kind[-1]) * math.prod(self.shape))()
        return np.frombuffer(content, self.kind).reshape(self.shape)


def _check(part: IdxPart, images: IdxFile, labels: IdxFile, with_writers: bool) -> None:
    """Whether two files hold images and the labels of them."""
    pictures = len(images.shape) == 3 or (len(images.shape) == 4 and images.shape[3] in _MODES)
    numbers = len(labels.shape) == 1 or with_writers
    for path, file, fits, what in (
        (part.images, images, pictures, "images of height by width"),
        (part.labels, labels, numbers, "one label a row"),
    ):
        if not fits and len(file.shape) in (1, 3):
            raise InputError(f"{path} holds {'labels' if len(file.shape) == 1 else 'images'}: files mixed up?")
        if not fits:
            raise InputError(f"{path} holds {'x'.join(map(str, file.shape))} values, not {what}")
    if images.kind != "u1":
        raise InputError(f"{part.images} holds pixels of type {images.kind}: whole numbers from 0 to 255 are read (u1)")
    if images.shape[0] != labels.shape[0]:
        names = f"{part.images} has {images.shape[0]:,} images, {part.labels.name}"
        raise InputError(f"{names} {labels.shape[0]:,} labels: they do not belong together")


def _label(number: float, names: dict[int, str] | None) -> tuple[str, str]:
    """A row's label, and why it cannot be used."""
    if not float(number).is_integer() or number < 0:
        return "", f"label {number:g} is no class"
    if names is None:
        return str(int(number)), ""
    label = names.get(int(number), "")
    return label, "" if label else f"label {number:g} is none of the set's {len(names)} characters"


def _looks_like(path: Path) -> int:
    if not path.is_dir():
        return UNLIKELY
    # As torchvision lays them: MNIST/raw/train-images-idx3-ubyte.
    folders = [path, path / "raw", *(below / "raw" for below in path.iterdir())]
    there = any(looks_like_idx(file.name) for folder in folders if folder.is_dir() for file in folder.iterdir())
    return LIKELY if there else UNLIKELY


def _inputs(path: Path, task: Any, passed_over: PassedOver) -> Iterator[SourceSample] | None:
    if not looks_like_idx(path.name) or path.is_dir():
        return None
    if "image" in path.name.lower():
        return _pictures(path)
    passed_over.add("idx files of labels", path.name)
    return iter(())


def _pictures(path: Path) -> Iterator[SourceSample]:
    """The images of a file, with keys like ``#000012``."""
    file = IdxFile.read(path)
    if file.kind != "u1" or not (len(file.shape) == 3 or (len(file.shape) == 4 and file.shape[3] in _MODES)):
        raise InputError(f"{path} holds no images of height by width in bytes")
    for row, load in enumerate(file.rows(is_emnist(set_of(path)))):
        yield SourceSample(None, "", f"#{row:06d}", load)


IDX = SourceKind(IdxSource, "DIR", media=("image",), looks_like=_looks_like, inputs=_inputs)
