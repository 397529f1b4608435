"""What is decoded, and how: rates, channels, encodings, limits, transcripts that have no room."""

import io
import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch

from raygp.tasks import Padded, make_task
from raygp.tasks.audio import whole_frames
from raygp.tasks.sound import HIGHEST_RATE, LONGEST_S, LOWEST_RATE, Sound, read_sound, resampled
from tests.tasks.sounds import encode, mp3_without_length, pcm, soundfile, sweep, wav

torchaudio = pytest.importorskip("torchaudio", reason="needs the extra 'speech'")
TASK = make_task({"name": "deepspeech2-small"})
ORDINARY = (8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000, 88_200, 96_000, 192_000)
ODD = (1_001, 5_513, 11_127, 15_999, 16_001, 22_254, 44_056, 47_999, 191_999)


def refusal(sample: bytes, label: str = "ab") -> str:
    with pytest.raises(ValueError) as caught:
        TASK.check(sample, label)
    return str(caught.value)


@pytest.mark.parametrize("rate", ORDINARY)
def test_ordinary_rates_are_resampled_by_torchaudio_to_the_bit(rate: int) -> None:
    values = sweep(0.5, rate)[:, 0]
    expected = torchaudio.functional.resample(torch.from_numpy(values), rate, 16_000).numpy()
    assert np.array_equal(resampled(Sound(values, rate, len(values))), expected)


@pytest.mark.parametrize("rate", [8_004, 11_020, 15_990])
def test_odd_rates_get_the_same_filter_and_the_exact_ratio(rate: int) -> None:
    """torchaudio can still do these. It computes its filter in float32."""
    values = sweep(0.5, rate)[:, 0]
    expected = torchaudio.functional.resample(torch.from_numpy(values), rate, 16_000).numpy()
    found = resampled(Sound(values, rate, len(values)))
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("rate", ODD)
def test_odd_rates_take_little_memory(rate: int) -> None:
    values = sweep(1.0, rate, top=min(3_000.0, 0.4 * rate))[:, 0]
    tracemalloc.start()
    found = resampled(Sound(values, rate, len(values)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 16_000 and peak < 150e6


@pytest.mark.parametrize("rate", [rate for rate in ODD if rate > 8_000])
def test_an_odd_rate_sounds_like_16_khz(rate: int) -> None:
    """The same tone, taken at another rate: at no sample does it differ by more than a hundredth of its loudness. A
    ratio that is wrong by 1e-5 would show."""
    plain = sweep(noise=0.0)[:, 0]
    values = sweep(rate=rate, noise=0.0)[:, 0]
    found = resampled(Sound(values, rate, len(values)))
    inner = slice(100, -100)
    assert len(found) == len(plain) and np.abs(found - plain)[inner].max() < 0.01 * 0.4


@pytest.mark.parametrize("rate", [1, 999, HIGHEST_RATE + 1, 10_000_000, 2**31 - 1])
def test_rates_that_are_none_of_sound_are_refused(rate: int) -> None:
    assert refusal(wav(pcm(), rate=rate)).startswith(f"a rate of {rate:,} Hz is none of sound")


def test_no_rate_and_no_channels_are_refused() -> None:
    assert "no rate or no number of channels that makes sense" in refusal(wav(pcm(), rate=0))
    assert "Channel count is zero" in refusal(wav(pcm(), channels=0))


@pytest.mark.parametrize("rate", [LOWEST_RATE, HIGHEST_RATE])
def test_the_first_and_the_last_rate_are_taken(rate: int) -> None:
    assert len(TASK.decode(encode(sweep(0.5, rate, top=400.0), rate=rate))) == 51


@pytest.mark.parametrize(
    "subtype, least",
    [("PCM_U8", 0.999), ("PCM_24", 0.999999), ("PCM_32", 0.999999), ("FLOAT", 0.999999), ("DOUBLE", 0.999999),
     ("ULAW", 0.999), ("ALAW", 0.999), ("IMA_ADPCM", 0.99), ("MS_ADPCM", 0.99), ("GSM610", 0.9)],
)  # fmt: skip
def test_encodings_are_decoded(subtype: str, least: float) -> None:
    sample = encode(sweep(), subtype=subtype)
    TASK.check(sample, "ab")
    found = read_sound(sample).values[:32_000]
    assert np.corrcoef(found, sweep()[:, 0])[0, 1] > least
    assert 0.9 < found.std() / sweep().std() < 1.1


@pytest.mark.parametrize("scale", [3.0, 32_768.0, 1e12])
def test_loud_floats_are_no_trouble(scale: float) -> None:
    """Beyond the floor of the logarithm, loudness is no feature."""
    plain = TASK.decode(encode(sweep(noise=0.05) * 100, subtype="FLOAT")).astype(np.float32)
    found = TASK.decode(encode(sweep(noise=0.05) * np.float32(100 * scale), subtype="FLOAT")).astype(np.float32)
    assert np.abs(found - plain).max() < 0.02


@pytest.mark.parametrize("channels", [2, 3, 6, 16])
def test_channels_are_mixed(channels: int) -> None:
    sample = encode(np.repeat(sweep(0.5), channels, axis=1), subtype="FLOAT")
    assert np.allclose(read_sound(sample).values, sweep(0.5)[:, 0], atol=1e-6)


def test_values_that_are_none_are_refused() -> None:
    for value, said in ((np.nan, "not a finite number"), (np.inf, "not a finite number"), (1e30, "1e+30 is no sound")):
        wave = sweep(0.5)
        wave[4_000] = value
        assert said in refusal(encode(wave, subtype="FLOAT"))
    wave = sweep(0.5)
    opposed = np.concatenate([wave, -wave], axis=1)
    assert refusal(encode(opposed, subtype="FLOAT")) == "its channels cancel each other out"
    assert "silent" in refusal(encode(wave * 0))


@pytest.mark.parametrize(
    "head, name",
    [
        (b"\0\0\0\x20ftypM4A isom", "MPEG-4"), (b"\xff\xf1\x50\x80", "AAC"), (b"\x1aE\xdf\xa3\x9f", "WebM"),
        (b"#!AMR\n", "AMR"), (b"0&\xb2u\x8ef\xcf\x11", "Windows Media"), (b"wvpk", "WavPack"),
        (b"OggS\0\2" + bytes(22) + b"Speex   1.2", "Speex"), (b"OggS\0\2" + bytes(22) + b"\x7fFLAC\1", "FLAC in Ogg"),
    ],
)  # fmt: skip
def test_sound_that_cannot_be_read_is_called_by_its_name(head: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=rf"not audio that can be decoded \({name}.* is not read; convert it: ffmpeg"):
        TASK.decode(head + bytes(500))


def test_reasons_name_no_object() -> None:
    for sample in (b"RIFFnonsense", b"nothing at all", encode(sweep(), "CAF")[:500], b"\0" * 1_000):
        with pytest.raises(ValueError) as caught:
            TASK.decode(sample)
        assert "object at" not in str(caught.value)


def test_a_sphere_that_is_compressed_says_how_to_convert_it() -> None:
    sphere = encode(sweep(), "NIST")
    packed = sphere.replace(b"sample_coding -s3 pcm", b"sample_coding -s26 pcm,embedded-shorten-v2.00", 1)
    assert packed != sphere
    assert "shorten cannot be decoded; convert it: sph2pipe" in refusal(packed)


def test_a_long_sound_is_refused_before_it_takes_memory() -> None:
    rate = 8_000
    an_hour = np.tile(sweep(60.0, rate)[:, 0], 60)
    flac = encode(an_hour, "FLAC", rate=rate)
    # Without a length, only decoding finds out.
    without = flac[:18] + (int.from_bytes(flac[18:26], "big") >> 36 << 36).to_bytes(8, "big") + flac[26:]
    for sample in (flac, without, encode(an_hour[: rate * (LONGEST_S + 1)], subtype="PCM_U8", rate=rate)):
        tracemalloc.start()
        with pytest.raises(ValueError, match="longer than 10 minutes"):
            TASK.decode(sample)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 60e6
    assert len(read_sound(encode(an_hour[: rate * LONGEST_S], subtype="PCM_U8", rate=rate)).values) == rate * LONGEST_S


def test_a_header_that_promises_the_moon_takes_no_memory() -> None:
    sample = encode(sweep(), "FLAC")
    moon = sample[:18] + (int.from_bytes(sample[18:26], "big") | (1 << 36) - 1).to_bytes(8, "big") + sample[26:]
    tracemalloc.start()
    TASK.decode(moon)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


@pytest.mark.parametrize("rate", [8_000, 11_127, 16_000, 44_100])
@pytest.mark.parametrize("samples", [1_000, 1_599, 1_600, 1_601, 15_999])
def test_the_check_counts_the_frames_that_decoding_makes(rate: int, samples: int) -> None:
    sample = encode(sweep(3.0, rate)[: max(samples, math.ceil(rate / 20))], rate=rate)
    assert whole_frames(sample) == len(TASK.decode(sample))


@pytest.mark.parametrize("name", ["deepspeech2", "deepspeech2-small"])
def test_output_frames_are_those_of_the_model(name: str) -> None:
    task = make_task({"name": name})
    model = task.build_model(3).eval()
    for frames in (5, 6, 7, 8, 9, 41):
        found = model(Padded(torch.randn(1, frames, 40), torch.tensor([frames])))
        assert task.output_frames(frames) == int(found.lengths[0])


def test_a_transcript_needs_a_frame_for_each_character() -> None:
    sample = encode(sweep(0.2))  # 21 frames, of which the model makes 6.
    assert TASK.check(sample, "abcdef") is None
    assert TASK.check(sample, "abcde") is None
    said = "its transcript is too long for it: 7 characters need 7 frames, the sound gives 6"
    assert TASK.check(sample, "abcdefg") == said
    TASK.check(sample, "abbcd")
    said = "its transcript is too long for it: 5 characters, 2 of them the same as the one before, need 7 frames"
    assert str(TASK.check(sample, "aaabc")).startswith(said)
    # The paper's model makes twice as many frames.
    assert make_task({"name": "deepspeech2"}).check(sample, "abcdefg") is None
    # More characters than there are hundredths of a second fit no model.
    said = "its transcript is too long for it: 22 characters need 22 frames, the sound gives 6"
    assert refusal(sample, "abcdefghijklmnopqrstuv") == said


def test_what_is_refused_has_no_loss_and_what_is_taken_has_one() -> None:
    """The bound is CTC's own."""
    for label, fits in (("aab", True), ("aabb", False), ("abcd", True), ("abcde", False)):
        ids = torch.tensor([["abcde".index(character) for character in label]])
        outputs = Padded(torch.zeros(1, 4, 6), torch.tensor([4]))
        assert bool(TASK.losses(outputs, Padded(ids, torch.tensor([len(label)]))) > 0) == fits
        frames = len(label) + sum(first == second for first, second in itertools.pairwise(label))
        assert (frames <= 4) == fits


def test_files_without_a_length_and_joined_ones_are_whole_features() -> None:
    sample = encode(sweep(), "MP3")
    bare = mp3_without_length(sample)
    assert abs(len(TASK.decode(bare)) - len(TASK.decode(sample))) <= 12
    assert soundfile.info(io.BytesIO(bare)).frames > 0
