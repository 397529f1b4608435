"""MNIST as it was published: four idx files, gzipped or not.

numpy and Pillow are imported when a file is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.source import SourceSample, SplitName
from raygp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_IMAGES, _LABELS = 2051, 2049
_PARTS: dict[str, SplitName] = {"train": "train", "t10k": "test"}


class IdxSource:
    """The rows of ``train-*`` (split train) and ``t10k-*`` (split test), as grey PNG images.

    Args:
        folder: holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
            ``t10k-labels-idx1-ubyte``, each as it is or with ``.gz``.

    Raises:
        InputError: the folder or one of the files is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder).absolute()
        if not folder.is_dir():
            raise InputError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}")
        self._images = {part: _find(folder, f"{part}-images-idx3-ubyte") for part in _PARTS}
        self._label_files = {part: _find(folder, f"{part}-labels-idx1-ubyte") for part in _PARTS}
        self.name = f"idx files in {folder.resolve().name}"

    def samples(self) -> Iterator[SourceSample]:
        """All rows, with keys like ``train-000123``.

        Raises:
            InputError: a file is damaged or of another kind, or images and labels differ in number.
        """
        for part in sorted(_PARTS):
            path = str(self._images[part])
            for row, label in enumerate(self._labels[part].tolist()):
                yield SourceSample(_PARTS[part], str(label), f"{part}-{row:06d}", IdxRow(path, row))

    @cached_property
    def _labels(self) -> dict[str, np.ndarray]:
        found = {}
        for part in _PARTS:
            images, labels = (_read(str(files[part])) for files in (self._images, self._label_files))
            for path, array, dimensions in ((self._images[part], images, 3), (self._label_files[part], labels, 1)):
                if array.ndim != dimensions:
                    raise InputError(f"{path} holds {'labels' if array.ndim == 1 else 'images'}: files mixed up?")
            if len(images) != len(labels):
                names = f"{self._images[part]} has {len(images):,} images, {self._label_files[part].name}"
                raise InputError(f"{names} {len(labels):,} labels: they do not belong together")
            found[part] = labels
        return found


@dataclass(frozen=True, slots=True)
class IdxRow:
    """One image of an idx file as PNG bytes; the file is read once a process."""

    path: str
    row: int

    def __call__(self) -> bytes:
        """The PNG (mode L).

        Raises:
            InputError: the file cannot be read.
        """
        from PIL import Image

        png = io.BytesIO()
        Image.fromarray(_read(self.path)[self.row]).save(png, "PNG")
        return png.getvalue()


@lru_cache(maxsize=4)
def _read(path: str) -> np.ndarray:
    import numpy as np

    try:
        content = Path(path).read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    magic = int.from_bytes(content[:4], "big")
    if magic not in (_IMAGES, _LABELS):
        raise InputError(
            f"{path} is not an idx file: it begins with {magic}, not {_IMAGES} (images) or {_LABELS} (labels)"
        )
    start = 16 if magic == _IMAGES else 8
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) != expected or 0 in shape:
        size = "x".join(map(str, shape))
        raise InputError(
            f"{path} has {len(content):,} bytes; its header says {size}, so {expected:,}: damaged or empty"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(f"{folder} lacks {name} (or {name}.gz)")


def _looks_like(path: Path) -> int:
    names = [f"train-images-idx3-ubyte{suffix}" for suffix in ("", ".gz")]
    return LIKELY if any((path / name).is_file() for name in names) else UNLIKELY


IDX = SourceKind(IdxSource, "DIR", looks_like=_looks_like)
