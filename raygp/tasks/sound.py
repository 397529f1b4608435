"""From an encoded sound to its samples. Whatever is odd about a file ends as a ValueError that says what."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from raygp.tasks import extras
from raygp.tasks.mpegframes import with_length
from raygp.tasks.soundlength import with_size

SAMPLE_RATE = 16_000
"""Samples a second of every utterance, after resampling."""
LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000
"""Rates of files, in Hz."""
LONGEST_S = 600
"""The longest sound, in seconds. A longer one cannot be aligned with its text, and would take a worker's memory."""
NOT_KNOWN = 1 << 62
"""Samples that libsndfile promises where a header does not tell."""
_SHORTEST_S = 0.05
_LARGEST = 1e15
"""Of samples. The energies of larger ones overflow."""
_BLOCK = 1 << 20
"""Values of all channels that are decoded at a time."""
_LARGEST_KERNEL = 1 << 20
"""Values of a kernel of torchaudio: about 500 at 44.1 kHz and 280,000 at 11.025 kHz, but 180 million at 11,127 Hz."""


@dataclass(frozen=True)
class Sound:
    """A decoded file."""

    values: np.ndarray
    """The mean of its channels, float32, 1-D, in [-1, 1] where the file holds integers."""
    rate: int
    """In Hz."""
    promised: int
    """Samples that its header promises; at least :data:`NOT_KNOWN` where it does not know."""


def read_sound(sample: bytes) -> Sound:
    """Decode a file that libsndfile reads, by its content: WAV, FLAC, Ogg (Vorbis, Opus), MP3, NIST SPHERE, AIFF, AU.

    Raises:
        ValueError: it cannot be decoded, is silent, too short, too long or not finite; the message is the reason alone.
        InputError: the packages for speech are not installed.
    """
    # What is not a number, or too large for the mean of the channels, is refused below.
    with np.errstate(invalid="ignore", over="ignore"):
        sound = _decoded(sample)
    values, rate = sound.values, sound.rate
    if len(values) < _SHORTEST_S * rate:
        raise ValueError(f"{len(values)} samples at {rate} Hz are too short (at least {_SHORTEST_S:g} s)")
    largest = max(float(values.max()), -float(values.min()))
    if not math.isfinite(largest):
        raise ValueError("a sample is not a finite number")
    if largest > _LARGEST:
        raise ValueError(f"a sample as large as {largest:.0e} is no sound")
    return sound


def resampled(sound: Sound) -> np.ndarray:
    """The values of a sound at 16 kHz, float32, 1-D.

    The filter is torchaudio's at every rate: a sinc in a Hann window, 6 zero crossings to each side, cut off at 0.99 of
    the lower Nyquist frequency. torchaudio keeps the filter of each output sample of a period by itself, padded to the
    length of the period. That is small for ordinary rates, and gigabytes for a rate without a common divisor with
    16,000; there scipy takes the same filter without the padding, and the ratio stays exact.
    """
    if sound.rate == SAMPLE_RATE:
        return np.ascontiguousarray(sound.values)
    divisor = math.gcd(sound.rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // divisor, sound.rate // divisor
    if up * down <= _LARGEST_KERNEL:
        import torch

        values = torch.from_numpy(sound.values)
        found: np.ndarray = require("torchaudio").functional.resample(values, sound.rate, SAMPLE_RATE).numpy()
    else:
        found = require("scipy.signal").resample_poly(sound.values, up, down, window=_low_pass(up, down))
    return np.ascontiguousarray(found)


def require(name: str) -> ModuleType:
    """A package that only speech needs.

    Raises:
        InputError: it is not installed; the message says what to install.
    """
    return extras.require(name, "speech", "speech")


@lru_cache(maxsize=4)
def _low_pass(up: int, down: int) -> np.ndarray:
    """torchaudio's filter at ``up`` times the rate of a file, float32, 1-D; up to 20 MB."""
    crossings, roll_off = 6, 0.99
    cut_off = min(up, down) * roll_off
    half = math.ceil(crossings * up * down / cut_off)
    at = np.arange(-half, half + 1) * (cut_off / (up * down))
    window = np.cos(np.clip(at, -crossings, crossings) * (math.pi / crossings / 2)) ** 2
    found: np.ndarray = (np.sinc(at) * window * (cut_off / (up * down))).astype(np.float32)
    return found


def _decoded(sample: bytes) -> Sound:
    with _whole(sample) as file:
        rate, promised, channels = int(file.samplerate), int(file.frames), int(file.channels)
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise ValueError(f"a rate of {rate:,} Hz is none of sound ({LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz)")
        most = LONGEST_S * rate
        blocks: list[np.ndarray] = []
        found, loud = 0, False
        while found <= most:
            block = _block(file, min(max(1, _BLOCK // channels), promised - found), found, promised)
            if not len(block):
                break
            if channels > 1:
                loud = loud or bool(block.any())
                block = block.mean(axis=1)
            blocks.append(block.reshape(-1))
            found += len(block)
        # The length of MPEG is a guess from its bit rate.
        promised = NOT_KNOWN if file.subtype.startswith("MPEG") else promised
    if found > most:
        minutes = LONGEST_S // 60
        raise ValueError(f"it is longer than {minutes} minutes, the most that is taken in: cut it into utterances")
    values = blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks])
    if found and not values.any():
        raise ValueError("its channels cancel each other out" if loud else "it is silent: all samples are zero")
    return Sound(values, rate, promised)


def _whole(sample: bytes) -> Any:
    """The file, opened so that all of it will be read although its header says less."""
    file = _opened(sample)
    mended = None
    if not file.frames:
        mended = with_size(sample)
    elif file.format == "MP3":
        mended = with_length(sample, int(file.frames))
    if mended is not None:
        file.close()
        file = _opened(mended)
    if file.format == "MP3":
        file.seek(0)  # It rounds otherwise after a seek, and features were always made after one.
    return file


def _block(file: Any, size: int, found: int, promised: int) -> np.ndarray:
    """The next frames of an open file, at most ``size``: float32, frames x channels."""
    values = np.full((max(size, 0), file.channels), np.nan, np.float32)
    if not len(values):
        return values
    try:
        block: np.ndarray = file.read(out=values)
    except Exception as error:
        # What was decoded before the damage stands at the start.
        found += int(np.isfinite(values[:, 0]).sum())
        whole = f"its header promises {promised:,} samples, " if promised < NOT_KNOWN else ""
        reason = f"it is cut short or damaged: {whole}{found:,} samples can be decoded ({_reason(error)})"
        raise ValueError(reason) from error
    return block


class _Bytes(io.BytesIO):
    """Stays where it is when a damaged header sends it before its start; soundfile would print a traceback."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


@cache
def _stream(base: Any) -> Any:
    """soundfile's class seeks after each block. FLAC files that do not know their length fail at that."""

    class Stream(base):  # type: ignore[misc]  # It comes without types.
        def seekable(self) -> bool:
            return False

    return Stream


def _opened(sample: bytes) -> Any:
    reader = _stream(require("soundfile").SoundFile)
    if sample.startswith(b"NIST_1A") and b"embedded-" in sample[:1024]:
        raise ValueError(
            "NIST SPHERE that is compressed with shorten cannot be decoded; convert it: sph2pipe -f wav IN.sph OUT.wav"
        )
    try:
        return reader(_Bytes(sample))
    except Exception as error:
        other = next((name for at, mark, name in _OTHERS if sample.startswith(mark, at)), None)
        reason = f"{other} is not read; convert it: ffmpeg -i IN -ar 16000 OUT.flac" if other else _reason(error)
        raise ValueError(f"not audio that can be decoded ({reason})") from error


def _reason(error: Exception) -> str:
    """What libsndfile says, without the name of the object that it read from."""
    text = str(getattr(error, "error_string", "") or error)
    if "SF_INFO" in text:
        return "its header has no rate or no number of channels that makes sense"
    return text.removeprefix("Error : ").rstrip(".")


_OTHERS = (
    (4, b"ftyp", "MPEG-4 (m4a, mp4, AAC)"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"ADIF", "AAC"),
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media (wma)"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"ajkg", "Shorten"),
    (8, b"AVI ", "AVI"),
    (28, b"Speex   ", "Speex"),
    (28, b"\x7fFLAC", "FLAC in Ogg"),
)
"""Formats that people have and libsndfile does not read: where a mark stands, the mark, the name."""
