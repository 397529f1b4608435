"""The invariant: exactly zero at every dormant connection, after every step, under every optimizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from raygp.sparse import grow, prune
from tests.sparse.helpers import (
    OPTIMIZERS,
    Recurrent,
    conv_net,
    gradient_of,
    nonzero_dormant,
    normal,
    random_masks,
)

MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv": (conv_net, (6, 2, 5, 5)),
    "channels_last": (lambda: conv_net().to(memory_format=torch.channels_last), (6, 2, 5, 5)),  # type: ignore[call-overload]
    "recurrent": (Recurrent, (4, 6, 3)),
}


@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_dormant_connections_stay_exactly_zero(optimizer_name: str, model_name: str) -> None:
    torch.manual_seed(0)
    build, shape = MODELS[model_name]
    model = build()
    masks = random_masks(model, 0.3)
    optimizer = OPTIMIZERS[optimizer_name](model)
    assert nonzero_dormant(masks, optimizer) == []
    step = 0
    for change in ("grow", "prune", "grow", "prune", "none"):
        for _ in range(3):
            step += 1
            before = {name: masks.parameter(name).detach().clone() for name in masks.bits}
            optimizer.zero_grad()
            model(normal(*shape, seed=step)).square().mean().backward()
            assert all(masks.parameter(name).grad[~mask].any() for name, mask in masks.bits.items())
            masks.mask_gradients()
            optimizer.step()
            assert nonzero_dormant(masks, optimizer) == []
            assert all(not torch.equal(masks.parameter(name), before[name]) for name in masks.bits)
        if change == "grow":
            active = masks.active
            assert sum(grow(masks, gradient_of(masks, step), 0.3, 0.1, optimizer).values()) == masks.active - active > 0
        elif change == "prune":
            prune(masks, 0.25, "uniform", optimizer)
            assert masks.active == round(0.25 * masks.total)
        assert nonzero_dormant(masks, optimizer) == []


def test_without_masked_gradients_the_invariant_breaks() -> None:
    # What the tests above would say if masking did nothing.
    model = conv_net()
    masks = random_masks(model, 0.3)
    optimizer = OPTIMIZERS["sgd"](model)
    model(normal(6, 2, 5, 5)).square().mean().backward()
    optimizer.step()
    expected = ["0.weight weight", "0.weight momentum_buffer", "4.weight weight", "4.weight momentum_buffer"]
    assert nonzero_dormant(masks, optimizer) == expected
