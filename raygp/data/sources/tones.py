"""Synthetic speech that needs no data: words spelt in pairs of tones.

numpy is imported when a sample is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from raygp.data.sources.kind import SourceKind
from raygp.data.sources.source import SourceSample, SplitName

_ALPHABET = "ABCDEFGHIJ"
_LOW, _HIGH = (350.0, 500.0, 700.0, 980.0), (1300.0, 1700.0, 2300.0)
_WORDS = ("BAD", "BEACH", "BID", "CAFE", "CHEF", "DICE", "EACH", "FACE", "FIG", "HEAD", "HIDE", "ICE", "JADE", "JIG")
_RATE = 8_000
_UTTERANCES, _TEST = 400, 60


@dataclass(frozen=True)
class TonesSource:
    """A few hundred utterances of one to three words. Each letter is a pair of sine tones, as on a telephone's keys;
    pitch, tempo, loudness and noise differ from one utterance to the next. Synthetic: for trying things out."""

    name: str = "tones"
    seed: int = 0

    def samples(self) -> Iterator[SourceSample]:
        """All utterances; the last ones are the test split."""
        import numpy as np

        for number in range(_UTTERANCES):
            generator = np.random.default_rng((self.seed, number))
            text = " ".join(generator.choice(_WORDS, size=generator.integers(1, 4)))
            split: SplitName | None = "test" if number >= _UTTERANCES - _TEST else None
            yield SourceSample(split, text, f"tones-{number:04d}", partial(_speak, text, self.seed, number))


def _speak(text: str, seed: int, number: int) -> bytes:
    """The utterance as a 16-bit wav file."""
    import numpy as np

    generator = np.random.default_rng((seed, number, 1))
    pitch, tempo = generator.uniform(0.94, 1.06), generator.uniform(0.8, 1.25)
    pieces = [np.zeros(int(0.08 * _RATE))]
    for letter in text:
        length = int(tempo * (0.12 if letter == " " else 0.09) * _RATE)
        time = np.arange(length) / _RATE
        tone = np.zeros(length)
        if letter != " ":
            low, high = divmod(_ALPHABET.index(letter), len(_HIGH))
            tone = np.sin(2 * np.pi * _LOW[low] * pitch * time) + np.sin(2 * np.pi * _HIGH[high] * pitch * time)
        pieces += [tone * np.hanning(length), np.zeros(int(tempo * 0.03 * _RATE))]
    sound = np.concatenate(pieces) * generator.uniform(0.1, 0.3)
    sound += generator.normal(0.0, 0.03, len(sound))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


TONES = SourceKind(TonesSource)
