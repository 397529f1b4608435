from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from raygp.sparse import GradientSum, Masks, grow, growth_count, select_growth
from tests.sparse.helpers import OPTIMIZERS, adam, conv_net, gradient_of, normal, one_row, random_masks


def reference(gradient: np.ndarray, mask: np.ndarray, alpha: str, limit: int | None = None) -> np.ndarray:
    """The flat mask of what growth activates."""
    count = math.floor(Fraction(alpha) * int((~mask).sum()))
    count = count if limit is None else min(count, limit)
    order = np.argsort(-np.abs(gradient), axis=None, kind="stable")
    wanted = [i for i in order if not mask.flat[i] and gradient.flat[i] != 0]
    chosen = np.zeros(mask.shape, dtype=bool)
    chosen.flat[wanted[:count]] = True
    return chosen


# gradient, mask, alpha, limit, grown
TABLE = [
    ([1, -4, 3, 2], [0, 0, 0, 0], 0.5, None, [0, 1, 1, 0]),
    ([1, -4, 3, 2], [0, 1, 1, 0], 0.5, None, [0, 0, 0, 1]),  # Active ones do not compete.
    ([2, 2, -2, 2], [0, 0, 0, 0], 0.5, None, [1, 1, 0, 0]),  # Ties: the lower index.
    ([0, 0, 1, 0], [0, 0, 0, 0], 1.0, None, [0, 0, 1, 0]),  # Nothing asked for the others.
    ([0, 0, 0, 0], [0, 0, 0, 0], 1.0, None, [0, 0, 0, 0]),
    ([4, 3, 2, 1], [0, 0, 0, 0], 1.0, 1, [1, 0, 0, 0]),
    ([4, 3, 2, 1], [0, 0, 0, 0], 1.0, 0, [0, 0, 0, 0]),
    ([4, 3, 2, 1], [0, 0, 0, 0], 0.24, None, [0, 0, 0, 0]),  # floor(0.96)
    ([4, 3, 2, 1], [0, 0, 0, 0], 0.0, None, [0, 0, 0, 0]),
    ([4, 3, 2, 1], [1, 1, 1, 1], 1.0, None, [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("gradient", "mask", "alpha", "limit", "grown"), TABLE)
def test_growth_takes_the_largest_gradients_among_the_dormant(
    gradient: list[float], mask: list[int], alpha: float, limit: int | None, grown: list[int]
) -> None:
    chosen = select_growth(torch.tensor(gradient).float().abs(), torch.tensor(mask).bool(), alpha, limit)
    assert chosen.int().tolist() == grown


def test_growth_equals_the_numpy_reference_on_ties_and_zeros() -> None:
    rng = np.random.default_rng(1)
    for trial in range(200):
        shape = tuple(int(n) for n in rng.integers(1, 6, size=int(rng.integers(2, 5))))
        spread = int(rng.integers(1, 4))
        gradient = rng.integers(-spread, spread + 1, shape).astype(np.float32)
        mask = rng.random(shape) < rng.random()
        alpha = ("0", "0.1", "0.25", "0.3", "0.5", "0.7", "1")[trial % 7]
        limit = None if trial % 3 else int(rng.integers(0, 20))
        chosen = select_growth(torch.from_numpy(gradient).abs(), torch.from_numpy(mask), float(alpha), limit)
        assert np.array_equal(chosen.numpy(), reference(gradient, mask, alpha, limit))


def test_growth_count_is_the_exact_floor() -> None:
    for percent in range(101):
        for dormant in (0, 1, 7, 10, 100, 999, 1000, 123_456):
            assert growth_count(dormant, percent / 100) == percent * dormant // 100


def test_a_grown_connection_starts_one_step_from_zero() -> None:
    model, masks = one_row([7, 0, 0, 0, -7])
    gradient = torch.tensor([[9.0, -8, 1, 4, 9]])
    assert grow(masks, GradientSum({"weight": gradient}, examples=2), alpha=0.7, eta=0.5) == {"weight": 2}
    assert masks.bits["weight"].int().tolist() == [[1, 1, 0, 1, 1]]
    assert model.weight.tolist() == [[7, 2, 0, -1, -7]]  # -0.5 * -8 / 2 and -0.5 * 4 / 2


def test_growing_a_whole_model_equals_the_numpy_reference() -> None:
    for seed in range(10):
        model = conv_net()
        masks = random_masks(model, 0.3, seed)
        gradient = gradient_of(masks, seed, examples=7)
        before = {n: (masks.parameter(n).detach().numpy().copy(), m.numpy().copy()) for n, m in masks.bits.items()}
        generation = masks.generation
        counts = grow(masks, gradient, alpha=0.4, eta=0.3)
        assert masks.generation > generation
        for name, (weight, mask) in before.items():
            summed = gradient.sums[name].numpy()
            grown = reference(summed, mask, "0.4")
            assert counts[name] == grown.sum() > 0
            assert np.array_equal(masks.bits[name].numpy(), mask | grown)
            after = masks.parameter(name).detach().numpy()
            assert np.array_equal(after[~grown], weight[~grown])  # Active and still dormant ones: bit for bit.
            np.testing.assert_allclose(after[grown], -0.3 * summed[grown] / 7, rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_grown_connections_get_fresh_state_and_the_others_keep_theirs(name: str) -> None:
    model = conv_net()
    masks = Masks(model)
    optimizer = OPTIMIZERS[name](model)
    model(normal(4, 2, 5, 5)).square().sum().backward()
    optimizer.step()
    masks.set(random_masks(conv_net(), 0.3).bits)  # The state stays non-zero everywhere, as a stale one would be.
    masks.apply()
    old_bits = {n: m.clone() for n, m in masks.bits.items()}
    old_state = {p: {k: v.clone() for k, v in optimizer.state[p].items() if v is not None} for p in model.parameters()}
    assert sum(grow(masks, gradient_of(masks, 3), 0.5, 0.1, optimizer).values()) > 0
    for n, parameter in model.named_parameters():
        for key, old in old_state[parameter].items():
            new = optimizer.state[parameter][key]
            if n in masks.bits and new.shape == parameter.shape:
                grown = masks.bits[n] & ~old_bits[n]
                assert not new[grown].any() and old[grown].any()
                assert torch.equal(new[~grown], old[~grown])
            else:
                assert torch.equal(new, old)  # Biases, norms, step counters.


def test_growth_before_the_first_step_needs_no_state() -> None:
    model, masks = one_row([1, 0, 0])
    optimizer = adam(model)
    assert grow(masks, GradientSum({"weight": torch.ones(1, 3)}, 1), 1.0, 0.1, optimizer) == {"weight": 2}
    assert not optimizer.state


# upper bound, active of 100 before, active after with alpha 1
@pytest.mark.parametrize(
    ("upper", "before", "after"), [(1.0, 10, 100), (0.5, 10, 50), (0.29, 10, 29), (0.05, 10, 10), (0.0, 0, 0)]
)
def test_growth_stops_at_the_upper_density_bound(upper: float, before: int, after: int) -> None:
    _, masks = one_row([1.0] * before + [0.0] * (100 - before))
    gradient = GradientSum({"weight": torch.arange(1.0, 101).view(1, 100)}, 1)
    assert grow(masks, gradient, 1.0, 0.1, bounds={"weight": (0.0, upper)}) == {"weight": after - before}
    assert masks.active == after
    assert bool(masks.bits["weight"][0, 100 - (after - before) :].all())


def test_a_bound_on_one_layer_leaves_the_others_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 4))
    masks = random_masks(model, 0.0)
    gradient = GradientSum({n: torch.ones_like(masks.parameter(n)) for n in masks.bits}, 1)
    counts = grow(masks, gradient, 0.5, 0.1, bounds={"0.weight": (0.0, 0.1)})
    assert counts == {"0.weight": 2, "1.weight": 10}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_refused_and_nothing_changes(bad: float) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    masks = random_masks(model, 0.5)
    before = (masks.digest(), [p.detach().clone() for p in model.parameters()])
    sums = {n: torch.ones_like(masks.parameter(n)) for n in masks.bits}
    sums["1.weight"][0, 1] = bad
    with pytest.raises(ValueError, match=r"^1\.weight: the gradient sum is not finite"):
        grow(masks, GradientSum(sums, 1), 1.0, 0.1)
    assert masks.digest() == before[0]
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before[1], strict=True))


def test_a_gradient_over_no_examples_is_refused() -> None:
    _, masks = one_row([1, 0])
    with pytest.raises(ValueError, match="at least one example"):
        grow(masks, GradientSum({"weight": torch.ones(1, 2)}, 0), 1.0, 0.1)
