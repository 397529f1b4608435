"""Sound files for tests, and the bytes of their headers."""

import io
import struct

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile", reason="needs the extra 'speech'")

SECONDS = 2.0


def sweep(
    seconds: float = SECONDS, rate: int = 16_000, channels: int = 1, top: float = 3_000.0, noise: float = 0.002
) -> np.ndarray:
    """A tone that rises from 300 Hz to ``top``, with some noise: float32, samples x channels."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 300 * time + (top - 300) / (2 * seconds) * time**2
    wave = 0.4 * np.sin(2 * np.pi * phase) + noise * np.random.default_rng(0).standard_normal(len(time))
    return (wave[:, None] * np.linspace(1.0, 0.5, channels)).astype(np.float32)


def encode(wave: np.ndarray, form: str = "WAV", subtype: str | None = None, rate: int = 16_000, **options) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form, subtype=subtype, **options)
    return file.getvalue()


def wav(content: bytes, size: int | None = None, riff: int | None = None, kind: bytes = b"RIFF", **changes) -> bytes:
    """A WAV from its parts: ``before`` and ``behind`` are whole chunks around the data; ``tag``, ``rate``, ``width``
    and ``channels`` are those of the format."""
    order = ">" if kind == b"RIFX" else "<"
    width, channels, rate = changes.get("width", 2), changes.get("channels", 1), changes.get("rate", 16_000)
    form = struct.pack(
        order + "HHIIHH", changes.get("tag", 1), channels, rate, rate * channels * width, channels * width, 8 * width
    )
    data = b"data" + struct.pack(order + "I", len(content) if size is None else size) + content
    chunks = b"fmt " + struct.pack(order + "I", 16) + form + changes.get("before", b"") + data
    body = b"WAVE" + chunks + changes.get("behind", b"")
    return kind + struct.pack(order + "I", len(body) if riff is None else riff) + body


def pcm(samples: int = 32_000, kind: str = "<i2") -> bytes:
    """The sweep as 16-bit samples."""
    return (sweep(samples / 16_000)[:, 0] * 32767).astype(kind).tobytes()


def mp3_without_length(sample: bytes) -> bytes:
    """An MP3 without the first frame, in which its length stands."""
    place = max(sample.find(b"Xing"), sample.find(b"Info"))
    assert place > 0
    following = sample.find(sample[:2], place)
    return sample[following:]
