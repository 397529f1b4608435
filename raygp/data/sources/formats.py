"""The formats of samples that raygp takes in: by their names where files are listed, by their content everywhere else.

A sample is decoded by its content alone, so a JPEG that is called ``.png`` is no fault. Names only spare a look into
files whose suffix is known. The page "what raygp accepts" is made from these tables.
"""

from __future__ import annotations

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
    marks: tuple[tuple[int, bytes], ...]
    """Any of these bytes at this offset tell it."""
    note: str = ""
    """What is done with it, for people."""


FORMATS: tuple[SampleFormat, ...] = (
    SampleFormat("JPEG", "image", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), ((0, b"\xff\xd8\xff"),)),
    SampleFormat("PNG", "image", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),)),
    SampleFormat("WebP", "image", (".webp",), ((8, b"WEBPVP8"),)),
    SampleFormat("GIF", "image", (".gif",), ((0, b"GIF87a"), (0, b"GIF89a")), "its first frame"),
    SampleFormat("BMP", "image", (".bmp",), ((0, b"BM"),)),
    SampleFormat(
        "TIFF",
        "image",
        (".tif", ".tiff"),
        ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
        "its first page",
    ),
    SampleFormat("AVIF", "image", (".avif",), ((4, b"ftypavif"), (4, b"ftypavis"), (4, b"ftypmif1"))),
    SampleFormat(
        "PNM",
        "image",
        (".ppm", ".pgm", ".pbm", ".pnm"),
        tuple((0, b"P%d%s" % (kind, end)) for kind in range(1, 7) for end in (b"\n", b" ", b"\r", b"\t")),
    ),
    SampleFormat("WAV", "audio", (".wav", ".wave"), ((8, b"WAVE"),)),
    SampleFormat("FLAC", "audio", (".flac",), ((0, b"fLaC"),)),
    SampleFormat("Ogg (Vorbis, Opus)", "audio", (".ogg", ".oga", ".opus"), ((0, b"OggS"),)),
    SampleFormat(
        "MP3",
        "audio",
        (".mp3",),
        ((0, b"ID3"), *((0, b"\xff" + bytes([second])) for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xF9, 0xF8))),
    ),
    SampleFormat("NIST SPHERE", "audio", (".sph",), ((0, b"NIST_1A"),)),
    SampleFormat("AIFF", "audio", (".aif", ".aiff", ".aifc"), ((8, b"AIFF"), (8, b"AIFC"))),
)
"""In the order in which a content is compared with their marks."""


def suffixes(medium: Medium) -> tuple[str, ...]:
    """All suffixes of a medium, in lower case, with the dot."""
    return tuple(suffix for form in FORMATS if form.medium == medium for suffix in form.suffixes)


def format_of(head: bytes) -> SampleFormat | None:
    """The format whose mark stands at the start of a file (:data:`HEAD_BYTES` of it); None if it is none of them."""
    for form in FORMATS:
        if any(head.startswith(mark, at) for at, mark in form.marks):
            return form
    return None
