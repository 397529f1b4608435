"""Augmentation of a batch of images as a pure function of uniform numbers, a row of them for each image."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from raygp.tasks.spec import Augment

DRAWS: dict[Augment, int] = {"none": 0, "shift": 2, "shift-flip": 3, "resized-crop": 5}
"""Uniform numbers that each kind of augmentation takes for an image."""

_AREA = (0.35, 1.0)
_LOG_ASPECT = (math.log(3 / 4), math.log(4 / 3))


def shift(images: Tensor, draws: Tensor, padding: int) -> Tensor:
    """A random crop of each zero-padded image.

    Args:
        images: N x C x H x W, any type.
        draws: N x 2 numbers in [0, 1): vertical and horizontal place of the crop, of ``2 * padding + 1`` each.
        padding: pixels on each side.

    Returns:
        Tensor of the shape and type of ``images``.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    # A draw just below 1, times the number of places, can be rounded up to that number, which is no place.
    places = (draws * (2 * padding + 1)).long().clamp_(max=2 * padding)
    rows = places[:, :1] + torch.arange(height, device=images.device)
    columns = places[:, 1:] + torch.arange(width, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def flip(images: Tensor, draws: Tensor) -> Tensor:
    """Mirror left and right the images (N x C x H x W) whose number (shape (N,), in [0, 1)) is below a half."""
    return torch.where((draws < 0.5)[:, None, None, None], images.flip(-1), images)


def resized_crop(images: Tensor, draws: Tensor) -> Tensor:
    """A random part of each image scaled to the full size, bilinearly, and mirrored half of the time.

    Args:
        images: N x C x H x W, floating point.
        draws: N x 5 numbers in [0, 1): area, aspect, vertical place, horizontal place, mirror.

    Returns:
        Tensor of the shape and type of ``images``.
    """
    area = _between(draws[:, 0], *_AREA)
    aspect = _between(draws[:, 1], *_LOG_ASPECT).exp()
    # A part that would be wider or higher than the image is cut to the size of the image.
    width, height = (area * aspect).sqrt().clamp(max=1.0), (area / aspect).sqrt().clamp(max=1.0)
    theta = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
    theta[:, 0, 0] = torch.where(draws[:, 4] < 0.5, -width, width)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (2 * draws[:, 3] - 1) * (1 - width)
    theta[:, 1, 2] = (2 * draws[:, 2] - 1) * (1 - height)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _between(draws: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * draws
