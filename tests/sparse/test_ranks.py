"""Growth, masks and gradient traffic over 2 and 3 gloo workers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from raygp.sparse import Masks, average_buffers, reduce_gradient_sum, verify_masks
from tests.sparse.helpers import OPTIMIZERS, conv_net, gradient_of, random_masks
from tests.sparse.ranks import EXAMPLES, STEPS, Growth, Report, grow_real_numbers, grow_whole_numbers, run_ranks

DENSE_REST = 4 + 4 + 4 + 4  # Parameters without a mask: the biases, and the norm's scale and shift.
CONNECTIONS = 216


@pytest.fixture(scope="module", params=[2, 3], ids=["2 ranks", "3 ranks"])
def reports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    return run_ranks(request.param, tmp_path_factory.mktemp("ranks"))


def test_ranks_and_world_size_are_those_of_the_group(reports: list[Report]) -> None:
    assert [(report.rank, report.world_size) for report in reports] == [(i, len(reports)) for i in range(len(reports))]


def test_growth_over_split_data_gives_the_masks_of_one_worker(reports: list[Report]) -> None:
    alone = grow_whole_numbers(0, 1)
    assert alone.examples == EXAMPLES and min(alone.grown.values()) > 0 and alone.sent == 0
    for report in reports:
        growth = report.whole_numbers
        assert (growth.digest, growth.grown, growth.examples) == (alone.digest, alone.grown, EXAMPLES)
        assert all(torch.equal(growth.sums[name], alone.sums[name]) for name in alone.sums)
        assert all(torch.equal(mine, its) for mine, its in zip(growth.weights, alone.weights, strict=True))
        assert growth.sent == 4 * CONNECTIONS + 8


def test_growth_over_real_gradients_gives_the_masks_of_one_worker(reports: list[Report]) -> None:
    alone = grow_real_numbers(0, 1)
    first: Growth = reports[0].real_numbers
    for report in reports:
        growth = report.real_numbers
        assert (growth.digest, growth.grown, growth.examples) == (alone.digest, alone.grown, EXAMPLES)
        for mine, its, same in zip(growth.weights, alone.weights, first.weights, strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-12, atol=1e-14)
            assert torch.equal(mine, same)  # Bit for bit between ranks.


def test_equal_masks_pass(reports: list[Report]) -> None:
    assert all(report.verified_bytes == 2 * report.mask_bytes > 0 for report in reports)


def test_a_disagreement_is_raised_on_every_rank_with_layer_and_count(reports: list[Report]) -> None:
    for report in reports:
        assert report.disagreements == {
            "one layer": "masks differ between workers: 4.weight in 3 connections",
            "one connection": "masks differ between workers: 4.weight in 1 connection",
        }


def test_dormant_connections_stay_exactly_zero_under_packed_traffic(reports: list[Report]) -> None:
    for report in reports:
        assert len(reports) > 2 or {f"{name} packed" for name in OPTIMIZERS} <= report.training.keys()
        for name, training in report.training.items():
            assert training.not_zero == [], name


@pytest.mark.parametrize("case", ["sgd", "adam", "channels_last"])
def test_packed_traffic_trains_the_network_that_plain_traffic_does(reports: list[Report], case: str) -> None:
    for report in reports:
        packed, plain = report.training[f"{case} packed"].state, report.training[f"{case} plain"].state
        assert packed.keys() == plain.keys()
        start = {name: tensor for name, tensor in _start().state_dict().items() if tensor.is_floating_point()}
        for name in start:
            torch.testing.assert_close(packed[name], plain[name], rtol=0, atol=1e-6)
            # The norm takes out what the bias before it adds, so that bias has next to no gradient.
            assert name == "0.bias" or not torch.equal(packed[name], start[name])


def _start() -> nn.Module:
    torch.manual_seed(0)
    return conv_net()


def test_channels_last_trains_like_the_contiguous_layout(reports: list[Report]) -> None:
    last, contiguous = (reports[0].training[f"{case} packed"].state for case in ("channels_last", "sgd"))
    for name, tensor in contiguous.items():
        torch.testing.assert_close(last[name], tensor, rtol=0, atol=1e-4)


def test_all_ranks_hold_the_same_network_bit_for_bit(reports: list[Report]) -> None:
    for name, training in reports[0].training.items():
        for other in reports[1:]:
            for key, tensor in training.state.items():
                assert torch.equal(tensor, other.training[name].state[key]), (name, key)


def test_packed_traffic_sends_active_connections_and_the_dense_rest(reports: list[Report]) -> None:
    for report in reports:
        for training in (training for name, training in report.training.items() if name.endswith("packed")):
            start, grown, pruned = training.active_by_step[0], training.active_by_step[STEPS], round(0.25 * CONNECTIONS)
            assert training.active_by_step == [start] * STEPS + [grown] * STEPS + [pruned] * STEPS
            assert pruned < start < grown < CONNECTIONS
            assert training.sent_by_step == [4 * (active + DENSE_REST) for active in training.active_by_step]
        assert set(report.training["density 0.0"].sent_by_step) == {4 * DENSE_REST}
        assert set(report.training["density 1.0"].sent_by_step) == {4 * (CONNECTIONS + DENSE_REST)}
        assert set(report.training["asleep"].sent_by_step) == {0}


@pytest.mark.parametrize("case", ["all used", "one unused", "left out at random"])
def test_parameters_without_a_gradient_are_found_and_workers_stay_alike(case: str, reports: list[Report]) -> None:
    second = {"second.weight", "second.bias"}
    for report in reports:
        assert report.unused[case] == (set() if case == "all used" else second)
        assert report.training[case].not_zero == []
        for name, tensor in report.training[case].state.items():
            assert torch.equal(tensor, reports[0].training[case].state[name]), name


def test_plain_traffic_sends_everything(reports: list[Report]) -> None:
    for case in ("sgd plain", "adam plain", "channels_last plain"):
        assert set(reports[0].training[case].sent_by_step) == {4 * (CONNECTIONS + DENSE_REST)}


def test_norm_statistics_are_averaged_and_counters_are_not(reports: list[Report]) -> None:
    # Buffer i of rank r holds 10 * position + i + r; the mean of r is 0.5 or 1.
    mean = (len(reports) - 1) / 2
    for report in reports:
        assert {name: buffer.tolist() for name, buffer in report.buffers.items()} == {
            "0.running_mean": [mean, 10 + mean, 20 + mean],
            "0.running_var": [1 + mean, 11 + mean, 21 + mean],
            "0.num_batches_tracked": 2 + report.rank,
            "1.running_mean": [3 + mean, 13 + mean],
            "1.running_var": [4 + mean, 14 + mean],
            "1.num_batches_tracked": 5 + report.rank,
        }
        assert report.buffer_bytes == 4 * (3 + 3 + 2 + 2)


def test_alone_there_is_nothing_to_reduce() -> None:
    model = conv_net()
    masks: Masks = random_masks(model, 0.5)
    gradient = gradient_of(masks, 0)
    assert reduce_gradient_sum(gradient) == (gradient, 0)
    assert verify_masks(masks) == average_buffers(model) == 0
