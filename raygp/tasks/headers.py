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
_APPLICATION, _APP1, _COMMENT, _SCAN, _END = range(0xE0, 0xF0), 0xE1, 0xFE, 0xDA, 0xD9
_BARE_JPEG = {*_APPLICATION, _COMMENT} - {0xE0, 0xEE}
"""Markers of what a JPEG is shown without: all that applications add but JFIF's and Adobe's, and comments."""
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_NOTES = {b"tRNS", b"eXIf"}
_AFTER_HEADER = len(PNG) + 25
_ORIENTATION = 0x0112
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Exif's types of whole numbers."""

_CHUNK = struct.Struct(">I4s")


def jpeg_orientation(sample: bytes) -> int:
    """The orientation that a JPEG's Exif says, from 1 (as it is stored) to 8.

    Exif stands before all tables. So two looks into the file are enough for most.
    """
    at, size = 2, len(sample) - 4
    while at < size and sample[at] == 0xFF and (sample[at + 1] in _APPLICATION or sample[at + 1] == _COMMENT):
        end = at + 2 + (sample[at + 2] << 8 | sample[at + 3])
        if sample[at + 1] == _APP1 and sample.startswith(_EXIF, at + 4):
            return orientation(sample[at + 4 : end])
        at = end
    return 1


def bare_jpeg(sample: bytes) -> bytes:
    """A JPEG without the segments that do not change its pixels."""
    dropped = [(start, end) for marker, start, end in _segments(sample) if marker in _BARE_JPEG]
    return _without(sample, dropped)


def png_notes(sample: bytes) -> dict[bytes, bytes]:
    """The contents of a PNG's chunks about transparency (tRNS) and orientation (eXIf), by kind."""
    found: dict[bytes, bytes] = {}
    at, size = _AFTER_HEADER, len(sample)
    while at + 8 < size:
        length, kind = _CHUNK.unpack_from(sample, at)
        if kind in _NOTES:
            found[kind] = sample[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def bare_png(sample: bytes) -> bytes:
    """A PNG without the chunks that do not change its pixels: texts, colour profiles, animation."""
    dropped: list[tuple[int, int]] = []
    at, size = len(PNG), len(sample)
    while at + 12 <= size:
        length, kind = _CHUNK.unpack_from(sample, at)
        end = at + 12 + length
        if end > size:
            break
        if kind not in _PIXEL_CHUNKS:
            dropped.append((at, end))
        at = end
    return _without(sample, dropped)


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
