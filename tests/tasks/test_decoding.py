"""Pixels are those that an image viewer shows, whatever the file is."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, PngImagePlugin
from torchvision.io import ImageReadMode, decode_image

from raygp.store import Location, create_line, open_line
from raygp.tasks import make_task
from raygp.tasks.decoding import check, decode
from raygp.tasks.depth import UnfitImage, eight_bits

SIDE = 24
UPRIGHT = np.full((SIDE, SIDE, 3), (200, 30, 60), np.uint8)
UPRIGHT[:8, :6] = 255
UPRIGHT[:4, 16:] = 0
"""Looks different each way round."""
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}
"""How a camera stores the upright picture, by Exif's orientation: "row 0 is at the visual right side" and so on."""
RAMP = np.tile(np.linspace(0, 1, SIDE), (SIDE, 1))
SHADES = np.rint(RAMP * 255)


def encoded(pixels, kind, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def decoded(sample, channels=3, side=SIDE, **options):
    """H x W x channels, after the check has passed it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(sample)
        return decode(sample, side, channels, **options).numpy().transpose(1, 2, 0)


def turned(orientation):
    """Exif that says so, as Pillow writes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def exif(orientation, order="<", kind=3):
    """Exif by hand, with a number type of Exif's."""
    value = struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], orientation).ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = (
        struct.pack(order + "HHI", 0x010F, 2, 2) + b"X\0\0\0" + struct.pack(order + "HHI", 0x0112, kind, 1) + value
    )
    return mark + struct.pack(order + "IH", 8, 2) + entries + bytes(4)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels, kind, bits, *extra):
    """A PNG by hand: Pillow writes no colours of 16 bits."""
    rows = pixels.astype(">u2" if bits == 16 else np.uint8)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_chunk(sample, kind, content):
    """A PNG with one more chunk behind its header."""
    return sample[:33] + chunk(kind, content) + sample[33:]


def tiff(pixels, order="<", ink=1, planes=1, packed=False, extra=None):
    """A TIFF by hand: H x W x channels of any number type."""
    height, width, channels = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order))
    data = data.transpose(2, 0, 1).tobytes() if planes == 2 else data.tobytes()
    data = zlib.compress(data) if packed else data
    strips = channels if planes == 2 else 1
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * channels, 259: [8 if packed else 1], 262: [ink]}
    tags |= {273: [0] * strips, 277: [channels], 278: [height], 279: [len(data) // strips] * strips, 284: [planes]}
    tags |= {339: [kind] * channels} | ({338: [extra]} if extra is not None else {})
    start = 8 + 2 + 12 * len(tags) + 4
    at = start + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [at + strip * (len(data) // strips) for strip in range(strips)]
    entries, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed_numbers = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            entries += struct.pack(order + "HHII", tag, 4, len(numbers), start + len(values))
            values += packed_numbers
        else:
            entries += struct.pack(order + "HHI", tag, 4, 1) + packed_numbers
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + entries + bytes(4) + values + data


# Orientation


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "packed TIFF", "AVIF", "JPEG", "MPO"])
def test_a_turned_picture_is_put_upright(kind, orientation):
    options = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    options = options.get(kind, {"compression": "tiff_lzw"} if kind.startswith("packed") else {})
    sample = encoded(STORED[orientation](UPRIGHT), kind.split()[-1], exif=turned(orientation), **options)
    found = decoded(sample).astype(int)
    bound = {"JPEG": 12, "MPO": 60, "AVIF": 8}.get(kind, 0)
    assert np.abs(found - UPRIGHT).max() <= bound
    assert decoded(sample, 1).shape == (SIDE, SIDE, 1)


@pytest.mark.parametrize("orientation", STORED)
def test_a_turned_png_with_transparency_or_16_bits_is_put_upright(orientation):
    alpha = np.dstack([UPRIGHT, np.full((SIDE, SIDE), 255, np.uint8)])
    alpha[:, :3, 3] = 0
    expected = UPRIGHT.copy()
    expected[:, :3] = 255
    sample = encoded(STORED[orientation](alpha), "PNG", exif=turned(orientation))
    assert (decoded(sample) == expected).all()
    deep = STORED[orientation](UPRIGHT.astype(np.uint16) * 257)
    assert (decoded(png(deep, 2, 16, chunk(b"eXIf", exif(orientation)))) == UPRIGHT).all()


def test_a_turned_picture_is_cut_to_its_centre_as_an_upright_one_is():
    wide = np.random.default_rng(1).integers(0, 256, (31, 50, 3), dtype=np.uint8)
    for orientation, stored in STORED.items():
        inverse = STORED[{6: 8, 8: 6}.get(orientation, orientation)]
        sample = encoded(stored(wide), "PNG", exif=turned(orientation))
        assert (decoded(sample, side=16) == decoded(encoded(wide, "PNG"), side=16)).all()
        assert (inverse(stored(wide)) == wide).all()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_exif_of_every_byte_order_and_whole_number_counts(order, kind):
    stored = encoded(STORED[6](UPRIGHT), "PNG")
    assert (decoded(with_chunk(stored, b"eXIf", exif(6, order, kind))) == UPRIGHT).all()


def with_segments(sample, *segments):
    """A JPEG with segments behind its first marker."""
    return (
        sample[:2]
        + b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(c) + 2) + c for m, c in segments)
        + sample[2:]
    )


def test_exif_of_a_jpeg_is_found_behind_other_segments():
    stored = encoded(STORED[3](UPRIGHT), "JPEG", quality=100)
    exif_segment = 0xE1, b"Exif\0\0" + exif(3)
    xmp = 0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="5"/>'
    upright = decoded(stored)[::-1, ::-1]
    for segments in ([exif_segment], [xmp, exif_segment], [(0xE2, bytes(40000)), (0xFE, b"a comment"), exif_segment]):
        assert (decoded(with_segments(stored, *segments)) == upright).all()
    behind = stored[:20] + with_segments(b"\xff\xd8", exif_segment)[2:] + stored[20:]
    assert stored[2:4] == b"\xff\xe0" and (decoded(behind) == upright).all()


@pytest.mark.parametrize(
    "content",
    [b"", b"II*\0", exif(0), exif(9), exif(3)[:30], b"II*\0\xff\xff\xff\xff", b"nonsense", exif(3)[:8] + b"\xff\xff"],
)
def test_damaged_exif_is_as_none(content):
    assert (decoded(with_chunk(encoded(UPRIGHT, "PNG"), b"eXIf", content)) == UPRIGHT).all()
    stored = encoded(UPRIGHT, "JPEG", quality=100)
    assert (decoded(with_segments(stored, (0xE1, b"Exif\0\0" + content))) == decoded(stored)).all()


# Transparency

DRAWING = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
ImageDraw.Draw(DRAWING).rectangle((6, 6, 15, 15), fill=(0, 0, 0, 255))
EXPECTED = np.full((SIDE, SIDE), 255)
EXPECTED[6:16, 6:16] = 0
PALETTE = Image.fromarray((EXPECTED == 0).astype(np.uint8), "P")
PALETTE.putpalette([9, 9, 9, 0, 0, 0])
KEYED = np.where(EXPECTED[..., None] == 0, 0, np.array([0, 255, 1])).astype(np.uint8)
ALPHA = np.asarray(DRAWING)[..., 3]
TRANSPARENT = {
    "png rgba": encoded(DRAWING, "PNG"),
    "png la": encoded(DRAWING.convert("LA"), "PNG"),
    "png palette": encoded(PALETTE, "PNG", transparency=0),
    "png palette by entry": encoded(PALETTE, "PNG", transparency=bytes([0, 255])),
    "png colour key": encoded(KEYED, "PNG", transparency=(0, 255, 1)),
    "png grey key": encoded(Image.fromarray(KEYED[..., 1]), "PNG", transparency=255),
    "png 1 bit key": encoded(Image.fromarray(KEYED[..., 1] > 0), "PNG", transparency=1),
    "png 16 bits": png(np.asarray(DRAWING).astype(int) * 257, 6, 16),
    "png 16 bits grey": png(np.dstack([0 * ALPHA, ALPHA]).astype(int) * 257, 4, 16),
    "png 16 bits key": png(KEYED.astype(int) * 257, 2, 16, chunk(b"tRNS", struct.pack(">3H", 0, 255 * 257, 257))),
    "png 16 bits grey key": png(KEYED[..., 1:2].astype(int) * 16, 0, 16, chunk(b"tRNS", struct.pack(">H", 255 * 16))),
    "apng": encoded(DRAWING, "PNG", save_all=True, append_images=[Image.new("RGBA", (SIDE, SIDE), "red")]),
    "webp": encoded(DRAWING, "WEBP", lossless=True),
    "lossy webp": encoded(DRAWING, "WEBP", quality=100),
    "gif": encoded(PALETTE, "GIF", transparency=0),
    "avif": encoded(DRAWING, "AVIF", quality=100),
    "tiff": encoded(DRAWING, "TIFF"),
    "tiff la": encoded(DRAWING.convert("LA"), "TIFF"),
    "tiff multiplied": tiff(np.asarray(DRAWING), ink=2, extra=1),
    "tiff la multiplied": tiff(np.asarray(DRAWING.convert("LA")), extra=1),
    "tiff 16 bits": tiff(np.asarray(DRAWING).astype(np.uint16) * 257, ink=2, extra=2),
    "tiff 16 bits multiplied": tiff(np.asarray(DRAWING).astype(np.uint16) * 257, ink=2, extra=1),
    "jpeg 2000": encoded(DRAWING, "JPEG2000"),
    "ico": encoded(DRAWING, "ICO", sizes=[(SIDE, SIDE)]),
    "tga": encoded(DRAWING, "TGA"),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_shows_the_background(name):
    sample, bound = TRANSPARENT[name], 3 if name in ("lossy webp", "avif", "jpeg 2000") else 0
    for channels in (1, 3):
        assert np.abs(decoded(sample, channels) - EXPECTED[..., None]).max() <= bound
    ground = np.array([0x20, 0x80, 0xC0])
    found = decoded(sample, background="#2080c0")
    assert np.abs(found - np.where(EXPECTED[..., None] == 0, 0, ground)).max() <= bound
    grey = decoded(sample, 1, background="#2080c0")
    assert np.abs(grey[0, 0] - np.rint(ground @ [0.299, 0.587, 0.114])).max() <= bound + 1


def test_half_of_a_colour_is_half_of_it_and_half_of_the_background():
    half = np.full((SIDE, SIDE, 4), (200, 100, 0, 51), np.uint8)
    expected = 0.2 * np.array([200, 100, 0]) + 0.8 * 255
    for sample in (encoded(half, "PNG"), encoded(half, "WEBP", lossless=True), png(half.astype(int) * 257, 6, 16)):
        assert np.abs(decoded(sample) - expected).max() <= 1


def test_an_opaque_alpha_channel_changes_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8)
    noise[..., 3] = 255
    assert (decoded(encoded(noise, "PNG")) == noise[..., :3]).all()


# More than 8 bits


def halves(values):
    """Colours from grey values."""
    return np.dstack([values, values[::-1], values[:, ::-1]])


def bits(depth, dtype=np.uint16):
    return np.rint(RAMP * ((1 << depth) - 1)).astype(dtype)


def pgm(values, largest):
    return b"P5 %d %d %d\n" % (SIDE, SIDE, largest) + values.astype(">u2").tobytes()


DEEP = {
    **{f"png of {depth} bits": encoded(bits(depth), "PNG") for depth in (8, 10, 12, 14, 16)},
    **{f"tiff of {depth} bits": encoded(bits(depth), "TIFF") for depth in (8, 10, 12, 14, 16)},
    **{f"pgm of {depth} bits": encoded(bits(depth), "PPM") for depth in (8, 10, 12, 14, 16)},
    "packed tiff": encoded(bits(12), "TIFF", compression="tiff_lzw"),
    "tiff in the other order": tiff(bits(12)[..., None], ">"),
    "tiff where 0 is white": tiff(4095 - bits(12)[..., None], ink=0),
    "float tiff where 0 is white": tiff(1 - RAMP[..., None].astype(np.float32), ink=0),
    "tiff of 32 bits": tiff(bits(31, np.int64)[..., None].astype(np.uint32)),
    "tiff of all 32 bits": tiff(np.rint(RAMP * (2**32 - 1))[..., None].astype(np.uint32)),
    "tiff of 8 bits in 32": tiff(bits(8)[..., None].astype(np.int32)),
    "tiff with a sign": tiff((bits(12).astype(int) - 1024)[..., None].astype(np.int16)),
    "tiff with a sign, 32 bits": encoded(bits(12).astype(np.int32) - 1024, "TIFF"),
    "float tiff": encoded(RAMP.astype(np.float32), "TIFF"),
    "float tiff to 255": encoded((RAMP * 255).astype(np.float32), "TIFF"),
    "float tiff of whole numbers to 255": encoded(SHADES.astype(np.float32), "TIFF"),
    "float tiff of whole numbers to 4095": encoded(bits(12).astype(np.float32), "TIFF"),
    "float tiff around 0": encoded((RAMP * 2 - 1).astype(np.float32), "TIFF"),
    "float tiff that is high": encoded((RAMP * 1e9 + 1e9).astype(np.float32), "TIFF"),
    "float tiff a little above 1": encoded((RAMP * 1.02 - 0.01).astype(np.float32), "TIFF"),
    "pfm": encoded(RAMP.astype(np.float32), "PPM"),
    "pgm that says its largest value": pgm(np.rint(RAMP * 1000), 1000),
    "jpeg 2000": encoded(bits(16), "JPEG2000"),
    "png of colours": png(halves(bits(16)), 2, 16),
    "png of colours of 12 bits": png(halves(bits(12)), 2, 16),
    "png of 12 bits with alpha": png(np.dstack([bits(12), np.full_like(bits(12), 65535)]), 4, 16),
    "png of colours of 12 bits with alpha": png(np.dstack([halves(bits(12)), np.full_like(bits(12), 65535)]), 6, 16),
    "tiff of colours": tiff(halves(bits(16)), ink=2),
    "tiff of colours of 12 bits": tiff(halves(bits(12)), ink=2),
    "tiff of colours of 12 bits in the other order": tiff(halves(bits(12)), ">", ink=2),
    "packed tiff of colours of 12 bits": tiff(halves(bits(12)), ink=2, packed=True),
    "packed tiff of colours of 12 bits in the other order": tiff(halves(bits(12)), ">", ink=2, packed=True),
    "tiff of colours of 12 bits with alpha": tiff(
        np.dstack([halves(bits(12)), np.full_like(bits(12), 65535)]), ink=2, extra=2
    ),
    "tiff of colours of 12 bits with something else": tiff(
        np.dstack([halves(bits(12)), np.zeros_like(bits(12))]), ink=2, extra=0
    ),
}


@pytest.mark.parametrize("name", DEEP)
def test_a_ramp_of_any_depth_goes_from_black_to_white(name):
    found = decoded(DEEP[name]).astype(int)
    expected = halves(SHADES) if "colours" in name else SHADES[..., None]
    assert np.abs(found - expected).max() <= (1 if name != "jpeg 2000" else 2)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0, 255], [0, 255]),
        ([0, 128, 256], [0, 32, 64]),
        ([0, 65535], [0, 255]),
        ([256, 1023], [64, 255]),
        ([0, 20000, 40000], [0, 78, 156]),  # Half as bright as it could be: its depth is known to be 16 bits.
        ([0, 0], [0, 0]),
        ([65536, 65537], [0, 255]),
        ([70000, 70000], [0, 0]),
        ([-1, 0, 1], [0, 128, 255]),
        ([0.0, 1.0], [0, 255]),
        ([0.25, 0.5], [64, 128]),  # Dark floats stay dark.
        ([0.0, 2.0], [0, 2]),
        ([0.5, 2.5], [0, 255]),
        ([0.0, 1e30], [0, 255]),
    ],
)
def test_the_rule_of_depth(values, expected):
    assert eight_bits(np.array(values)).tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(value):
    pixels = RAMP.astype(np.float32)
    pixels[3, 3] = value
    with pytest.raises(UnfitImage, match="NaN or infinite"):
        eight_bits(pixels)
    with pytest.raises(ValueError, match=r"^pixels that are NaN or infinite$"):
        decode(encoded(pixels, "TIFF"), SIDE, 3)


def test_a_tiff_in_planes_of_16_bits_is_refused_and_one_of_8_bits_is_read():
    with pytest.raises(ValueError, match=r"^a TIFF of 16 bits a colour in separate planes cannot be decoded"):
        decode(tiff(halves(bits(16)), ink=2, planes=2), SIDE, 3)
    assert (decoded(tiff(UPRIGHT, ink=2, planes=2)) == UPRIGHT).all()


# By content


def frames(kind, **options):
    others = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue")]
    return encoded(UPRIGHT, kind, save_all=True, append_images=others, **options)


@pytest.mark.parametrize(
    "sample, bound",
    [
        (frames("GIF"), 8),
        (frames("WEBP", lossless=True), 0),
        (frames("PNG"), 0),
        (frames("TIFF"), 0),
        (frames("TIFF", compression="tiff_lzw"), 0),
        (frames("AVIF", quality=100, subsampling="4:4:4"), 8),
        (frames("MPO", quality=100), 60),
    ],
    ids=["gif", "webp", "apng", "tiff", "packed tiff", "avif", "mpo"],
)
def test_the_first_frame_or_page_counts(sample, bound):
    assert np.abs(decoded(sample).astype(int) - UPRIGHT).max() <= bound


FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "AVIF", "TIFF", "JPEG2000", "TGA", "PPM", "PCX")
NOT_WRITTEN = {("JPEG", "P"), ("PPM", "P"), ("JPEG2000", "1"), ("JPEG2000", "P")}


@pytest.mark.parametrize(
    "kind, mode", [(k, m) for k in FORMATS for m in ("1", "L", "P", "RGB") if (k, m) not in NOT_WRITTEN]
)
def test_every_mode_of_every_format_is_grey_or_rgb(kind, mode):
    sample = encoded(Image.fromarray(UPRIGHT).convert(mode), kind)
    expected = np.asarray(Image.open(io.BytesIO(sample)).convert("RGB")).astype(int)
    assert np.abs(decoded(sample) - expected).max() <= 1
    grey = np.asarray(Image.open(io.BytesIO(sample)).convert("L")).astype(int)
    # The grey of a JPEG is stored beside its colours.
    assert np.abs(decoded(sample, 1)[..., 0] - grey).max() <= (30 if kind == "JPEG" else 1)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_as_pillow_has_it(kind):
    sample = encoded(Image.fromarray(UPRIGHT).convert("CMYK"), kind)
    expected = np.asarray(Image.open(io.BytesIO(sample)).convert("RGB")).astype(int)
    assert np.abs(decoded(sample) - expected).max() <= 2 and np.abs(expected - UPRIGHT).mean() < 25


# Plain pictures, and the check

NOISE = np.random.default_rng(3).integers(0, 256, (40, 52, 3), dtype=np.uint8)
PLAIN = {
    "jpeg": encoded(NOISE, "JPEG"),
    "progressive jpeg": encoded(NOISE, "JPEG", progressive=True, exif=turned(1)),
    "grey jpeg": encoded(NOISE[..., 0], "JPEG"),
    "png": encoded(NOISE, "PNG"),
    "grey png": encoded(NOISE[..., 0], "PNG"),
    "palette png": encoded(Image.fromarray(NOISE).quantize(32), "PNG"),
    "png with gamma": with_chunk(encoded(NOISE, "PNG"), b"gAMA", struct.pack(">I", 45455)),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("channels", [1, 3])
def test_plain_pictures_are_torchvisions_bit_by_bit(name, channels):
    """Recorded numbers rest on them."""
    pixels = torch.frombuffer(bytearray(PLAIN[name]), dtype=torch.uint8)
    expected = decode_image(pixels, ImageReadMode.GRAY if channels == 1 else ImageReadMode.RGB)[:, :, 6:46]
    assert torch.equal(decode(PLAIN[name], 40, channels), expected)


def text(size):
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "a" * size)
    return info


def packed_text(size):
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "a" * size, zip=True)
    return info


PROFILE = np.random.default_rng(0).bytes(2_000_000)
SOUND = {
    "png with a large profile": encoded(NOISE, "PNG", icc_profile=PROFILE),
    "png with a large text": encoded(NOISE, "PNG", pnginfo=text(3_000_000)),
    "png with a packed text": encoded(NOISE, "PNG", pnginfo=packed_text(80_000_000)),
    "png with a damaged profile": with_chunk(encoded(NOISE, "PNG"), b"iCCP", b"x\0\0nonsense"),
    "png with a text of the wrong sum": encoded(NOISE, "PNG", pnginfo=text(5)).replace(b"aaaaa", b"aaaab"),
    "png with an unknown chunk": with_chunk(encoded(NOISE, "PNG"), b"prVt", b"anything"),
    "png with large alpha profile": encoded(np.dstack([NOISE, NOISE[..., :1] | 255]), "PNG", icc_profile=PROFILE),
    "png of 16 bits with a large text": png(
        NOISE.astype(int) * 257, 2, 16, chunk(b"tEXt", b"prompt\0" + b"a" * 3_000_000)
    ),
    "png and something behind it": encoded(NOISE, "PNG") + b"anything",
    "jpeg with a large profile": encoded(NOISE, "JPEG", icc_profile=PROFILE, quality=100, subsampling=0),
    "jpeg with damaged exif": with_segments(
        encoded(NOISE, "JPEG", quality=100, subsampling=0),
        (0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
        (0xE2, b"MPF\0junk"),
    ),
    "jpeg and something behind it": encoded(NOISE, "JPEG", quality=100, subsampling=0) + b"anything",
    "webp with a large profile": encoded(NOISE, "WEBP", lossless=True, icc_profile=PROFILE),
    "tiff with a large profile": encoded(NOISE, "TIFF", icc_profile=PROFILE),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_pass_the_check_whatever_else_is_in_them(name):
    assert np.abs(decoded(SOUND[name], side=40).astype(int) - NOISE[:, 6:46]).max() <= (12 if "jpeg" in name else 0)


WHOLE = {
    kind: encoded(NOISE, kind)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA")
} | {
    "png with alpha": encoded(np.dstack([NOISE, NOISE[..., :1]]), "PNG"),
    "png of 16 bits": png(NOISE.astype(int) * 257, 2, 16),
    "packed tiff": encoded(NOISE, "TIFF", compression="tiff_lzw"),
    "tiff of 16 bits": tiff(NOISE.astype(np.uint16) * 257, ink=2),
    "jpeg with a thumbnail": encoded(NOISE, "JPEG", exif=b"Exif\0\0" + exif(1) + encoded(NOISE[:16, :16], "JPEG")),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.02])
def test_truncated_files_are_found_and_the_reason_is_one_line(name, share):
    cut = WHOLE[name][: int(len(WHOLE[name]) * share)]
    with pytest.raises(ValueError) as caught:
        check(cut)
        decode(cut, SIDE, 3)
    assert str(caught.value) and "\n" not in str(caught.value) and "object at" not in str(caught.value)


def test_a_file_with_bytes_changed_is_decoded_or_refused_in_one_line():
    rng = np.random.default_rng(5)
    refused = 0
    for sample in (*WHOLE.values(), *TRANSPARENT.values()):
        for _ in range(12):
            changed = bytearray(sample)
            for at in rng.integers(0, len(changed), rng.integers(1, 9)):
                changed[at] = rng.integers(0, 256)
            try:
                assert decoded(bytes(changed)).shape == (SIDE, SIDE, 3)
            except ValueError as error:
                refused += 1
                assert type(error) is ValueError and str(error) and "\n" not in str(error)
    assert refused > 50


@pytest.mark.parametrize(
    "sample, reason",
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "a HEIC image, which cannot be decoded: convert it"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(40), "a HEIC image, which cannot be decoded: convert it"),
        (b'<?xml version="1.0"?><svg/>', "an SVG drawing, which has no pixels: convert it to PNG"),
        (b"%PDF-1.7 ...", "a PDF or PostScript page, which has no pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\nshowpage\n", "a PDF or PostScript page"),
        (tiff(RAMP[..., None]), "damaged image, or a TIFF of a kind that cannot be decoded"),
        (b"hello", "not an image in a known format"),
        (b"", "empty file"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(sample, reason):
    for refuse in (check, lambda sample: decode(sample, SIDE, 3)):
        with pytest.raises(ValueError) as caught:
            refuse(sample)
        assert str(caught.value).startswith(reason)


# The setting


@pytest.mark.parametrize(
    "given, kept", [("#80Ff00", "#80ff00"), ("80ff00", "#80ff00"), (128, "#808080"), ("0", "#000000"), (255, "#ffffff")]
)
def test_a_background_is_a_colour_or_a_grey_level(given, kept):
    task = make_task({"name": "resnet18", "image_size": SIDE, "background": given})
    assert task.spec.background == kept
    shown = int(kept[1:3], 16)
    assert task.decode(TRANSPARENT["png rgba"])[0, 0, 0] == shown


def test_a_line_keeps_its_background_and_lines_without_one_are_as_they_were(tmp_path):
    plain = make_task({"name": "resnet18", "image_size": SIDE})
    dumped = plain.spec.model_dump(mode="json")
    assert "background" not in dumped and make_task(dumped).spec == plain.spec
    assert make_task({**dumped, "background": "#ffffff"}).spec.model_dump(mode="json") == dumped
    black = make_task({**dumped, "background": 0}).spec.model_dump(mode="json")
    assert black == {**dumped, "background": "#000000"}
    location = Location(str(tmp_path / "line"))
    create_line(location, black)
    assert make_task(open_line(location).task).spec.background == "#000000"
    with pytest.raises(Exception, match="background: '#000000' there, not set here"):
        create_line(location, dumped)
