"""From encoded audio to log-mel features."""

from __future__ import annotations

import functools
import importlib
import io
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raygp.errors import InputError

SAMPLE_RATE = 16_000
"""Samples a second of every utterance, after resampling."""
_WINDOW, _HOP = 400, 160  # In samples: 25 ms and 10 ms.
_FLOOR = 1e-6
_SHORTEST_S = 0.05


def log_mel(sample: bytes, mels: int) -> np.ndarray:
    """Log-mel energies of one utterance, 100 frames a second, each mel with mean 0 and deviation 1.

    Args:
        sample: an audio file that libsndfile reads (wav, flac, ogg); mixed down to mono, resampled to 16 kHz.
        mels: number of mel bands.

    Returns:
        float16, frames x ``mels``.

    Raises:
        ValueError: the audio cannot be decoded, is silent, too short or not finite; the message is the reason alone.
        InputError: the packages for speech are not installed.
    """
    wave = torch.from_numpy(_wave(sample))
    energies = _transform(mels)(wave).T
    features = torch.log(energies + _FLOOR)
    features = (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-5)
    return features.to(torch.float16).numpy()


def _wave(sample: bytes) -> np.ndarray:
    """Samples in [-1, 1] at 16 kHz, float32, 1-D."""
    soundfile, torchaudio = require("soundfile"), require("torchaudio")
    try:
        wave, rate = soundfile.read(io.BytesIO(sample), dtype="float32", always_2d=True)
    except Exception as error:
        raise ValueError(f"not audio that can be decoded ({error})") from error
    mono = wave.mean(axis=1)
    if len(mono) < _SHORTEST_S * rate:
        raise ValueError(f"{len(mono)} samples at {rate} Hz are too short (at least {_SHORTEST_S:g} s)")
    if not np.isfinite(mono).all():
        raise ValueError("a sample is not a finite number")
    if not mono.any():
        raise ValueError("it is silent: all samples are zero")
    if rate != SAMPLE_RATE:
        mono = torchaudio.functional.resample(torch.from_numpy(mono), rate, SAMPLE_RATE).numpy()
    return np.ascontiguousarray(mono)


@functools.cache
def _transform(mels: int) -> Any:
    transforms = require("torchaudio").transforms
    return transforms.MelSpectrogram(SAMPLE_RATE, n_fft=_WINDOW, hop_length=_HOP, n_mels=mels)


def require(name: str) -> ModuleType:
    """A package that only speech needs.

    Raises:
        InputError: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"speech needs {name}, which is not installed: pip install 'raygp[speech]'") from error


def mask_bands(features: Tensor, lengths: Tensor, draws: Tensor) -> Tensor:
    """SpecAugment (arXiv 1904.08779, section 2, without time warping): two bands of mels and two of frames are set to
    zero, the mean.

    Args:
        features: N x T x F.
        lengths: frames of each row, shape (N,).
        draws: uniform numbers in [0, 1), N x :data:`MASK_DRAWS`: width and place of each band. A band of mels is up to
            a fifth of them wide, one of frames up to a tenth of the utterance.
    """
    rows, frames, mels = features.shape
    hidden = torch.zeros(rows, frames, mels, dtype=torch.bool, device=features.device)
    for band in range(2):
        width, place = draws[:, 4 * band], draws[:, 4 * band + 1]
        hidden |= _band(torch.full_like(width, mels), width * mels / 5, place, mels)[:, None, :]
        width, place = draws[:, 4 * band + 2], draws[:, 4 * band + 3]
        frame_counts = lengths.to(features.device, torch.float32)
        hidden |= _band(frame_counts, width * frame_counts / 10, place, frames)[:, :, None]
    return features.masked_fill(hidden, 0.0)


MASK_DRAWS = 8
"""Uniform numbers that :func:`mask_bands` takes for an utterance: two for each of its four bands."""


def _band(sizes: Tensor, widths: Tensor, places: Tensor, positions: int) -> Tensor:
    """Bool, N x positions: which positions lie in each row's band. A place of 0 puts the band at the start of the row,
    a place near 1 at its end."""
    starts = places * (sizes - widths)
    at = torch.arange(positions, device=sizes.device)[None, :]
    return (at >= starts[:, None]) & (at < (starts + widths)[:, None])
