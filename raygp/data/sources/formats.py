"""The formats of samples that raygp takes in: by their names where files are listed, by their content everywhere else.

A sample is decoded by its content alone, so a JPEG that is called ``.png`` is no fault. Names only spare a look into
files whose suffix is known. The page "what raygp accepts" is made from these tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Medium = Literal["image", "audio"]
HEAD_BYTES = 32
"""So many bytes from the start of a file tell its format."""


@dataclass(frozen=True)
class SampleFormat:
    """A format that can be decoded."""

    name: str
    medium: Medium
    suffixes: tuple[str, ...]
    """In lower case, with the dot."""
    start: bytes
    """Regular expression that the start of every file of it matches. Empty: only its suffix tells it."""
    note: str = ""
    """What is done with it, for people."""


FORMATS: tuple[SampleFormat, ...] = (
    SampleFormat(
        "JPEG", "image", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), rb"\xff\xd8\xff", "of an MPO its first picture"
    ),
    SampleFormat("PNG", "image", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n", "of an animation its first frame"),
    SampleFormat("WebP", "image", (".webp",), rb"RIFF.{4}WEBP", "of an animation its first frame"),
    SampleFormat("GIF", "image", (".gif",), rb"GIF8[79]a", "its first frame"),
    SampleFormat("AVIF", "image", (".avif",), rb".{4}ftyp(avif|avis|mif1|msf1)", "of an animation its first frame"),
    SampleFormat("TIFF", "image", (".tif", ".tiff"), rb"II[*+]\0|MM\0[*+]", "its first page"),
    SampleFormat("BMP", "image", (".bmp", ".dib"), rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    SampleFormat("JPEG 2000", "image", (".jp2", ".j2k"), rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
    SampleFormat("PNM", "image", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), rb"P([1-6]|f)\s[\s#0-9]"),
    SampleFormat("TGA", "image", (".tga",), b""),
    SampleFormat("WAV", "audio", (".wav", ".wave"), rb"(RIFF|RIFX|RF64).{4}WAVE"),
    SampleFormat("FLAC", "audio", (".flac",), rb"fLaC"),
    SampleFormat("Ogg (Vorbis, Opus)", "audio", (".ogg", ".oga", ".opus"), rb"OggS"),
    SampleFormat("MP3", "audio", (".mp3",), rb"ID3|\xff[\xfb\xfa\xf3\xf2\xf9\xf8]"),
    SampleFormat("NIST SPHERE", "audio", (".sph",), rb"NIST_1A"),
    SampleFormat("AIFF", "audio", (".aif", ".aiff", ".aifc"), rb"FORM.{4}AIF[FC]"),
)
"""In the order in which a content is compared with their starts."""


def suffixes(medium: Medium) -> tuple[str, ...]:
    """All suffixes of a medium, in lower case, with the dot."""
    return tuple(suffix for form in FORMATS if form.medium == medium for suffix in form.suffixes)


def format_of(head: bytes) -> SampleFormat | None:
    """The format of a file that starts so (:data:`HEAD_BYTES` of it); None if it is none of them."""
    return next((form for form in FORMATS if form.start and re.match(form.start, head, re.DOTALL)), None)
