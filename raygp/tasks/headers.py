"""What stands in an image file before its pixels: which parts it has, and how the camera was held.

JPEG and PNG alone: these are decoded without Pillow, so nothing else tells. Damage is no error here; the decoder that
follows finds it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
"""How files begin."""

_EXIF = b"Exif\0\0"
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_BARE_JPEG = {*range(0xE1, 0xEE), 0xEF, 0xFE}
"""Markers of what a JPEG is shown without: all of APP0 to APP15 but JFIF's and Adobe's, and comments."""
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_ORIENTATION = 0x0112
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Exif's types of whole numbers."""

Chunk = tuple[bytes, int, int]
"""Kind of a PNG's chunk, and where its content begins and ends."""


def jpeg_orientation(sample: bytes) -> int:
    """The orientation that a JPEG's Exif says, from 1 (as it is stored) to 8."""
    for marker, start, end in _segments(sample):
        if marker == _APP1 and sample.startswith(_EXIF, start + 4):
            return orientation(sample[start + 4 : end])
    return 1


def bare_jpeg(sample: bytes) -> bytes:
    """A JPEG without the segments that do not change its pixels."""
    dropped = [(start, end) for marker, start, end in _segments(sample) if marker in _BARE_JPEG]
    return _without(sample, dropped)


def png_chunks(sample: bytes) -> list[Chunk]:
    """A PNG's chunks in their order, as far as they are whole."""
    found: list[Chunk] = []
    at, size = len(PNG), len(sample)
    while at + 12 <= size:
        end = at + 8 + int.from_bytes(sample[at : at + 4])
        if end + 4 > size:
            break
        found.append((sample[at + 4 : at + 8], at + 8, end))
        at = end + 4
    return found


def bare_png(sample: bytes, chunks: list[Chunk]) -> bytes:
    """A PNG without the chunks that do not change its pixels: texts, colour profiles, animation."""
    return _without(sample, [(start - 8, end + 4) for kind, start, end in chunks if kind not in _PIXEL_CHUNKS])


def orientation(exif: bytes) -> int:
    """The orientation, from 1 to 8, in Exif data with or without their prefix; 1 where there is none, or no valid one.

    Pillow would read all of the tags, and warn of those that are damaged.
    """
    exif = exif.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, at)
            if tag == _ORIENTATION and kind in _WHOLE_NUMBERS:
                (value,) = struct.unpack_from(order + _WHOLE_NUMBERS[kind], exif, at + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _segments(sample: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of a JPEG before the coded pixels."""
    at, size = 2, len(sample)
    while at + 4 <= size:
        if sample[at] != 0xFF:  # Decoders skip what is no marker.
            at = sample.find(b"\xff", at)
            if at < 0:
                return
            continue
        marker = sample[at + 1]
        if marker == 0xFF:
            at += 1  # A marker may be filled up in front.
        elif marker < 0xC0 or 0xD0 <= marker <= 0xD8:
            at += 2  # These have no content.
        elif marker in (_SCAN, _END):
            return
        else:
            end = at + 2 + (sample[at + 2] << 8 | sample[at + 3])
            if end > size:
                return
            yield marker, at, end
            at = end


def _without(sample: bytes, dropped: list[tuple[int, int]]) -> bytes:
    if not dropped:
        return sample
    starts = [0, *(end for _, end in dropped)]
    ends = [*(start for start, _ in dropped), len(sample)]
    return b"".join(sample[start:end] for start, end in zip(starts, ends, strict=True))
