"""From an encoded image to pixels, and the stricter check of a sample when it is ingested."""

from __future__ import annotations

import functools
import importlib
import io
from types import ModuleType

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

_MIN_SIDE = 2
_MAX_PIXELS = 1 << 27
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"


def decode(sample: bytes, size: int, channels: int) -> Tensor:
    """Pixels of an encoded image: its centre square, scaled to ``size`` where the size differs.

    Args:
        sample: a JPEG or PNG file; BMP, WebP and whatever else Pillow reads work too, more slowly.
        size: side in pixels.
        channels: 1 converts to grey, 3 to RGB; transparency is dropped.

    Returns:
        uint8, channels x size x size.

    Raises:
        ValueError: the bytes cannot be decoded; the message is the reason alone.
    """
    pixels = _read(sample, channels)
    height, width = pixels.shape[-2:]
    if (height, width) == (size, size):
        return pixels
    # Cut before scaling: the same picture as the other way round, and a panorama is never blown up first.
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    return F.interpolate(square[None], size=(size, size), mode="bilinear", antialias=True)[0]


def check(sample: bytes) -> None:
    """Refuse images that :func:`decode` may accept although they are damaged or senseless. Pillow looks at them, which
    is stricter.

    One damage is not found: a JPEG that was cut short and then given a proper end shows grey in place of the rest.

    Args:
        sample: an encoded image.

    Raises:
        ValueError: not an image, incomplete, smaller than 2 x 2 or larger than 134 million pixels; the message is the
            reason alone.
    """
    if not sample:
        raise ValueError("empty file")
    try:
        with Image.open(io.BytesIO(sample)) as image:
            width, height = image.size
            if min(width, height) < _MIN_SIDE:
                raise ValueError(f"image of {width} x {height} pixels: at least 2 x 2 are needed")
            if width * height > _MAX_PIXELS:
                raise ValueError(f"image of {width} x {height} pixels: more than {_MAX_PIXELS:,} in all")
            image.load()
    except UnidentifiedImageError as error:
        raise ValueError("not an image in a known format") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"damaged image: {_reason(error)}") from error


@functools.cache
def _torchvision_io() -> ModuleType:
    """Imported when the first image is decoded: that takes a second, which processes that decode nothing are spared."""
    return importlib.import_module("torchvision.io")


def _read(sample: bytes, channels: int) -> Tensor:
    if not sample:
        raise ValueError("empty file")
    try:
        if not sample.startswith((_JPEG, _PNG)):
            from torchvision.transforms.functional import pil_to_tensor

            with Image.open(io.BytesIO(sample)) as image:
                picture: Tensor = pil_to_tensor(image.convert("L" if channels == 1 else "RGB"))
                return picture
        encoded = torch.frombuffer(bytearray(sample), dtype=torch.uint8)
        modes = _torchvision_io().ImageReadMode
        pixels: Tensor = _torchvision_io().decode_image(encoded, mode=modes.GRAY if channels == 1 else modes.RGB)
    except UnidentifiedImageError as error:
        raise ValueError("not an image in a known format") from error
    except (RuntimeError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"damaged image: {_reason(error)}") from error
    # A PNG of 16 bits a channel keeps them; the high byte is the 8-bit image.
    return pixels if pixels.dtype == torch.uint8 else (pixels.to(torch.int32) >> 8).to(torch.uint8)


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
