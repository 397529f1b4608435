"""Randomness by name: every draw of an update has its own seed, derived from the update's, so that nothing depends on
what was drawn before it. An interrupted update needs no generator state to go on as if nothing had happened."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the draw called ``names``."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy's generator for the draw called ``names``."""
    return np.random.default_rng(derive_seed(seed, *names))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """Torch's CPU generator for the draw called ``names``."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))
