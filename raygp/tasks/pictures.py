"""What Pillow reads of an image: pixels of 8 bits, with transparency laid over a colour."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from raygp.tasks.depth import UnfitImage, Values, eight_bits

_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
_TIFF = (b"ii*\0", b"mm\0*", b"ii+\0", b"mm\0+")
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
"""Ends of the names by which Pillow calls 16 bits in little, big and native byte order."""
_PLANES, _BITS, _INK, _KIND, _SUBFILE = 284, 258, 262, 339, 254
"""TIFF's tags: planar configuration, bits per sample, photometric interpretation, sample format, new subfile type."""


def open_picture(sample: bytes) -> ImageFile.ImageFile:
    """The first frame or page of a file, not decoded yet.

    Raises:
        PIL.UnidentifiedImageError: it is none that Pillow knows, or one for which Pillow starts another program.
        Exception: whatever Pillow raises where a file is damaged.
    """
    if sample.startswith(_POSTSCRIPT):
        raise UnidentifiedImageError("PostScript")
    return Image.open(io.BytesIO(sample))


def unknown_format(sample: bytes) -> str:
    """Why a file is none that Pillow knows, for people."""
    head = sample[:512].lower()
    if head[4:8] == b"ftyp" and b"heic" in head[8:64]:
        return "a HEIC image, which cannot be decoded: convert it to JPEG or PNG"
    if b"<svg" in head:
        return "an SVG drawing, which has no pixels: convert it to PNG"
    if head.startswith((b"%pdf", *(mark.lower() for mark in _POSTSCRIPT))):
        return "a PDF or PostScript page, which has no pixels: convert it to PNG"
    if head.startswith(_TIFF):
        return "damaged image, or a TIFF of a kind that cannot be decoded: convert it to PNG"
    return "not an image in a known format"


def plain_picture(image: ImageFile.ImageFile, sample: bytes) -> Image.Image:
    """A decoded image of 8 bits a channel: grey or colours, with transparency where the file has some.

    Args:
        image: from :func:`open_picture`.
        sample: what it was opened from.

    Raises:
        UnfitImage: its values cannot be shown.
        Exception: whatever Pillow raises where a file is damaged.
    """
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    if tags.get(_SUBFILE, 0) & 1:
        raise UnfitImage("the small picture of a raw photo, which itself cannot be decoded: convert it to JPEG or PNG")
    deep = max(tags.get(_BITS, (8,))) > 8
    if image.mode in ("RGB", "RGBA") and deep:
        return _deep_colours(image, sample, tags)
    if image.mode[0] not in "IF":
        image.load()
        return image
    bits = 16 if _has_known_depth(image) else None
    values = np.asarray(image)
    if tags and tags.get(_KIND, (1,))[0] == 1 and values.dtype == np.int32:
        values = values.view(np.uint32)
    pixels = eight_bits(values, bits)
    # Pillow heeds this only where a pixel has 8 bits or fewer.
    return Image.fromarray(255 - pixels if tags.get(_INK) == 0 else pixels)


def with_alpha(colours: Values, alpha: Values | None) -> Image.Image:
    """An image from its colours (uint8, H x W x 1 or 3) and how opaque each pixel is (uint8, H x W)."""
    image = Image.fromarray(colours[..., 0] if colours.shape[-1] == 1 else colours)
    if alpha is not None:
        image = image.convert("RGB")
        image.putalpha(Image.fromarray(alpha))
    return image


def flat(image: Image.Image, channels: int, background: str) -> Image.Image:
    """An opaque image, grey or RGB: what is transparent shows the background.

    Args:
        image: from :func:`plain_picture`.
        channels: 1 for grey, 3 for RGB.
        background: colour as ``#rrggbb``.
    """
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        ground = Image.new("RGBA", image.size, background)
        ground.alpha_composite(image.convert("RGBA"))
        image = ground.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def _has_known_depth(image: ImageFile.ImageFile) -> bool:
    """Whether the format says which value is white, and Pillow has scaled that to 65535."""
    # A greymap of the full 16 bits says no more than a PNG of 16 bits does.
    return image.format == "JPEG2000" or (image.format == "PPM" and image.mode == "I" and image.tile[0][0] != "raw")


def _deep_colours(image: ImageFile.ImageFile, sample: bytes, tags: dict[int, Any]) -> Image.Image:
    """A TIFF of colours of 16 bits."""
    if tags.get(_PLANES) == 2:
        raise UnfitImage("a TIFF of 16 bits a colour in separate planes cannot be decoded: save it in one plane")
    kinds = {_kind(tile) for tile in image.tile}
    high = np.asarray(image)
    if any(kind.startswith("RGBa") for kind in kinds):
        return image  # Its colours are multiplied with their opacity, which the two halves would lose.
    # Pillow keeps the high byte of each value. Read as if the bytes stood the other way round, it keeps the low one.
    again = open_picture(sample)
    again.tile = [_in_other_order(tile) for tile in again.tile]
    low = np.asarray(again)
    values = high[..., :3].astype(np.uint16) << 8 | low[..., :3]
    return with_alpha(eight_bits(values), high[..., 3] if image.mode == "RGBA" else None)


def _in_other_order(tile: ImageFile._Tile) -> ImageFile._Tile:
    """A piece of a TIFF whose bytes are to be read in the other order."""
    kind = _kind(tile)
    if not re.fullmatch("RGB[AX]?;16[BLN]", kind) or not isinstance(tile.args, tuple):
        raise UnfitImage(f"a TIFF of a kind that cannot be decoded ({kind}): save it as PNG")
    return tile._replace(args=(kind[:-1] + _OTHER_ORDER[kind[-1]], *tile.args[1:]))


def _kind(tile: ImageFile._Tile) -> str:
    """How Pillow calls what a piece of a TIFF holds: ``RGB;16L``."""
    return str(tile.args[0]) if isinstance(tile.args, tuple) else ""
