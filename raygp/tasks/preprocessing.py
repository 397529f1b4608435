"""What a task says of its preprocessing to people who answer samples without raygp: plain data beside an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from raygp.tasks.spec import ImageSpec


@runtime_checkable
class Described(Protocol):
    """A task that can say how a file becomes its model's input. A task need not: what it does not say, is not said."""

    def preprocessing(self) -> dict[str, Any]:
        """Plain data. ``kind`` says which reader of :mod:`raygp.export` does the same without raygp ("image",
        "speech", "text", "row"); the rest is what that reader needs, and words for people."""
        ...


@runtime_checkable
class DescribedByFiles(Described, Protocol):
    """One whose preprocessing takes more than plain data."""

    def preprocessing_files(self) -> dict[str, str]:
        """The content of files by the names that :meth:`preprocessing` calls them."""
        ...


def image_preprocessing(spec: ImageSpec) -> dict[str, Any]:
    """Of the images that :func:`raygp.tasks.decoding.decode` reads, and :class:`raygp.tasks.images.ImageTask` prepares.

    Args:
        spec: of the task.
    """
    return {
        "kind": "image",
        "order": "upright as Exif says, background behind what is transparent, centre square, resize, scale, normalise",
        "crop": "the largest square in the middle: side min(width, height), left (width - side) // 2, "
        "top (height - side) // 2",
        "resize": "bilinear with antialiasing, in 8 bits: torch's interpolate, or Pillow's resize with BILINEAR",
        "height": spec.image_size,
        "width": spec.image_size,
        "channels": spec.channels,
        "colours": "grey" if spec.channels == 1 else "RGB",
        "background": spec.background,
        "scale": "divide by 255",
        "normalise": "(pixel / 255 - mean) / std, by channel",
        "mean": list(spec.mean),
        "std": list(spec.std),
    }


def speech_preprocessing(mels: int) -> dict[str, Any]:
    """Of the speech that :func:`raygp.tasks.audio.log_mel` reads.

    Args:
        mels: number of mel bands.
    """
    return {
        "kind": "speech",
        "order": "mean of the channels, 16 kHz, mel energies, log, mean 0 and deviation 1 of each mel, float16",
        "sample_rate": 16_000,
        "window": 400,
        "hop": 160,
        "mels": mels,
        "energies": "power of the Fourier transform of 400 samples in a periodic Hann window every 160 samples, the "
        "sound mirrored by 200 samples at both ends; triangular filters on the HTK mel scale from 0 to 8,000 Hz",
        "log": "log(energy + 1e-6)",
        "normalise": "(value - mean) / (deviation + 1e-5), of each mel over the utterance; deviation divides by n - 1",
        "frames": "1 + samples // 160",
    }


def text_preprocessing(length: int) -> dict[str, Any]:
    """Of the texts that :class:`raygp.tasks.text.TextTask` reads.

    Args:
        length: tokens that the model sees.
    """
    return {
        "kind": "text",
        "order": "UTF-8, line ends and letters in one form, tokens, the first ones, padding behind them",
        "text": "line ends as \\n, letters composed (Unicode's NFC), no blanks at both ends",
        "tokenizer": "tokenizer.json",
        "ids": "the tokenizer's plus 1; 0 where there is no token",
        "length": length,
    }


def row_preprocessing(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the rows that :func:`raygp.tasks.tabular_cells.row_values` reads.

    Args:
        columns: those that the model sees, in order: fields of :class:`raygp.tasks.tabular_fit.ColumnSpec`.
    """
    return {
        "kind": "row",
        "order": "a JSON object of a row's columns; numbers standardised, then places of categories",
        "numbers": "(value - mean) / deviation, at most 10 from zero; where it may be missing, a flag follows: 1 where "
        "it is, and the number is 0 then",
        "categories": "0 where the value is missing, 1 for any that is not known, 2 and on for those that are",
        "columns": [dict(column) for column in columns],
    }
