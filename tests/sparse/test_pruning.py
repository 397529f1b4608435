from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from raygp.sparse import Distribution, Masks, cubic_density, layer_budgets, prune, select_pruned
from raygp.sparse.budgets import share_out
from tests.sparse.helpers import OPTIMIZERS, Recurrent, conv_net, normal, one_row, random_masks, rows

Limits = list[tuple[int, int]]


def reference_shares(total: int, wishes: list[int], limits: Limits) -> list[int]:
    """Clipped proportional shares in exact arithmetic; the rest by largest remainder, ties to the lower index."""
    total = min(max(total, sum(low for low, _ in limits)), sum(high for _, high in limits))

    def clipped(scale: Fraction) -> list[Fraction]:
        return [min(max(w * scale, Fraction(lo)), Fraction(hi)) for w, (lo, hi) in zip(wishes, limits, strict=True)]

    corners = sorted({Fraction(e, w) for w, limit in zip(wishes, limits, strict=True) for e in limit} | {Fraction(0)})
    scale = corners[-1]
    for left, right in pairwise(corners):
        at_left, at_right = sum(clipped(left)), sum(clipped(right))
        if at_left <= total <= at_right:  # The sum is linear between two corners.
            flat = at_left == at_right
            scale = left if flat else left + (right - left) * (total - at_left) / (at_right - at_left)
            break
    exact = clipped(scale)
    counts = [math.floor(share) for share in exact]
    while sum(counts) < total:
        free = [i for i in range(len(counts)) if counts[i] < limits[i][1]]
        best = max(free, key=lambda i: (exact[i] - counts[i], -i))
        counts[best] += 1
    return counts


def reference_smallest(scores: np.ndarray, eligible: np.ndarray, count: int) -> np.ndarray:
    order = [i for i in np.argsort(scores, axis=None, kind="stable") if eligible.flat[i]]
    chosen = np.zeros(scores.shape, dtype=bool)
    chosen.flat[order[: max(0, count)]] = True
    return chosen


def whole_weights(masks: Masks, rng: np.random.Generator) -> None:
    """Weights from -3 to 3, zeros among them, so that magnitudes tie; dormant ones zero."""
    for name, mask in masks.bits.items():
        values = torch.from_numpy(rng.integers(-3, 4, tuple(mask.shape)).astype(np.float32))
        masks.parameter(name).data.copy_(values * mask)


def snapshot(masks: Masks) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(magnitudes, masks) by layer."""
    return (
        [masks.weight(layer).abs().numpy().copy() for layer in masks.layers],
        [masks.mask(layer).numpy().copy() for layer in masks.layers],
    )


# weights (0: dormant), density, removed
TABLE = [
    ([4, -1, 2, 3], 0.5, [0, 1, 1, 0]),
    ([1, 1, -1, 1], 0.5, [1, 1, 0, 0]),  # Ties: the lower index goes.
    ([3, 0, 2, 0], 0.25, [0, 0, 1, 0]),  # Dormant ones do not count as small.
    ([3, 0, 2, 0], 0.5, [0, 0, 0, 0]),
    ([3, 0, 2, 0], 0.75, [0, 0, 0, 0]),  # Below its budget already.
    ([3, 1, 2, 4], 0.0, [1, 1, 1, 1]),
    ([3, 1, 2, 4], 1.0, [0, 0, 0, 0]),
]


@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
@pytest.mark.parametrize(("weights", "density", "removed"), TABLE)
def test_pruning_removes_the_smallest_weights(
    weights: list[float], density: float, removed: list[int], distribution: Distribution
) -> None:
    model, masks = one_row(weights)
    assert select_pruned(masks, density, distribution)["weight"].int().tolist() == [removed]
    assert prune(masks, density, distribution) == {"weight": sum(removed)}
    left = [0 if gone else weight for weight, gone in zip(weights, removed, strict=True)]
    assert model.weight.tolist() == [left]
    assert masks.bits["weight"].tolist() == [[weight != 0 for weight in left]]


def test_an_active_connection_at_zero_is_the_first_to_go() -> None:
    _, masks = one_row([0, 0, 2, 1], active=[0, 1, 1, 1])
    assert select_pruned(masks, 0.5, "uniform")["weight"].int().tolist() == [[0, 1, 0, 0]]


# total, wishes, (low, high) by layer, shares
SHARES = [
    (10, [1, 1], [(0, 10), (0, 10)], [5, 5]),
    (9, [1, 1], [(0, 10), (0, 10)], [5, 4]),  # What rounding leaves over: the lower index.
    (9, [1, 2], [(0, 10), (0, 10)], [3, 6]),
    (20, [1, 4], [(0, 10), (0, 12)], [8, 12]),  # 4 and 16; the 4 above the limit go to the first.
    (20, [9, 1, 1], [(0, 8), (0, 20), (0, 20)], [8, 6, 6]),
    (10, [1, 1], [(8, 10), (0, 10)], [8, 2]),  # A lower bound takes from the other.
    (3, [1, 1], [(4, 10), (4, 10)], [4, 4]),  # Bounds that do not admit the total win.
    (30, [1, 1], [(0, 10), (0, 10)], [10, 10]),
    (0, [1, 1], [(0, 10), (0, 10)], [0, 0]),
    (4, [3, 5], [(0, 3), (0, 5)], [2, 2]),  # 1.5 and 2.5: equal remainders, the lower index.
]


@pytest.mark.parametrize(("total", "wishes", "limits", "shares"), SHARES)
def test_a_budget_is_shared_in_proportion_within_the_limits(
    total: int, wishes: list[float], limits: Limits, shares: list[int]
) -> None:
    assert share_out(total, wishes, limits) == shares


def test_shares_equal_exact_arithmetic() -> None:
    rng = np.random.default_rng(2)
    for _ in range(400):
        n = int(rng.integers(1, 7))
        sizes = [int(s) for s in rng.integers(1, 60, n)]
        wishes = sizes if rng.random() < 0.5 else [int(w) for w in rng.integers(1, 40, n)]
        limits = []
        for size in sizes:
            low = int(rng.integers(0, size + 1)) if rng.random() < 0.3 else 0
            limits.append((low, int(rng.integers(low, size + 1)) if rng.random() < 0.3 else size))
        total = int(rng.integers(0, sum(sizes) + 1))
        assert share_out(total, wishes, limits) == reference_shares(total, wishes, limits), (total, wishes, limits)


def test_erk_favours_small_layers_and_gives_back_what_full_ones_cannot_take() -> None:
    # Dimensions sum to 2+2=4, 20+20=40 and 10+30=40: at a total of round(.25 * 704) = 176 the first layer's share of
    # 8.4 is cut to its size 4; of the other 172 both get the half.
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(20, 20), nn.Linear(10, 30))
    assert layer_budgets(Masks(model), 0.25, "erk") == {"0.weight": 4, "1.weight": 86, "2.weight": 86}
    # Uniform: a quarter of 4, of 400 and of 300.
    assert layer_budgets(Masks(model), 0.25, "uniform") == {"0.weight": 1, "1.weight": 100, "2.weight": 75}


def test_erk_counts_the_kernel_of_a_convolution() -> None:
    # 8+4+3+3 = 18 for the convolution (288), 6+6 = 12 for the Linear (36, full at that scale): 162 - 36 = 126.
    model = nn.ModuleList([nn.Conv2d(4, 8, 3), nn.Linear(6, 6)])
    assert layer_budgets(Masks(model), 0.5, "erk") == {"0.weight": 126, "1.weight": 36}
    # round(.1 * 324) = 32: 32 * 18 / 30 = 19.2 and 12.8.
    assert layer_budgets(Masks(model), 0.1, "erk") == {"0.weight": 19, "1.weight": 13}


MODELS = {"conv": conv_net, "recurrent": Recurrent, "rows": lambda: rows(1, 3, 13, 50)}


@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("distribution", ["uniform", "erk"])
def test_pruning_by_layer_equals_the_numpy_reference(distribution: Distribution, model_name: str) -> None:
    rng = np.random.default_rng(3)
    for density in (0.0, 0.03, 0.1, 0.25, 1 / 3, 0.5, 0.77, 0.95, 1.0):
        masks = Masks(MODELS[model_name]())
        whole_weights(masks, rng)
        magnitudes, bits = snapshot(masks)
        sizes = [mask.size for mask in bits]
        wishes = sizes if distribution == "uniform" else [sum(mask.shape) for mask in bits]
        budgets = reference_shares(round(density * sum(sizes)), wishes, [(0, size) for size in sizes])
        counts = prune(masks, density, distribution)
        assert masks.active == round(density * masks.total)
        for layer, magnitude, mask, budget in zip(masks.layers, magnitudes, bits, budgets, strict=True):
            removed = reference_smallest(magnitude, mask, mask.size - budget)
            assert np.array_equal(masks.mask(layer).numpy(), mask & ~removed)
            assert counts[layer.name] == removed.sum()
            assert np.array_equal(masks.weight(layer).abs().numpy(), np.where(removed, 0, magnitude))


def test_global_pruning_equals_the_numpy_reference() -> None:
    rng = np.random.default_rng(4)
    for trial in range(60):
        masks = random_masks(rows(7, 12, 30), 0.8, trial)
        whole_weights(masks, rng)
        magnitudes, bits = snapshot(masks)
        low = (0.0, 0.3, 0.5)[trial % 3]
        density = float(rng.uniform(0.2, 1.0))
        scores, eligible = [], []
        for i, (magnitude, mask) in enumerate(zip(magnitudes, bits, strict=True)):
            # Whole numbers: the sum of squares is exact, so that root and quotient round alike here and there.
            rms = np.sqrt(np.float32(np.square(magnitude).sum() / np.float32(max(1, mask.sum()))))
            scores.append(magnitude.ravel() / max(rms, np.float32(1e-12)))
            keep = math.ceil(Fraction(str(low)) * mask.size) if i == 1 else 0
            kept = reference_smallest(-magnitude, mask, keep)
            eligible.append((mask & ~kept).ravel())
        surplus = sum(int(mask.sum()) for mask in bits) - round(density * 49)
        removed = reference_smallest(np.concatenate(scores), np.concatenate(eligible), surplus)
        prune(masks, density, "global", bounds={"1.weight": (low, 1.0)})
        left = np.concatenate([mask.ravel() for mask in bits]) & ~removed
        assert np.array_equal(np.concatenate([masks.mask(layer).numpy().ravel() for layer in masks.layers]), left)
        assert masks.active == left.sum()


def test_global_pruning_compares_weights_relative_to_their_layer() -> None:
    model = rows(4, 4)
    model[0].weight.data = torch.tensor([[1.0, 2, 3, 4]])
    model[1].weight.data = torch.tensor([[100.0, 200, 300, 400]])
    masks = Masks(model)
    prune(masks, 0.5, "global")
    assert masks.bits["0.weight"].tolist() == masks.bits["1.weight"].tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
def test_the_density_is_exact_over_a_descent_from_uneven_layers(distribution: Distribution) -> None:
    for seed in range(6):
        model = Recurrent() if seed % 2 else conv_net()
        masks = random_masks(model, 0.7, seed)
        # The last layer starts almost empty: below its budget for a while.
        last = masks.layers[-1]
        masks.update(last, off=normal(*masks.mask(last).shape, seed=seed) < 1.0)
        masks.apply()
        while masks.active > 3:
            density = masks.active * 0.8 / masks.total
            before = {layer.name: masks.mask(layer).clone() for layer in masks.layers}
            magnitudes, bits = snapshot(masks)
            counts = prune(masks, density, distribution)
            assert masks.active == round(density * masks.total)
            for layer, magnitude, mask in zip(masks.layers, magnitudes, bits, strict=True):
                gone = before[layer.name] & ~masks.mask(layer)
                assert np.array_equal(gone.numpy(), reference_smallest(magnitude, mask, counts[layer.name]))


def test_a_layer_below_its_budget_loses_nothing_and_leaves_its_share_to_the_others() -> None:
    # Half of 30 is 5 for each. The first has 2, so the others share the 3 it leaves: 10 + 10 lose 7 instead of 10.
    model = rows(10, 10, 10)
    for module in model:
        module.weight.data = torch.arange(1.0, 11).view(1, 10)
    masks = Masks(model)
    masks.set({"0.weight": torch.arange(10).view(1, 10) >= 8})
    masks.apply()
    assert prune(masks, 0.5, "uniform") == {"0.weight": 0, "1.weight": 3, "2.weight": 4}
    assert masks.active == 15
    assert prune(masks, 0.5, "uniform") == prune(masks, 0.9, "uniform") == {n: 0 for n in masks.bits}


@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
@pytest.mark.parametrize(("low", "kept"), [(0.5, 25), (0.3, 15), (0.07, 4), (1.0, 50), (0.0, 0)])
def test_a_lower_bound_holds_and_the_density_is_still_exact(distribution: Distribution, low: float, kept: int) -> None:
    model = rows(50, 200)
    model[0].weight.data = torch.arange(1.0, 51).view(1, 50) * 1e-6
    masks = Masks(model)
    bounds: Mapping[str, tuple[float, float]] = {"0.weight": (low, 1.0)}
    prune(masks, 0.2, distribution, bounds=bounds)
    left = masks.bits["0.weight"].sum()
    assert left >= kept and masks.active == 50
    assert bool(masks.bits["0.weight"][0, 50 - int(left) :].all())
    prune(masks, low * 0.2, distribution, bounds=bounds)  # No room below the bound but in the other layer.
    assert masks.bits["0.weight"].sum() >= kept
    assert masks.active == max(round(low * 0.2 * 250), kept)


@pytest.mark.parametrize("percent", range(1, 101, 4))
def test_a_bound_is_a_whole_number_of_connections_where_it_says_so(percent: int) -> None:
    masks = Masks(rows(100, 100))
    bounds = {"0.weight": (percent / 100, percent / 100)}
    assert layer_budgets(masks, 0.5, "uniform", bounds) == {"0.weight": percent, "1.weight": 100 - percent}
    prune(masks, 0.01, "global", bounds={"0.weight": (percent / 100, 1.0)})
    assert int(masks.bits["0.weight"].sum()) >= percent
    assert masks.active == max(2, percent)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruning_clears_the_state_of_what_it_removes_only(name: str) -> None:
    model = conv_net()
    masks = Masks(model)
    optimizer = OPTIMIZERS[name](model)
    model(normal(4, 2, 5, 5)).square().sum().backward()
    optimizer.step()
    old = {p: {k: v.clone() for k, v in optimizer.state[p].items() if v is not None} for p in model.parameters()}
    prune(masks, 0.3, "uniform", optimizer)
    for n, parameter in model.named_parameters():
        for key, before in old[parameter].items():
            masked = n in masks.bits and before.shape == parameter.shape
            expected = before * masks.bits[n] if masked else before
            assert torch.equal(optimizer.state[parameter][key], expected)


# Density at the start, at the end, part done, density there.
@pytest.mark.parametrize(
    ("start", "end", "progress", "density"),
    [
        (1.0, 0.2, 0.0, 1.0),
        (1.0, 0.2, 0.5, 0.3),  # 0.2 + 0.8 / 8
        (1.0, 0.2, 1.0, 0.2),
        (1.0, 0.2, -1.0, 1.0),
        (1.0, 0.2, 2.0, 0.2),
        (0.5, 0.5, 0.3, 0.5),
    ],
)
def test_gradual_pruning_is_fast_at_first(start: float, end: float, progress: float, density: float) -> None:
    assert cubic_density(start, end, progress) == pytest.approx(density)
