"""Whether a sound file is whole: what its header promises, and what is there. Nothing is decoded.

Decoders read a file that was cut short to where it ends, without an error, and the first alone of sounds that stand one
behind the other. The transcript is then that of a longer sound.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from raygp.tasks.mpegframes import mp3_length

_NOT_KNOWN = 0x7F00_0000
"""Who writes into a pipe cannot go back to the header, and leaves a size of 0 or the largest there is: 0xFFFFFFFF
(ffmpeg), 0x7FFFF000 (sox, espeak), 0x7F000000 (sox, AIFF). No file of two gigabytes is an utterance."""


@dataclass(frozen=True)
class Length:
    """What a header promises and what there is of it."""

    promised: int
    found: int
    unit: str = "samples"


def length_fault(sample: bytes) -> str | None:
    """Why a file is not one whole sound, for people; None if it is, or if its format does not tell.

    Formats that tell: WAV (RIFX, RF64 and W64 too), AIFF, AU, CAF, NIST SPHERE, MP3 and Ogg. FLAC tells only while it
    is decoded.
    """
    for at, mark, judge in _JUDGES:
        if sample.startswith(mark, at):
            try:
                found = judge(sample)
            except (struct.error, ValueError, LookupError, ArithmeticError):
                # A header that makes no sense is the decoder's business.
                return None
            return found if found is None or isinstance(found, str) else _shortage(found)
    length = mp3_length(sample)
    return None if length is None else _shortage(Length(*length))


def shortage(promised: int, found: int, unit: str = "samples") -> str:
    """The message for a file that has ``found`` samples of those that it promises."""
    return f"it is cut short: its header promises {promised:,} {unit}, {found:,} are there"


def _shortage(length: Length) -> str | None:
    return shortage(length.promised, length.found, length.unit) if length.found < length.promised else None


def with_size(sample: bytes) -> bytes | None:
    """A WAV whose header gives the size of its data as 0 although data follow, as writers into a pipe and crashed
    recorders leave it, with a header that decoders understand; None if it is no such WAV."""
    if sample[8:12] != b"WAVE":
        return None
    order = ">" if sample[:4] == b"RIFX" else "<"
    long = sample[:4] in (b"RF64", b"BW64")
    for name, start, size in _chunks(sample, order):
        if name == b"data":
            tail = list(_chunks(sample, order, start))
            # Other chunks may follow an empty one; then there is no sound.
            ends = bool(tail) and tail[-1][1] + tail[-1][2] in (len(sample), len(sample) - 1)
            if (size and not long) or start == len(sample) or ends:
                return None
            head = b"RIFF" if long else sample[:4]
            return head + sample[4 : start - 4] + b"\xff" * 4 + sample[start:]
    return None


def _chunks(sample: bytes, order: str, at: int = 12) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content, and size of each chunk of a RIFF or AIFF file, as far as they go."""
    while at + 8 <= len(sample):
        (size,) = struct.unpack_from(order + "I", sample, at + 4)
        yield sample[at : at + 4], at + 8, size
        at += 8 + size + size % 2


def _of_bytes(promised: int | None, declared: int, there: int) -> Length | None:
    """The length in samples of ``declared`` bytes that hold ``promised`` samples, of which ``there`` bytes exist."""
    if not 0 < declared < _NOT_KNOWN or there >= declared:
        return None
    if not promised:
        return Length(declared, max(there, 0), "bytes of sound")
    return Length(promised, promised * max(there, 0) // declared)


def _wav(sample: bytes) -> Length | str | None:
    order = ">" if sample[:4] == b"RIFX" else "<"
    block = 0
    per_block = 1
    whole_size = None
    for name, start, size in _chunks(sample, order):
        if name == b"ds64":
            (whole_size,) = struct.unpack_from("<8xQ", sample, start)
        elif name == b"fmt ":
            block, per_block = _block(sample, start, size, order)
        elif name == b"data":
            declared = size if whole_size is None or size != 0xFFFF_FFFF else whole_size
            there = len(sample) - start
            if sample.startswith((b"RIFF", b"RIFX"), start + declared + declared % 2):
                return _several("WAV files")
            # Some writers count the header as well, or a part of it.
            if 0 < declared - there <= min(start, _LONGEST_HEADER):
                return None
            return _of_bytes(declared // block * per_block if block else None, declared, there)
    return None


_LONGEST_HEADER = 64
"""Bytes. A surplus of so few, 1 ms, is a mistake in counting, and no loss."""
_SAMPLES_PER_BLOCK = {0x0002: "18xH", 0x0011: "18xH"}  # Microsoft's and IMA's ADPCM.


def _block(sample: bytes, start: int, size: int, order: str) -> tuple[int, int]:
    """Bytes and samples of a block, from the chunk ``fmt``."""
    form, block = struct.unpack_from(order + "H10xH", sample, start)
    where = _SAMPLES_PER_BLOCK.get(form)
    if where is None:
        # The other compressed forms are rare: their lengths are told in bytes.
        return (block, 1) if form in (1, 3, 6, 7, 0xFFFE) else (0, 1)
    return block, struct.unpack_from(order + where, sample, start)[0]


def _aiff(sample: bytes) -> Length | None:
    frames = None
    for name, start, size in _chunks(sample, ">"):
        if name == b"COMM":
            (frames,) = struct.unpack_from(">2xI", sample, start)
            # IMA's ADPCM counts packets of 64 samples.
            frames *= 64 if sample[start + 18 : start + 22] == b"ima4" else 1
        elif name == b"SSND":
            # Before the sound stand two numbers.
            return _of_bytes(frames, size - 8, len(sample) - start - 8)
    return None


def _au(sample: bytes) -> Length | None:
    start, size = struct.unpack_from("<II" if sample[:4] == b"dns." else ">II", sample, 4)
    return _of_bytes(None, size, len(sample) - start)


def _caf(sample: bytes) -> Length | None:
    at = 8
    while at + 12 <= len(sample):
        (size,) = struct.unpack_from(">q", sample, at + 4)
        if sample[at : at + 4] == b"data" or size < 0:
            # Before the sound stands a number.
            return _of_bytes(None, size - 4, len(sample) - at - 16)
        at += 12 + size
    return None


def _w64(sample: bytes) -> Length | None:
    at = 40
    block = 0
    per_block = 1
    while at + 24 <= len(sample):
        (size,) = struct.unpack_from("<Q", sample, at + 16)
        if sample[at : at + 4] == b"fmt ":
            block, per_block = _block(sample, at + 24, size - 24, "<")
        if sample[at : at + 4] == b"data":
            declared = size - 24
            return _of_bytes(declared // block * per_block if block else None, declared, len(sample) - at - 24)
        at += max(24, size + -size % 8)
    return None


def _nist(sample: bytes) -> Length | None:
    start = int(sample[8:16])
    fields = dict(line.split(b" -", 1) for line in sample[:start].split(b"\n") if b" -" in line)
    count, width, channels = (int(fields[name].split()[1]) for name in _NIST_FIELDS if name in fields)
    return _of_bytes(count, count * width * channels, len(sample) - start)


_NIST_FIELDS = (b"sample_count", b"sample_n_bytes", b"channel_count")


def _several(what: str) -> str:
    return f"it is several {what}, one behind the other, of which only the first would be read: store each by itself"


def _ogg(sample: bytes) -> str | None:
    """Ogg has no total. Its last page says that it is the last one."""
    open_streams: dict[bytes, bool] = {}
    at = 0
    opus = begun = False
    while sample.startswith(b"OggS", at):
        kind, serial, count = sample[at + 5 : at + 6], sample[at + 14 : at + 18], sample[at + 26 : at + 27]
        sizes = sample[at + 27 : at + 27 + count[0]] if count else b""
        end = at + 27 + len(sizes) + sum(sizes)
        if not count or len(sizes) < count[0] or end > len(sample):
            return f"it is cut short: its last Ogg page, at byte {at:,}, is not whole"
        if begun and kind[0] & _FIRST_PAGE:
            return _several("Ogg streams")
        begun = begun or not kind[0] & _FIRST_PAGE
        opus = opus or sample.startswith(b"OpusHead", at + 27 + len(sizes))
        unfinished = bool(sizes) and sizes[-1] == 255
        # Android's own writer of Opus never sets the flag of the last page.
        open_streams[serial] = not kind[0] & _LAST_PAGE and (unfinished or not opus)
        at = end
    if any(open_streams.values()):
        return (
            f"it is cut short: its last Ogg page, which ends at byte {at:,}, is not marked as the end (if the sound is "
            f"whole: ffmpeg -i IN.ogg -c copy OUT.ogg)"
        )
    return None


_FIRST_PAGE, _LAST_PAGE = 2, 4
_JUDGES: tuple[tuple[int, bytes, Callable[[bytes], Length | str | None]], ...] = (
    (8, b"WAVE", _wav),
    (0, b"FORM", _aiff),
    (0, b".snd", _au),
    (0, b"dns.", _au),
    (0, b"caff", _caf),
    (0, b"riff", _w64),
    (0, b"NIST_1A", _nist),
    (0, b"OggS", _ogg),
    (0, b"fLaC", lambda sample: None),
)
"""Where a mark stands, the mark, and who judges such a file. What has none of them may be an MP3."""
