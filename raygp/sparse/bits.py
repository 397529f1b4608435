"""Masks as bits: eight connections a byte, and a digest that identifies a set of masks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

_PLACES = (1, 2, 4, 8, 16, 32, 64, 128)


def pack_bits(mask: Tensor) -> Tensor:
    """Bit-pack a boolean tensor.

    Args:
        mask: bool, any shape, n elements; element i (row-major) becomes bit ``i % 8`` of byte ``i // 8``.

    Returns:
        uint8, shape (ceil(n / 8),), unused bits zero.
    """
    flat = mask.reshape(-1)
    # Padded with zeros, so that equal masks have equal bytes.
    padded = torch.zeros(-(-flat.numel() // 8) * 8, dtype=torch.uint8, device=mask.device)
    padded[: flat.numel()] = flat
    places = torch.tensor(_PLACES, dtype=torch.uint8, device=mask.device)
    return (padded.view(-1, 8) * places).sum(dim=1, dtype=torch.uint8)


def unpack_bits(packed: Tensor, shape: tuple[int, ...] | torch.Size) -> Tensor:
    """The boolean tensor of ``shape`` that :func:`pack_bits` packed.

    Raises:
        ValueError: ``packed`` is not as long as ``shape`` wants.
    """
    count = 1
    for size in shape:
        count *= size
    if packed.numel() != -(-count // 8):
        raise ValueError(f"{packed.numel()} bytes of mask cannot hold {count} connections")
    places = torch.tensor(_PLACES, dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(1) & places).ne(0).reshape(-1)[:count].reshape(shape)


def count_bits(packed: Tensor) -> int:
    """Number of set bits in a uint8 tensor."""
    places = torch.tensor(_PLACES, dtype=torch.uint8, device=packed.device)
    return int((packed.unsqueeze(-1) & places).ne(0).sum())


def digest(masks: Mapping[str, Tensor]) -> str:
    """A 64-bit digest of named masks: 16 hex digits, equal if and (but for collisions) only if the masks are."""
    hasher = hashlib.sha256()
    for name in sorted(masks):
        mask = masks[name]
        # With the shape: the same bits in another shape are another mask.
        hasher.update(f"{name}:{tuple(mask.shape)}:".encode())
        hasher.update(pack_bits(mask).cpu().numpy().tobytes())
    return hasher.hexdigest()[:16]
