"""The frames of an MP3: how many its first frame promises, how many there are. Nothing is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_V1_RATES = (44_100, 48_000, 32_000)
_BITRATES: dict[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits a second by (MPEG 1 rather than 2 or 2.5, layer) and the header's index, which starts at 1."""
_JUNK = 1 << 16
"""Bytes between tags and frames that are searched for the next frame."""


@dataclass(frozen=True)
class _Frame:
    size: int
    """In bytes, with its header."""
    samples: int
    layer: int
    kind: tuple[int, int, int]
    """MPEG's version, layer and rate, as they stand in the header: the same for all frames of a file."""


def mp3_length(sample: bytes) -> tuple[int, int] | None:
    """Samples that an MP3 promises and those that it has, both with the encoder's delay and padding. None if it is
    none, or of a free bit rate.

    What it promises stands in its first frame (Xing, Info or VBRI). One frame more than there are is not held against
    it, since some encoders count that first one as well. Without it, the last frame alone tells whether it is whole.
    """
    found = _count(sample)
    if found is None:
        return None
    cut = found.cut or found.size > len(sample) or found.promised > found.frames + 1
    promised = max(found.promised, found.frames + 1) if cut else found.frames
    return promised * found.first.samples, found.frames * found.first.samples


def with_length(sample: bytes, decoder: int) -> bytes | None:
    """An MP3 with a first frame that says how many frames follow, for a decoder that would read too few of them: it
    guesses from the first ones (a variable bit rate without such a frame), or the frame is older than the rest (MP3s
    one behind the other). None if it reads all of them.

    Args:
        sample: an MP3.
        decoder: samples that the decoder expects.
    """
    found = _count(sample)
    if found is None or found.first.layer != 3:
        return None
    # A decoder that knows the number leaves out delay and padding, so that samples cannot be compared.
    enough = found.frames <= found.promised + 1 if found.promised else found.frames * found.first.samples <= decoder
    if enough:
        return None
    one, mono = found.first.kind[0] == 3, sample[found.start + 3] >> 6 == 3
    # Without a checksum, and of a bit rate that leaves room for the number.
    header = bytes([0xFF, sample[found.start + 1] | 1, 0x90 | sample[found.start + 2] & 0x0C, sample[found.start + 3]])
    frame = _frame(header, 0)
    assert frame is not None
    side = (17 if mono else 32) if one else (9 if mono else 17)
    told = header + bytes(side) + b"Xing" + struct.pack(">II", 1, found.frames)
    return sample[: found.start] + told.ljust(frame.size, b"\0") + sample[found.start :]


@dataclass(frozen=True)
class _Count:
    start: int
    """Where the first frame lies."""
    first: _Frame
    frames: int
    """Those with sound."""
    cut: bool
    """Whether the last frame is not whole."""
    promised: int
    """Frames with sound; 0 where it does not say."""
    size: int
    """Bytes, likewise."""


def _count(sample: bytes) -> _Count | None:
    at = start = _start(sample)
    first = None if start is None else _frame(sample, start)
    if at is None or start is None or first is None:
        return None
    promised, size = _promise(sample[at : at + first.size])
    # The frame with the promise holds no sound.
    frames = 0 if promised is None else -1
    cut = False
    while (next_at := _next(sample, at, first)) is not None:
        frame = _frame(sample, next_at)
        if frame is None or next_at + frame.size > len(sample):
            cut = True
            break
        frames += 1
        at = next_at + frame.size
    return _Count(start, first, max(frames, 0), cut, promised or 0, size)


def _start(sample: bytes) -> int | None:
    """The first frame: directly behind the tags, or the first one behind them that another frame follows."""
    at = _behind_tags(sample)
    return at if _frame(sample, at) is not None else _search(sample, at, None)


def _behind_tags(sample: bytes) -> int:
    """Where the last ID3v2 tag at the start ends."""
    at = 0
    while sample.startswith(b"ID3", at) and at + 10 <= len(sample):
        sizes = sample[at + 6 : at + 10]
        footer = 10 if sample[at + 5] & 0x10 else 0
        at += 10 + footer + sum((byte & 0x7F) << shift for byte, shift in zip(sizes, (21, 14, 7, 0), strict=True))
    return at


def _frame(sample: bytes, at: int) -> _Frame | None:
    """The frame whose header stands at ``at``; None if there is none."""
    if at + 4 > len(sample) or sample[at] != 0xFF or sample[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = sample[at + 1] >> 3 & 3, 4 - (sample[at + 1] >> 1 & 3)
    bitrate, rate, padding = sample[at + 2] >> 4, sample[at + 2] >> 2 & 3, sample[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or not 0 < bitrate < 15:
        return None
    one = version == 3
    samples = {1: 384, 2: 1152, 3: 1152 if one else 576}[layer]
    hertz = _V1_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    slot = 4 if layer == 1 else 1
    size = samples // 8 * _BITRATES[one, layer][bitrate - 1] * 1000 // hertz // slot * slot + padding * slot
    return _Frame(size, samples, layer, (version, layer, rate))


def _search(sample: bytes, at: int, like: _Frame | None) -> int | None:
    """The next place with a frame that another frame of its kind follows."""
    last = min(len(sample), at + _JUNK)
    while (at := sample.find(b"\xff", at, last)) >= 0:
        frame = _frame(sample, at)
        if frame is not None and (like is None or like.kind == frame.kind):
            following = _frame(sample, at + frame.size)
            if following is not None and following.kind == frame.kind:
                return at
        at += 1
    return None


def _next(sample: bytes, at: int, like: _Frame) -> int | None:
    """The frame at ``at``; where damage or junk stands there, the next one behind it. None where the sound ends."""
    if at >= len(sample) or sample.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3"), at):
        return None
    frame = _frame(sample, at)
    return at if frame is not None and frame.kind == like.kind else _search(sample, at, like)


def _promise(first: bytes) -> tuple[int | None, int]:
    """Frames and bytes that a first frame without sound promises (Xing, Info or VBRI), 0 where it does not say. None
    instead of the frames if the frame makes no promise, and so is sound."""
    if first[36:40] == b"VBRI" and len(first) >= 54:
        size, frames = struct.unpack_from(">II", first, 46)
        return frames, size
    for mark in (b"Xing", b"Info"):
        place = first.find(mark, 4, 48)
        if place > 0 and len(first) >= place + 16:
            flags, *numbers = struct.unpack_from(">III", first, place + 4)
            # What is not told takes no room.
            frames = numbers.pop(0) if flags & 1 else 0
            return frames, numbers[0] if flags & 2 else 0
    return None, 0
