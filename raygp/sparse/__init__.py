"""The algorithm, in plain PyTorch: masks, growth, pruning, their cost, their traffic, their compact form.

Nothing here knows of Ray, of storage or of plans; any training loop can use it. A step of a sparse model is::

    loss.backward()
    masks.mask_gradients()        # not needed under wrap_ddp(..., packed=True): dormant gradients arrive as zero
    optimizer.step()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygp.sparse.bits import count_bits, digest, pack_bits, unpack_bits
    from raygp.sparse.budgets import layer_budgets
    from raygp.sparse.codec import pack_model, pack_optimizer, unpack_model, unpack_optimizer
    from raygp.sparse.distributed import (
        MaskDisagreement,
        average_buffers,
        gather_buffers,
        load_gathered_buffers,
        rank,
        reduce_gradient_sum,
        verify_masks,
        world_size,
    )
    from raygp.sparse.distribution import Distribution
    from raygp.sparse.flops import FlopCount, count_uses, growth_flops, training_flops
    from raygp.sparse.growth import GradientSum, grow, growth_count, select_growth
    from raygp.sparse.layers import Layer, dense_by_kind, prunable_layers
    from raygp.sparse.masks import Masks
    from raygp.sparse.optimizer import clear_state, state_tensors
    from raygp.sparse.packing import PackedReduction, packing_hook, unused_parameters, wrap_ddp
    from raygp.sparse.pruning import cubic_density, prune, select_pruned
    from raygp.sparse.seeding import seed_sparse
    from raygp.sparse.selection import select_largest, select_smallest
    from raygp.sparse.tracing import Trace, trace_forward

__all__ = [
    "Distribution",
    "FlopCount",
    "GradientSum",
    "Layer",
    "MaskDisagreement",
    "Masks",
    "PackedReduction",
    "Trace",
    "average_buffers",
    "clear_state",
    "count_bits",
    "count_uses",
    "cubic_density",
    "dense_by_kind",
    "digest",
    "gather_buffers",
    "grow",
    "growth_count",
    "growth_flops",
    "layer_budgets",
    "load_gathered_buffers",
    "pack_bits",
    "pack_model",
    "pack_optimizer",
    "packing_hook",
    "prunable_layers",
    "prune",
    "rank",
    "reduce_gradient_sum",
    "seed_sparse",
    "select_growth",
    "select_largest",
    "select_pruned",
    "select_smallest",
    "state_tensors",
    "trace_forward",
    "training_flops",
    "unpack_bits",
    "unpack_model",
    "unpack_optimizer",
    "unused_parameters",
    "verify_masks",
    "world_size",
    "wrap_ddp",
]

_MODULES = {
    "Distribution": "distribution",
    "FlopCount": "flops",
    "GradientSum": "growth",
    "Layer": "layers",
    "MaskDisagreement": "distributed",
    "Masks": "masks",
    "PackedReduction": "packing",
    "Trace": "tracing",
    "average_buffers": "distributed",
    "clear_state": "optimizer",
    "count_bits": "bits",
    "count_uses": "flops",
    "cubic_density": "pruning",
    "dense_by_kind": "layers",
    "digest": "bits",
    "gather_buffers": "distributed",
    "grow": "growth",
    "growth_count": "growth",
    "growth_flops": "flops",
    "layer_budgets": "budgets",
    "load_gathered_buffers": "distributed",
    "pack_bits": "bits",
    "pack_model": "codec",
    "pack_optimizer": "codec",
    "packing_hook": "packing",
    "prunable_layers": "layers",
    "prune": "pruning",
    "rank": "distributed",
    "reduce_gradient_sum": "distributed",
    "seed_sparse": "seeding",
    "select_growth": "growth",
    "select_largest": "selection",
    "select_pruned": "pruning",
    "select_smallest": "selection",
    "state_tensors": "optimizer",
    "trace_forward": "tracing",
    "training_flops": "flops",
    "unpack_bits": "bits",
    "unpack_model": "codec",
    "unpack_optimizer": "codec",
    "unused_parameters": "packing",
    "verify_masks": "distributed",
    "world_size": "distributed",
    "wrap_ddp": "packing",
}
"""Name: the module of this package that it is in."""


def __getattr__(name: str) -> Any:
    """Import what is asked for. Plans look into this package for names alone, and must not wait for torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
