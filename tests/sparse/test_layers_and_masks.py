from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from raygp.sparse import Masks, dense_by_kind, grow, prunable_layers, prune, trace_forward
from tests.sparse.helpers import Recurrent, conv_net, gradient_of, nonzero_dormant, normal, random_masks


def test_weights_are_prunable_and_biases_and_norms_are_not() -> None:
    model = nn.Sequential(
        nn.Embedding(3, 4), nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ConvTranspose2d(2, 3, 3), nn.LayerNorm(4)
    )
    assert [layer.name for layer in prunable_layers(model)] == ["1.weight", "3.weight"]
    assert [layer.name for layer in prunable_layers(nn.Linear(2, 2))] == ["weight"]


def test_recurrent_layers_fall_into_their_gates() -> None:
    layers = prunable_layers(Recurrent())
    lstm = [f"lstm.weight_{kind}_l0[{gate}]" for kind in ("ih", "hh") for gate in ("input", "forget", "cell", "output")]
    gru = [f"gru.weight_{kind}_l0[{gate}]" for kind in ("ih", "hh") for gate in ("reset", "update", "new")]
    assert [layer.name for layer in layers] == [*lstm, *gru, "out.weight"]
    assert [(layer.start, layer.stop) for layer in layers[:5]] == [(0, 4), (4, 8), (8, 12), (12, 16), (0, 4)]
    assert [(layer.start, layer.stop) for layer in layers[8:12]] == [(0, 5), (5, 10), (10, 15), (0, 5)]


def test_projections_and_directions_have_their_layers() -> None:
    names = [layer.name for layer in prunable_layers(nn.LSTM(2, 4, proj_size=3))]
    assert len(names) == 9 and names[-1] == "weight_hr_l0"
    both = [layer.name for layer in prunable_layers(nn.RNN(2, 3, bidirectional=True))]
    assert both == [f"weight_{kind}_l0{way}[hidden]" for way in ("", "_reverse") for kind in ("ih", "hh")]


def test_attention_falls_into_query_key_and_value() -> None:
    layers = prunable_layers(nn.MultiheadAttention(4, 2))
    gates = [f"in_proj_weight[{kind}]" for kind in ("query", "key", "value")]
    assert [(layer.name, layer.start, layer.stop) for layer in layers] == [
        *zip(gates, (0, 4, 8), (4, 8, 12), strict=True), ("out_proj.weight", 0, 4),
    ]  # fmt: skip
    other_width = [layer.name for layer in prunable_layers(nn.MultiheadAttention(4, 2, kdim=6))]
    assert other_width == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]


class Standardised(nn.Conv2d):
    """A convolution that is applied with its weight less the weight's mean."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self._conv_forward(inputs, self.weight - self.weight.mean(), self.bias)


def test_what_stays_dense_goes_by_the_kind_of_layer() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 16, 1),
        nn.Conv2d(16, 16, 3, groups=4), Standardised(16, 16, 3), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip
    trace = trace_forward(model, torch.zeros(1, 3, 9, 9))
    assert dense_by_kind(model, trace) == ("0.weight", "2.weight", "4.weight", "5.weight")
    assert not trace.attends
    encoder = nn.TransformerEncoderLayer(4, 2, 8)
    trace = trace_forward(encoder, torch.zeros(7, 1, 4))
    assert dense_by_kind(encoder, trace) == () and trace.attends


def test_the_first_convolution_is_the_first_that_is_applied() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first, self.never = nn.Conv1d(4, 4, 1), nn.Conv1d(2, 4, 1), nn.Linear(2, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            found: Tensor = self.second(self.first(inputs))
            return found

    model = Backwards().to("meta")
    # What is never applied stays as it is: nothing would say which of its connections are worth keeping.
    trace = trace_forward(model, torch.zeros(1, 2, 3, device="meta"))
    assert dense_by_kind(model, trace) == ("first.weight", "never.weight")


def test_a_shared_weight_counts_once() -> None:
    shared = nn.Linear(3, 3)
    tied = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(3, 3))
    tied[3].weight = shared.weight
    assert [layer.name for layer in prunable_layers(tied)] == ["0.weight"]


def test_parameters_can_be_kept_dense() -> None:
    assert list(Masks(conv_net(), dense=["0.weight"]).bits) == ["4.weight"]
    with pytest.raises(ValueError, match=r"not prunable, so cannot be kept dense: 0\.bias, 9\.weight"):
        Masks(conv_net(), dense=["9.weight", "0.bias", "4.weight"])
    with pytest.raises(ValueError, match="ReLU has no prunable weight"):
        Masks(nn.ReLU())


def test_growth_counts_in_each_gate_by_itself() -> None:
    masks = random_masks(nn.GRU(4, 5), 0.0)
    gradient = gradient_of(masks, 0)
    # All the large gradients are in one gate; each gate still wakes its own quarter of 5 x 4 and of 5 x 5.
    gradient.sums["weight_ih_l0"][5:10] *= 100
    gradient.sums["weight_ih_l0"][gradient.sums["weight_ih_l0"] == 0] = 1
    gradient.sums["weight_hh_l0"][:] = 1
    grown = grow(masks, gradient, alpha=0.25, eta=0.1)
    assert grown == {f"weight_{k}_l0[{g}]": n for k, n in (("ih", 5), ("hh", 6)) for g in ("reset", "update", "new")}
    assert [int(gate.sum()) for gate in masks.bits["weight_ih_l0"].split(5)] == [5, 5, 5]
    assert [int(gate.sum()) for gate in masks.bits["weight_hh_l0"].split(5)] == [6, 6, 6]


def test_pruning_counts_in_each_gate_by_itself() -> None:
    model = nn.LSTM(3, 4)
    model.weight_ih_l0.data = torch.arange(1.0, 49).view(16, 3)  # The first gate has the smallest weights.
    masks = Masks(model)
    removed = prune(masks, 0.25, "uniform")
    assert {n: count for n, count in removed.items() if "_ih_" in n} == {
        f"weight_ih_l0[{gate}]": 9 for gate in ("input", "forget", "cell", "output")
    }
    assert masks.bits["weight_ih_l0"].view(4, 12).int().tolist() == [[0] * 9 + [1] * 3] * 4
    assert masks.densities() == {layer.name: 0.25 for layer in masks.layers}
    assert nonzero_dormant(masks) == []


def test_masks_start_all_active() -> None:
    masks = Masks(conv_net())
    assert (masks.active, masks.total, masks.density) == (216, 216, 1.0)


def test_densities_count_active_connections() -> None:
    masks = Masks(conv_net())
    bits = torch.zeros(4, 36).bool()
    bits[:, :9] = True
    masks.set({"4.weight": bits})
    assert (masks.active, masks.total, masks.density) == (72 + 36, 216, 0.5)
    assert masks.densities() == {"0.weight": 1.0, "4.weight": 0.25}


def test_masks_are_copies_of_what_they_are_set_to() -> None:
    masks = Masks(nn.Linear(2, 2))
    given = torch.ones(2, 2).bool()
    masks.set({"weight": given})
    given.zero_()
    assert masks.active == 4


def test_masks_that_do_not_fit_are_refused_and_nothing_changes() -> None:
    masks = Masks(conv_net())
    before, generation = masks.digest(), masks.generation
    with pytest.raises(ValueError, match=r"^0\.bias is not a prunable parameter"):
        masks.set({"0.weight": torch.zeros(4, 2, 3, 3).bool(), "0.bias": torch.ones(4).bool()})
    with pytest.raises(ValueError, match=r"^4\.weight: mask of shape \(36, 4\), weight of \(4, 36\)$"):
        masks.set({"0.weight": torch.zeros(4, 2, 3, 3).bool(), "4.weight": torch.ones(36, 4).bool()})
    assert (masks.digest(), masks.generation) == (before, generation)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_masked_in_place_and_follow_every_change(memory_format: torch.memory_format) -> None:
    model = conv_net().to(memory_format=memory_format)  # type: ignore[call-overload]
    masks = random_masks(model, 0.5)
    for change in range(3):
        model.zero_grad()
        model(normal(3, 2, 5, 5).contiguous(memory_format=memory_format)).square().sum().backward()
        dense = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        assert all(dense[name][~mask].any() for name, mask in masks.bits.items())
        masks.mask_gradients()
        for name, parameter in model.named_parameters():
            mask = masks.bits.get(name, torch.ones_like(parameter).bool())
            assert torch.equal(parameter.grad, dense[name] * mask)
        if change == 0:
            masks.update(masks.layers[0], on=torch.eye(3).bool().expand(4, 2, 3, 3))
        else:
            masks.set(random_masks(conv_net(), 0.3, change).bits)


def test_parameters_without_a_gradient_are_passed_over() -> None:
    model = conv_net()
    masks = random_masks(model, 0.5)
    masks.mask_gradients()
    model[4](normal(1, 36)).sum().backward()
    masks.mask_gradients()
    assert model[0].weight.grad is None
    assert not model[4].weight.grad[~masks.bits["4.weight"]].any()
