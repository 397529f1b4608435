"""From an encoded image to pixels, and the stricter check of a sample when it is ingested.

This is how pixels come out, in ingest and in training alike. They are those that an image viewer shows:

- The content decides what a file is, not its name. Of an animation the first frame counts, of several pages the first
  one, of an MPO its first picture.
- An image that Exif says is turned or mirrored is put upright (all eight orientations).
- Transparent pixels show the task's ``background``, white unless it says otherwise. This holds for alpha channels, for
  palettes and for single transparent colours.
- Values of more than 8 bits are reduced to 8. Whole numbers have the smallest depth of 8, 10, 12, 14 and 16 bits that
  holds the largest value of the image, and their 8 highest bits count; so 12 bits that are stored in 16 come out right.
  Floats from 0 to 1 are multiplied by 255. Of all else (values that are negative or above 65535, other floats) the
  smallest becomes black and the largest white. Floats that are whole numbers count as such. A PNM file says which
  value is white, unless it says 65535.
- CMYK and palettes become RGB. Colour profiles are not applied.
- Then comes the centre square, scaled to the task's ``image_size``, in grey or RGB as its ``channels`` say.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import warnings
from collections.abc import Iterator
from io import BytesIO
from types import ModuleType

import numpy as np
import torch
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from torch import Tensor
from torch.nn import functional as F

from raygp.tasks.depth import UnfitImage, eight_bits
from raygp.tasks.headers import (
    JPEG,
    PNG,
    bare_jpeg,
    bare_png,
    jpeg_orientation,
    orientation,
    png_notes,
)
from raygp.tasks.pictures import flat, open_picture, plain_picture, unknown_format, with_alpha
from raygp.tasks.spec import WHITE

_MIN_SIDE = 2
_MAX_PIXELS = 1 << 27
_DEPTH, _KIND = 24, 25
"""Where a PNG says how many bits a value has, and what a pixel is made of."""
_WITH_ALPHA = (b"\x04", b"\x06")


def decode(sample: bytes, size: int, channels: int, background: str = WHITE) -> Tensor:
    """Pixels of an encoded image, as the head of this module says.

    Args:
        sample: a JPEG or PNG file; WebP, AVIF, TIFF, GIF, BMP and whatever else Pillow reads work too, more slowly.
        size: side in pixels.
        channels: 1 converts to grey, 3 to RGB.
        background: what transparent pixels show, as ``#rrggbb``.

    Returns:
        uint8, channels x size x size.

    Raises:
        ValueError: the bytes cannot be decoded; the message is the reason alone.
    """
    try:
        pixels = _read(sample, channels, background)
    except Exception as error:
        raise ValueError(_reason(error, sample)) from error
    height, width = pixels.shape[-2:]
    if (height, width) == (size, size):
        return pixels
    # Cut before scaling: the same picture as the other way round, and a panorama is never blown up first.
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    return F.interpolate(square[None], size=(size, size), mode="bilinear", antialias=True)[0]


def check(sample: bytes) -> None:
    """Refuse images that :func:`decode` may accept although they are damaged or senseless. What does not change pixels,
    such as a large colour profile, is not looked at.

    One damage is not found: a JPEG that was cut short and then given a proper end shows grey in place of the rest.

    Args:
        sample: an encoded image.

    Raises:
        ValueError: not an image, incomplete, smaller than 2 x 2 or larger than 134 million pixels; the message is the
            reason alone.
    """
    try:
        _check(sample)
    except Exception as error:
        raise ValueError(_reason(error, sample)) from error


def _check(sample: bytes) -> None:
    if not sample:
        raise UnfitImage("empty file")
    if sample.startswith((JPEG, PNG)):
        # What decodes them forgives what is missing, and Pillow does not.
        image = _bare(sample)
        _check_size(image)
        image.load()
        return
    with _quiet(), open_picture(sample) as image:
        _check_size(image)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < _MIN_SIDE:
        raise UnfitImage(f"image of {width} x {height} pixels: at least 2 x 2 are needed")
    if width * height > _MAX_PIXELS:
        raise UnfitImage(f"image of {width} x {height} pixels: more than {_MAX_PIXELS:,} in all")


def _bare(sample: bytes) -> ImageFile.ImageFile:
    """A JPEG or PNG opened by Pillow without what does not change its pixels, so that none of that can be refused."""
    if sample.startswith(JPEG):
        return JpegImageFile(BytesIO(bare_jpeg(sample)))
    return PngImageFile(BytesIO(bare_png(sample)))


def _read(sample: bytes, channels: int, background: str) -> Tensor:
    """Uint8, ``channels`` x H x W."""
    if not sample:
        raise UnfitImage("empty file")
    if sample.startswith(JPEG):
        return _upright(_decoded(sample, channels), jpeg_orientation(sample))
    if not sample.startswith(PNG):
        with _quiet(), open_picture(sample) as image:
            picture = flat(plain_picture(image, sample), channels, background)
            return _upright(_tensor(picture), orientation(image.info.get("exif", b"")))
    notes = png_notes(sample)
    turned = orientation(notes[b"eXIf"]) if b"eXIf" in notes else 1
    if sample[_DEPTH:_KIND] > b"\x08":
        return _upright(_tensor(flat(_deep_png(sample, notes.get(b"tRNS")), channels, background)), turned)
    if b"tRNS" in notes or sample[_KIND : _KIND + 1] in _WITH_ALPHA:
        return _upright(_tensor(flat(_bare(sample), channels, background)), turned)
    return _upright(_decoded(sample, channels), turned)


def _decoded(sample: bytes, channels: int) -> Tensor:
    """A JPEG, or a PNG without transparency of at most 8 bits a channel."""
    io = _torchvision_io()
    mode = io.ImageReadMode.GRAY if channels == 1 else io.ImageReadMode.RGB
    pixels: Tensor = io.decode_image(torch.frombuffer(bytearray(sample), dtype=torch.uint8), mode=mode)
    return pixels


def _deep_png(sample: bytes, transparent: bytes | None) -> Image.Image:
    """A PNG of 16 bits a channel, of which Pillow would drop half.

    Args:
        sample: the file.
        transparent: the content of its tRNS chunk: the one colour that is transparent.
    """
    decoded = _torchvision_io().decode_image(torch.frombuffer(bytearray(sample), dtype=torch.uint8))
    values = decoded.numpy().transpose(1, 2, 0)
    if values.shape[-1] in (2, 4):
        return with_alpha(eight_bits(values[..., :-1]), (values[..., -1] >> 8).astype(np.uint8))
    alpha = None
    if transparent is not None and len(transparent) == 2 * values.shape[-1]:
        colour = np.frombuffer(transparent, dtype=">u2")
        alpha = np.where((values == colour).all(axis=-1), 0, 255).astype(np.uint8)
    return with_alpha(eight_bits(values), alpha)


def _tensor(image: Image.Image) -> Tensor:
    """Uint8, channels x H x W."""
    pixels = np.asarray(image)
    return torch.from_numpy(pixels[None].copy() if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def _upright(pixels: Tensor, orientation: int) -> Tensor:
    """Pixels, channels x H x W, turned and mirrored as Exif's orientation says."""
    if orientation == 1:
        return pixels
    if orientation > 4:
        pixels = pixels.transpose(1, 2)
    axes = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}.get(orientation, ())
    # In one piece, since scaling gives other pixels where they lie in another order.
    return pixels.flip(axes).contiguous()


@functools.cache
def _torchvision_io() -> ModuleType:
    """Imported when the first image is decoded: that takes a second, which processes that decode nothing are spared."""
    return importlib.import_module("torchvision.io")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of damaged tags and large images; what counts of that is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _reason(error: Exception, sample: bytes) -> str:
    if isinstance(error, UnfitImage):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return unknown_format(sample)
    return "damaged image: " + (str(error).strip() or type(error).__name__).splitlines()[0]
