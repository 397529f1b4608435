"""From encoded audio to log-mel features."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raygp.tasks.sound import NOT_KNOWN, SAMPLE_RATE, read_sound, require, resampled
from raygp.tasks.soundlength import length_fault, shortage

_WINDOW, _HOP = 400, 160  # In samples: 25 ms and 10 ms.
_FLOOR = 1e-6


def log_mel(sample: bytes, mels: int) -> np.ndarray:
    """Log-mel energies of one utterance, 100 frames a second, each mel with mean 0 and deviation 1.

    Args:
        sample: an audio file (see :func:`raygp.tasks.sound.read_sound`); mixed down to mono, resampled to 16 kHz.
        mels: number of mel bands.

    Returns:
        float16, frames x ``mels``.

    Raises:
        ValueError: the audio cannot be decoded, is silent, too short, too long or not finite; the message is the
            reason alone.
        InputError: the packages for speech are not installed.
    """
    wave = torch.from_numpy(resampled(read_sound(sample)))
    energies = _transform(mels)(wave).T
    features = torch.log(energies + _FLOOR)
    features = (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-5)
    return features.to(torch.float16).numpy()


def whole_frames(sample: bytes) -> int:
    """How many frames :func:`log_mel` makes of a file. Stricter than that: the file has to be whole, too.

    Raises:
        ValueError: as :func:`log_mel`; or the header promises more than there is, or there is more than would be read.
            The message is the reason alone.
        InputError: the packages for speech are not installed.
    """
    problem = length_fault(sample)
    if problem is not None:
        raise ValueError(problem)
    sound = read_sound(sample)
    found = len(sound.values)
    if found < sound.promised < NOT_KNOWN:
        raise ValueError(shortage(sound.promised, found))
    # The last of the resampled values may lie behind the end of the sound.
    return 1 + -(-found * SAMPLE_RATE // sound.rate) // _HOP


@functools.cache
def _transform(mels: int) -> Any:
    transforms = require("torchaudio").transforms
    return transforms.MelSpectrogram(SAMPLE_RATE, n_fft=_WINDOW, hop_length=_HOP, n_mels=mels)


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
