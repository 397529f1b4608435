from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from raygp.sparse import Masks, count_uses, growth_flops, training_flops
from tests.sparse.helpers import conv_net

# model, input, uses of each connection of one parameter by hand
USES: dict[str, tuple[nn.Module, Tensor, dict[str, float]]] = {
    "linear": (nn.Linear(3, 5), torch.zeros(1, 3), {"weight": 1}),
    "linear at every time step": (nn.Linear(3, 5), torch.zeros(1, 7, 3), {"weight": 7}),
    # 3 x 3 over 8 x 8 without padding: 6 x 6 positions.
    "convolution": (nn.Conv2d(2, 4, 3), torch.zeros(1, 2, 8, 8), {"weight": 36}),
    # (8 + 2 - 3) // 2 + 1 = 4 a side.
    "stride and padding": (nn.Conv2d(2, 4, 3, stride=2, padding=1), torch.zeros(1, 2, 8, 8), {"weight": 16}),
    # (8 - 3) // 3 + 1 = 2 by (11 - 2) // 1 + 1 = 10.
    "uneven kernel": (nn.Conv2d(2, 4, (3, 2), stride=(3, 1)), torch.zeros(1, 2, 8, 11), {"weight": 20}),
    # A group's connections are used once a position like any other: 6 x 6.
    "groups": (nn.Conv2d(4, 8, 3, groups=2), torch.zeros(1, 4, 8, 8), {"weight": 36}),
    # (9 - 2 * (3 - 1) - 1) + 1 = 5.
    "dilated 1-d convolution": (nn.Conv1d(2, 4, 3, dilation=2), torch.zeros(1, 2, 9), {"weight": 5}),
    # Each of 4 x 4 inputs meets each connection once, whatever the output's size.
    "transposed": (nn.ConvTranspose2d(2, 3, 3, stride=2), torch.zeros(1, 2, 4, 4), {"weight": 16}),
    # 9 steps, input and recurrent weights alike.
    "lstm": (nn.LSTM(3, 4), torch.zeros(9, 1, 3), {"weight_ih_l0": 9, "weight_hh_l0": 9}),
    "gru of two layers": (
        nn.GRU(3, 4, num_layers=2, batch_first=True),
        torch.zeros(1, 9, 3),
        {"weight_ih_l0": 9, "weight_hh_l0": 9, "weight_ih_l1": 9, "weight_hh_l1": 9},
    ),
    # 7 tokens: each is a query, a key and a value.
    "transformer layer": (
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        torch.zeros(1, 7, 4),
        {
            "self_attn.in_proj_weight": 7, "self_attn.out_proj.weight": 7, "linear1.weight": 7, "linear2.weight": 7,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", USES)
def test_uses_of_a_connection_in_one_forward_pass(case: str) -> None:
    model, example, uses = USES[case]
    assert count_uses(model, example).uses == uses


def test_dense_flops_are_two_for_each_use_of_each_connection() -> None:
    count = count_uses(conv_net(), torch.zeros(1, 2, 5, 5))
    # 4*2*3*3 = 72 connections at 3 x 3 positions; 36*4 = 144 connections once.
    assert (count.sizes, count.uses) == ({"0.weight": 72, "4.weight": 144}, {"0.weight": 9, "4.weight": 1})
    assert count.dense_forward() == 2 * 72 * 9 + 2 * 144 == 1584
    lstm = count_uses(nn.LSTM(3, 4), torch.zeros(9, 1, 3))
    assert lstm.dense_forward() == 2 * 9 * (4 * 4 * 3 + 4 * 4 * 4) == 2016
    gru = count_uses(nn.GRU(3, 4), torch.zeros(9, 1, 3))
    assert gru.dense_forward() == 2 * 9 * (3 * 4 * 3 + 3 * 4 * 4) == 1512


def test_sparse_flops_count_active_connections_only() -> None:
    model = conv_net()
    masks = Masks(model)
    count = count_uses(model, torch.zeros(1, 2, 5, 5))
    assert count.sparse_forward(masks) == count.dense_forward()
    bits = torch.zeros(4, 2, 3, 3).bool()
    bits[0, 0] = True
    masks.set({"0.weight": bits, "4.weight": torch.eye(4, 36).bool()})
    assert count.sparse_forward(masks) == 2 * 9 * 9 + 2 * 4 == 170
    # What is kept dense counts in full.
    dense_first = Masks(model, dense=["0.weight"])
    dense_first.set({"4.weight": torch.eye(4, 36).bool()})
    assert count.sparse_forward(dense_first) == 2 * 72 * 9 + 2 * 4


class Twice(nn.Module):
    """One module used twice, and a second module that shares its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.tied = nn.Linear(3, 3)
        self.tied.weight = self.first.weight

    def forward(self, inputs: Tensor) -> Tensor:
        once: Tensor = self.first(self.first(inputs))
        return self.tied(once) if inputs.shape[-2] == 5 else once


def test_every_use_of_a_shared_weight_counts() -> None:
    assert count_uses(Twice(), torch.zeros(1, 1, 3)).uses == {"first.weight": 2}
    # Two uses in its own module and one in the other, at 5 positions each.
    assert count_uses(Twice(), torch.zeros(1, 5, 3)).uses == {"first.weight": 15}


def test_an_embedding_that_shares_a_weight_costs_nothing() -> None:
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    model[1].weight = model[0].weight
    assert count_uses(model, torch.zeros(1, 7, dtype=torch.int64)).uses == {"1.weight": 7}


class Attends(nn.Module):
    """Attention of 5 queries over 3 keys of another width."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, kdim=6, vdim=6, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.attention(inputs, torch.zeros(1, 3, 6), value=torch.zeros(1, 3, 6))[0]
        return found


def test_keys_are_used_as_often_as_there_are_keys() -> None:
    uses = count_uses(Attends(), torch.zeros(1, 5, 4)).uses
    assert {name.removeprefix("attention."): count for name, count in uses.items()} == {
        "q_proj_weight": 5, "k_proj_weight": 3, "v_proj_weight": 3, "out_proj.weight": 5,
    }  # fmt: skip


class ByHand(nn.Module):
    """Layers whose weights are applied by a function, as some libraries do it: their modules are never called."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(3, 6, bias=False)
        self.mix = nn.Conv1d(2, 4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        rows = nn.functional.linear(input=inputs, weight=self.qkv.weight)
        return nn.functional.conv1d(rows, self.mix.weight, self.mix.bias)


def test_a_weight_that_a_function_applies_counts() -> None:
    assert count_uses(ByHand(), torch.zeros(1, 2, 3)).uses == {"qkv.weight": 2, "mix.weight": 4}


def test_a_step_of_training_costs_three_forward_passes() -> None:
    assert training_flops(170.0) == 510.0


def test_a_growth_pass_pays_the_weight_gradient_in_full() -> None:
    # Forward and gradient by input follow the active connections, the gradient by weight is dense.
    assert growth_flops(170.0, 1584.0) == 170 + 170 + 1584
    assert growth_flops(1584.0, 1584.0) == training_flops(1584.0)


def test_counting_leaves_modes_and_buffers_as_they_were() -> None:
    model = conv_net().train()
    model[1].eval()  # A frozen norm in a training model.
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    count_uses(model, torch.ones(1, 2, 5, 5))
    assert [module.training for module in model] == [True, False, True, True, True]
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert not any(module._forward_hooks for module in model.modules())
    model.eval()
    count_uses(model, torch.ones(1, 2, 5, 5))
    assert not any(module.training for module in model.modules())
