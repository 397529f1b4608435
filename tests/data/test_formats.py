"""The table of formats agrees with what the decoders read."""

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from raygp.data.sources.formats import FORMATS, HEAD_BYTES, format_of, suffixes
from raygp.tasks.decoding import check, decode

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
IMAGES = {
    "JPEG": "JPEG", "PNG": "PNG", "WebP": "WEBP", "GIF": "GIF", "AVIF": "AVIF", "TIFF": "TIFF", "BMP": "BMP",
    "JPEG 2000": "JPEG2000", "PNM": "PPM", "TGA": "TGA",
}  # fmt: skip
SOUNDS = {"WAV": "WAV", "FLAC": "FLAC", "Ogg (Vorbis, Opus)": "OGG", "MP3": "MP3", "AIFF": "AIFF"}


def picture(kind, mode="RGB", **options):
    content = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(content, kind, **options)
    return content.getvalue()


def head(content):
    found = format_of(content[:HEAD_BYTES])
    return found and found.name


@pytest.mark.parametrize("form", [form for form in FORMATS if form.medium == "image"], ids=lambda form: form.name)
def test_images_of_every_format_are_known_by_their_content_and_decoded(form):
    content = picture(IMAGES[form.name])
    assert head(content) == (form.name if form.start else None)
    check(content)
    assert decode(content, 16, 3).shape == (3, 16, 16)
    # Pillow calls them so as well.
    assert set(form.suffixes) <= {*Image.registered_extensions(), ".pnm"}
    assert {Image.registered_extensions().get(suffix) for suffix in form.suffixes} - {None, "MPO", "DIB"} == {
        IMAGES[form.name]
    }


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_are_known_by_their_content(name):
    content = io.BytesIO()
    soundfile.write(content, np.zeros(4000, np.float32), 16000, format=SOUNDS[name])
    assert head(content.getvalue()) == name


@pytest.mark.parametrize(
    "content, name",
    [
        (picture("TIFF", big_tiff=True), "TIFF"),
        (picture("BMP", "1"), "BMP"),
        (picture("PPM", "1"), "PNM"),
        (picture("PPM", "L"), "PNM"),
        (b"P3\n# a comment\n2 2\n255\n", "PNM"),
        (picture("JPEG2000", no_jp2=True), "JPEG 2000"),
        (picture("MPO"), "JPEG"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "WAV"),
        (b"ID3\4\0", "MP3"),
        (b"NIST_1A\n   1024\n", "NIST SPHERE"),
    ],
)
def test_other_starts_of_the_same_formats(content, name):
    assert head(content) == name


@pytest.mark.parametrize(
    "content",
    [b"", b"BMW and other cars", b"P1 is the first priority", b"Pf is no picture", b"path,label\na.jpg,cat\n",
     b"\xef\xbb\xbfpath", b"\xff\xfep\0a\0t\0h\0", b"PK\3\4", b"\x1f\x8b\x08", b"%PDF-1.7", b"<svg/>", b"II",
     b"RIFF1234AVI LIST", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypisom", bytes(32), b"Mac OS X        "],
)  # fmt: skip
def test_other_files_are_of_no_format(content):
    assert head(content) is None


def test_a_suffix_belongs_to_one_format():
    every = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(every) == len(set(every)) and all(suffix == suffix.lower() and suffix[0] == "." for suffix in every)
    assert ".tiff" in suffixes("image") and ".sph" in suffixes("audio") and ".wav" not in suffixes("image")
