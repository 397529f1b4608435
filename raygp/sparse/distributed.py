"""Growth and masks over several workers: one all-reduce of the gradient sums, and masks that provably agree."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from raygp.sparse.bits import count_bits, pack_bits
from raygp.sparse.growth import GradientSum
from raygp.sparse.masks import Masks


class MaskDisagreement(RuntimeError):
    """Workers hold different masks: training on would average unrelated networks."""


def world_size() -> int:
    """Number of workers; 1 where torch.distributed is not initialised."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This worker's rank; 0 where torch.distributed is not initialised."""
    return dist.get_rank() if dist.is_initialized() else 0


def reduce_gradient_sum(local: GradientSum) -> tuple[GradientSum, int]:
    """Add up the workers' gradient sums in one all-reduce.

    The raw sums are reduced and |G| is taken afterwards: averaging |g| over workers ranks noise, and gets no better
    with more workers.

    Returns:
        The sum over all workers, the same on each, and the bytes that this worker put into the reduction.
    """
    if world_size() == 1:
        return local, 0
    # One message: most of the time of many small reductions would be waiting.
    flat = torch.cat([tensor.reshape(-1) for tensor in local.sums.values()])
    dist.all_reduce(flat)
    # int64 beside the floats: a float32 count stops being exact at 16.7 million examples.
    examples = torch.tensor([local.examples], dtype=torch.int64, device=flat.device)
    dist.all_reduce(examples)
    parts = torch.split(flat, [tensor.numel() for tensor in local.sums.values()])
    sums = {name: part.view(tensor.shape) for (name, tensor), part in zip(local.sums.items(), parts, strict=True)}
    return GradientSum(sums, int(examples)), flat.numel() * flat.element_size() + 8


def verify_masks(masks: Masks) -> int:
    """Check that every worker holds the same masks: bitwise AND over the workers equals bitwise OR.

    Returns:
        Bytes that this worker put into the reductions.

    Raises:
        MaskDisagreement: on every worker alike, naming the layer and the number of differing bits.
    """
    if world_size() == 1:
        return 0
    packed = {name: pack_bits(mask) for name, mask in masks.bits.items()}
    flat = torch.cat(list(packed.values()))
    union, common = _all_reduce_bits(flat)
    if not torch.equal(union, common):
        sizes = [part.numel() for part in packed.values()]
        differing = zip(packed, torch.split(union ^ common, sizes), strict=True)
        found = [(name, count_bits(part)) for name, part in differing if bool(part.any())]
        where = ", ".join(f"{name} in {count} connection{'s' if count > 1 else ''}" for name, count in found)
        raise MaskDisagreement(f"masks differ between workers: {where}")
    return 2 * flat.numel()


def _all_reduce_bits(flat: Tensor) -> tuple[Tensor, Tensor]:
    """(union, intersection) of packed bits over all workers."""
    if flat.is_cuda:
        # NCCL has no bitwise reductions: gather and fold.
        gathered = [torch.empty_like(flat) for _ in range(world_size())]
        dist.all_gather(gathered, flat)
        union, common = gathered[0].clone(), gathered[0].clone()
        for other in gathered[1:]:
            union |= other
            common &= other
        return union, common
    union, common = flat.clone(), flat.clone()
    dist.all_reduce(union, op=dist.ReduceOp.BOR)
    dist.all_reduce(common, op=dist.ReduceOp.BAND)
    return union, common


@torch.no_grad()
def average_buffers(module: torch.nn.Module) -> int:
    """Average floating-point buffers (batch-norm statistics) over the workers, in place; integer ones are equal anyway.

    Returns:
        Bytes that this worker put into the reduction.
    """
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    if world_size() == 1 or not buffers:
        return 0
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    dist.all_reduce(flat)
    flat /= world_size()
    for buffer, part in zip(buffers, torch.split(flat, [buffer.numel() for buffer in buffers]), strict=True):
        buffer.copy_(part.view(buffer.shape))
    return flat.numel() * flat.element_size()


def gather_buffers(module: torch.nn.Module) -> dict[str, Tensor]:
    """Floating-point buffers of all workers, the same on each: world size x shape of the buffer, by name, on the
    CPU."""
    found = {}
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            parts = [torch.empty_like(buffer) for _ in range(world_size())]
            if world_size() > 1:
                dist.all_gather(parts, buffer)
            else:
                parts = [buffer.clone()]
            found[name] = torch.stack(parts).cpu()
    return found


@torch.no_grad()
def load_gathered_buffers(module: torch.nn.Module, stacked: Mapping[str, Tensor]) -> None:
    """This worker's part of what :func:`gather_buffers` gave, in place; the mean, if there were other than so many
    workers.

    The mean is what workers agree on at the end of every epoch (:func:`average_buffers`): another number of them only
    comes to it earlier in this one.
    """
    buffers = dict(module.named_buffers())
    for name, parts in stacked.items():
        buffers[name].copy_(parts[rank()] if len(parts) == world_size() else parts.mean(dim=0))
