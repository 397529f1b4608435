"""The 1,797 scanned digits that come with scikit-learn: real data that need no download.

numpy, Pillow and scikit-learn are imported when a sample is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from raygp.data.sources.kind import SourceKind
from raygp.data.sources.source import SourceSample
from raygp.errors import InputError

if TYPE_CHECKING:
    import numpy as np

_SIDES = range(8, 513)


class DigitsSource:
    """Scans of 8 x 8 pixels, enlarged, as RGB JPEG images; no splits.

    Args:
        image_size: side of the images in pixels, 8 to 512.

    Raises:
        InputError: ``image_size`` is out of range.
    """

    def __init__(self, image_size: int = 32) -> None:
        if not isinstance(image_size, int) or image_size not in _SIDES:
            raise InputError(f"digits: image_size must be from {_SIDES[0]} to {_SIDES[-1]}, not {image_size}")
        self._image_size = image_size
        self.name = f"scikit-learn digits at {image_size} x {image_size}"

    def samples(self) -> Iterator[SourceSample]:
        """All scans, with keys like ``digit-0001``, numbered from 0."""
        for row, digit in enumerate(_scans()[1].tolist()):
            yield SourceSample(None, str(digit), f"digit-{row:04d}", DigitsRow(row, self._image_size))


@dataclass(frozen=True, slots=True)
class DigitsRow:
    """One scan as JPEG bytes."""

    row: int
    image_size: int

    def __call__(self) -> bytes:
        """The JPEG (RGB, ``image_size`` square, quality 95)."""
        import numpy as np
        from PIL import Image

        grey = np.rint(_scans()[0][self.row] * (255 / 16)).astype(np.uint8)
        side = (self.image_size, self.image_size)
        jpeg = io.BytesIO()
        Image.fromarray(grey).resize(side, Image.Resampling.BICUBIC).convert("RGB").save(jpeg, "JPEG", quality=95)
        return jpeg.getvalue()


@lru_cache(maxsize=1)
def _scans() -> tuple[np.ndarray, np.ndarray]:
    # scikit-learn takes a second to import; only this source needs it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target


DIGITS = SourceKind(DigitsSource, options=("image_size",))
