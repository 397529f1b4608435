"""Sound that was cut short is refused, in every format that tells; what encoders write is not."""

import io
import random
import struct

import numpy as np
import pytest

from raygp.tasks import make_task
from raygp.tasks.mpegframes import mp3_length
from raygp.tasks.sound import read_sound
from raygp.tasks.soundlength import length_fault
from tests.tasks.sounds import encode, mp3_without_length, pcm, soundfile, sweep, wav

TASK = make_task({"name": "deepspeech2-small"})
FORMS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "MP3", "OGG")
MONO = {"DWVW_16", "DWVW_24", "GSM610", "G721_32", "G723_24", "G723_40", "NMS_ADPCM_16"}
MONO |= {"NMS_ADPCM_24", "NMS_ADPCM_32"}


def refusal(sample: bytes, label: str = "ab") -> str:
    with pytest.raises(ValueError) as caught:
        TASK.check(sample, label)
    return str(caught.value)


def kinds() -> list[tuple[str, str]]:
    return [
        (form, subtype)
        for form in FORMS
        for subtype in soundfile.available_subtypes(form)
        # libsndfile does not write other MPEG, and does not read what it writes as DWVW_12.
        if (form, subtype) == ("MP3", "MPEG_LAYER_III") or not subtype.startswith(("MPEG", "DWVW_12"))
    ]


@pytest.mark.parametrize("form, subtype", kinds())
def test_whole_files_pass_and_cut_ones_do_not(form: str, subtype: str) -> None:
    mono = subtype in MONO or (form, subtype) == ("AIFF", "IMA_ADPCM")
    sample = encode(sweep(1.0, channels=1 if mono else 2), form, subtype)
    TASK.check(sample, "ab")
    TASK.check(sample + bytes(100), "ab")
    for share in (0.25, 0.34, 0.97):
        assert "it is cut short" in refusal(sample[: int(len(sample) * share)])


@pytest.mark.parametrize(
    "form, subtype, promised, found",
    [
        ("WAV", "PCM_16", 32_000, 15_989),
        ("WAV", "PCM_24", 32_000, 15_992),
        ("WAV", "FLOAT", 32_000, 15_990),
        ("WAVEX", "PCM_16", 32_000, 15_980),
        ("AIFF", "PCM_16", 32_000, 15_986),
        ("W64", "PCM_16", 32_000, 15_974),
        ("NIST", "PCM_16", 32_000, 15_744),
        ("NIST", "ULAW", 32_000, 15_488),
    ],
)
def test_both_numbers_are_said(form: str, subtype: str, promised: int, found: int) -> None:
    sample = encode(sweep(), form, subtype)
    said = f"it is cut short: its header promises {promised:,} samples, {found:,} are there"
    assert refusal(sample[: len(sample) // 2]) == said
    assert len(read_sound(sample[: len(sample) // 2]).values) == found


def test_a_cut_flac_says_how_much_can_be_decoded() -> None:
    sample = encode(sweep(), "FLAC")
    said = refusal(sample[: len(sample) // 2])
    assert "its header promises 32,000 samples" in said and "can be decoded" in said
    found = int(said.split("samples, ")[1].split()[0].replace(",", ""))
    assert 8_000 < found < 24_000


PIPES = {
    "ffmpeg": wav(pcm(), 0xFFFF_FFFF, 0xFFFF_FFFF),
    "sox": wav(pcm(), 0x7FFF_F000, 0x7FFF_F024),
    "sox, 24 bits": wav(pcm(48_000), 0x7FFF_EFFE, 0x7FFF_F022, width=3),
    "lame": wav(pcm(), 0x7FFF_FFDB, 0x7FFF_FFFF),
    "gstreamer": wav(pcm(), 0, 0),
    "a recorder that crashed": wav(pcm(), 0, 36),
    "zero of the data alone": wav(pcm(), 0),
    "zero, high RIFF": wav(pcm(), 0, 0xFFFF_FFFF),
    "RIFX": wav(pcm(kind=">i2"), 0xFFFF_FFFF, kind=b"RIFX"),
    "RF64": wav(pcm(), 0xFFFF_FFFF, 0xFFFF_FFFF, b"RF64", before=b"")[:12]
    + b"ds64" + struct.pack("<I", 28) + bytes(28)
    + wav(pcm(), 0xFFFF_FFFF)[12:],
}  # fmt: skip


@pytest.mark.parametrize("writer", list(PIPES))
def test_writers_into_a_pipe_promise_nothing(writer: str) -> None:
    sample = PIPES[writer]
    TASK.check(sample, "ab")
    assert len(read_sound(sample).values) == 32_000
    assert np.array_equal(TASK.decode(sample), TASK.decode(wav(pcm(48_000 if "24" in writer else 32_000)))) or (
        "24" in writer
    )


LIST = b"LIST" + struct.pack("<I", 18) + b"INFOISFT" + struct.pack("<I", 6) + b"a pen\0"
ODD = b"bext" + struct.pack("<I", 7) + b"odd one\0"


@pytest.mark.parametrize(
    "sample",
    [
        wav(pcm(), before=LIST),
        wav(pcm(), before=ODD, behind=LIST),
        wav(pcm(), behind=b"id3 " + struct.pack("<I", 900) + b"cut"),
        wav(pcm(), size=64_000 + 44),
        wav(pcm(), size=64_000 + 36),
        wav(pcm(), size=64_000 + 16),
        wav(pcm(), riff=12),
        wav(pcm(kind=">i2"), kind=b"RIFX"),
        wav(pcm() + b"\1"),
        wav(pcm(31_999), behind=b"\0\0\0"),
    ],
    ids=[
        "a list before", "an odd chunk", "the chunk behind is cut", "the header is counted", "most of it",
        "a part of it", "the size of all is wrong", "big-endian", "half a sample more", "zeros behind",
    ],
)  # fmt: skip
def test_odd_headers_are_no_loss(sample: bytes) -> None:
    TASK.check(sample, "ab")
    assert len(read_sound(sample).values) in (31_999, 32_000)


def test_a_loss_behind_other_chunks_is_found() -> None:
    for sample in (wav(pcm(), before=ODD + LIST), wav(pcm(kind=">i2"), kind=b"RIFX")):
        assert "promises 32,000 samples" in refusal(sample[:-2_000])
    assert "promises 16,000 samples, 15,500 are there" in refusal(wav(pcm(), channels=2)[:-2_000])


def test_a_header_without_any_sound_is_too_short() -> None:
    assert "0 samples" in refusal(wav(b""))
    assert "0 samples" in refusal(wav(b"", behind=LIST))
    assert "promises 32,000 samples, 0 are there" in refusal(wav(pcm())[:44])


def test_aiff_and_au_that_do_not_know_their_length() -> None:
    aiff, au = encode(sweep(), "AIFF"), encode(sweep(), "AU")
    common, data = aiff.find(b"COMM"), aiff.find(b"SSND")
    aiff = aiff[: common + 10] + b"\x7f\0\0\0" + aiff[common + 14 : data + 4] + b"\x7f\0\0\x08" + aiff[data + 8 :]
    au = au[:8] + b"\xff" * 4 + au[12:]
    for sample in (aiff, au):
        TASK.check(sample, "ab")
        assert len(read_sound(sample).values) == 32_000


def flac_total(sample: bytes, total: int) -> bytes:
    fields = int.from_bytes(sample[18:26], "big") >> 36 << 36 | total
    return sample[:18] + fields.to_bytes(8, "big") + sample[26:]


def test_a_flac_that_does_not_know_its_length_is_read_to_its_end() -> None:
    sample = encode(sweep(), "FLAC")
    TASK.check(flac_total(sample, 0), "ab")
    assert np.array_equal(TASK.decode(flac_total(sample, 0)), TASK.decode(sample))
    assert "promises 32,001 samples, 32,000 are there" in refusal(flac_total(sample, 32_001))
    assert "promises 68,719,476,735 samples" in refusal(flac_total(sample, 2**36 - 1))


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_mp3s_are_counted_by_their_frames(mode: str, rate: int) -> None:
    sample = encode(sweep(rate=rate), "MP3", rate=rate, bitrate_mode=mode)
    promised, found = mp3_length(sample)
    assert promised == found >= 2 * rate
    bare = mp3_without_length(sample)
    assert mp3_length(bare) == (found, found)
    TASK.check(bare, "ab")
    cut = bare[:-10]
    assert mp3_length(cut) == (found, found - (576 if rate < 32_000 else 1152))
    assert "it is cut short" in refusal(cut)
    tagged = b"ID3\4\0\0\0\0\1\0" + bytes(128) + sample + b"TAG" + bytes(125)
    assert mp3_length(tagged) == (promised, found)
    TASK.check(tagged, "ab")
    with pytest.raises(ValueError, match="it is cut short"):
        TASK.check(tagged[: len(sample) // 2], "ab")


def test_an_mp3_of_variable_rate_without_a_length_is_read_to_its_end() -> None:
    # Its decoder guesses from the first frames: the loud ones are the larger, and there is little of them.
    wave = np.concatenate([np.random.default_rng(1).standard_normal((4_000, 1)) * 0.3, sweep(8.0) * 0.05])
    sample = encode(wave, "MP3", bitrate_mode="VARIABLE", compression_level=0.0)
    bare = mp3_without_length(sample)
    whole, _ = mp3_length(bare)
    assert soundfile.info(io.BytesIO(bare)).frames < 0.9 * whole
    assert abs(len(read_sound(bare).values) - whole) <= 1_152
    TASK.check(bare, "ab")
    two = sample + sample
    assert len(read_sound(two).values) > 1.9 * len(read_sound(sample).values)


def ogg_pages(sample: bytes) -> list[int]:
    """Where the pages start."""
    starts, at = [], 0
    while (at := sample.find(b"OggS", at)) >= 0:
        starts.append(at)
        at += 1
    return starts


def test_ogg_ends_with_the_page_that_says_so() -> None:
    vorbis, opus = (encode(sweep(), "OGG", kind) for kind in ("VORBIS", "OPUS"))
    last = ogg_pages(vorbis)[-1]
    assert "is not whole" in refusal(vorbis[:-1])
    assert "is not marked as the end" in refusal(vorbis[:last])
    assert length_fault(vorbis) is None
    # Android's writer of Opus never marks it.
    page = ogg_pages(opus)[-1]
    assert length_fault(opus[: page + 5] + b"\0" + opus[page + 6 :]) is None
    assert "is not whole" in refusal(opus[:-1])


def test_sounds_one_behind_the_other_are_not_taken_for_the_first() -> None:
    vorbis, whole = encode(sweep(), "OGG"), wav(pcm())
    assert "several Ogg streams" in refusal(vorbis + vorbis)
    assert "several WAV files" in refusal(whole + whole)


def test_mangled_files_end_as_reasons(capfd: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(3)
    wave = sweep(0.4, channels=2)
    samples = [encode(wave, form) for form in FORMS] + [encode(wave, "OGG", "OPUS"), encode(wave, "WAV", "IMA_ADPCM")]
    for _ in range(200):
        sample = bytearray(draw.choice(samples))
        for _ in range(draw.randint(1, 8)):
            sample[draw.randrange(draw.choice([60, len(sample)]))] = draw.randrange(256)
        cut = sample[: draw.randrange(len(sample))] if draw.random() < 0.3 else sample
        try:
            TASK.check(bytes(cut), "ab")
            assert np.isfinite(TASK.decode(bytes(cut))).all()
        except ValueError as error:
            assert str(error) and "object at" not in str(error)
    assert "Traceback" not in capfd.readouterr().err
