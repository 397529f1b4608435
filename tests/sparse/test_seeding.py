from __future__ import annotations

import pytest
import torch
from torch import nn

from raygp.sparse import Masks, layer_budgets, seed_sparse
from tests.sparse.helpers import Recurrent, conv_net, nonzero_dormant


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("distribution", ["uniform", "erk"])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.1, 0.333, 0.9, 1.0])
def test_a_seed_network_has_exactly_the_density_it_was_asked_for(density: float, distribution: str) -> None:
    for model in (conv_net(), Recurrent()):
        masks = Masks(model)
        budgets = layer_budgets(masks, density, "uniform" if distribution == "uniform" else "erk")
        seed_sparse(masks, density, generator(0), distribution)
        assert masks.active == round(density * masks.total)
        assert {layer.name: int(masks.mask(layer).sum()) for layer in masks.layers} == budgets
        assert nonzero_dormant(masks) == []


def test_a_lower_bound_holds_in_the_seed_network() -> None:
    masks = Masks(conv_net())
    seed_sparse(masks, 0.25, generator(0), bounds={"4.weight": (0.3, 1.0)})
    assert masks.active == 54 and int(masks.bits["4.weight"].sum()) >= 44


def test_the_generator_alone_decides() -> None:
    digests = []
    for seed, noise in ((1, 10), (1, 11), (2, 10)):
        torch.manual_seed(noise)  # The global generator draws the weights; it has no say in the masks.
        masks = Masks(conv_net())
        seed_sparse(masks, 0.3, generator(seed))
        digests.append(masks.digest())
    assert digests[0] == digests[1] != digests[2]


def test_survivors_are_scaled_up_by_the_root_of_the_density() -> None:
    model = nn.Linear(100, 4, bias=False)
    before = model.weight.detach().clone()
    masks = Masks(model)
    seed_sparse(masks, 0.25, generator(0))
    assert torch.equal(model.weight, before * 2 * masks.bits["weight"])  # 1 / sqrt(0.25)


def test_the_variance_of_the_outputs_stays_where_it_was() -> None:
    torch.manual_seed(1)  # Not the generator's seed: the same stream would choose the largest weights.
    model = nn.Linear(1000, 500, bias=False)
    inputs = torch.randn(200, 1000)
    dense = model(inputs).var().item()
    seed_sparse(Masks(model), 0.1, generator(0))
    assert model(inputs).var().item() == pytest.approx(dense, rel=0.03)


def test_biases_and_norms_are_left_alone() -> None:
    model = conv_net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    masks = Masks(model)
    seed_sparse(masks, 0.2, generator(0))
    for name, tensor in model.state_dict().items():
        assert name in masks.bits or torch.equal(tensor, before[name])
