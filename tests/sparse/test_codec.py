from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from raygp.sparse import Masks, pack_model, pack_optimizer, seed_sparse, unpack_model, unpack_optimizer
from tests.sparse.helpers import OPTIMIZERS, Recurrent, conv_net, nonzero_dormant, normal, one_row, random_masks, sgd


def channels_last() -> nn.Module:
    return conv_net().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv": (conv_net, (6, 2, 5, 5)),
    "channels_last": (channels_last, (6, 2, 5, 5)),
    "recurrent": (Recurrent, (4, 6, 3)),
}


def train(model: nn.Module, masks: Masks, optimizer: Optimizer, shape: tuple[int, ...], steps: int) -> None:
    for step in range(steps):
        optimizer.zero_grad()
        model(normal(*shape, seed=step)).square().mean().backward()
        masks.mask_gradients()
        optimizer.step()


def state_of(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Everything that training changes, by name."""
    found = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                found[f"{name} {key}"] = value.clone()
    return found


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.dtype == second[name].dtype and torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_model_and_optimizer_come_back_bit_for_bit(optimizer_name: str, model_name: str) -> None:
    build, shape = MODELS[model_name]
    model = build()
    masks = random_masks(model, 0.3)
    optimizer = OPTIMIZERS[optimizer_name](model)
    train(model, masks, optimizer, shape, steps=3)
    tensors = pack_model(model, masks) | pack_optimizer(optimizer, model, masks)
    before = state_of(model, optimizer)

    other = build()  # Other weights, all connections active, other state.
    other_masks = Masks(other)
    other_optimizer = OPTIMIZERS[optimizer_name](other)
    train(other, other_masks, other_optimizer, shape, steps=1)
    unpack_model(tensors, other, other_masks)
    unpack_optimizer(tensors, other_optimizer, other, other_masks)
    assert other_masks.digest() == masks.digest()
    assert_equal(state_of(other, other_optimizer), before)
    assert nonzero_dormant(other_masks, other_optimizer) == []

    # Both go on alike, and what they do leaves the packed copies alone.
    train(model, masks, optimizer, shape, steps=2)
    train(other, other_masks, other_optimizer, shape, steps=2)
    assert_equal(state_of(model, optimizer), state_of(other, other_optimizer))
    unpack_model(tensors, model, masks)
    unpack_optimizer(tensors, optimizer, model, masks)
    assert_equal(state_of(model, optimizer), before)


def test_the_compact_form_by_eye() -> None:
    model, masks = one_row([3, 0, 0, -1, 0, 0, 0, 0, 2])
    model.register_buffer("seen", torch.tensor(7))
    optimizer = sgd(model)
    optimizer.state[model.weight]["momentum_buffer"] = model.weight.detach() * 10
    tensors = pack_model(model, masks) | pack_optimizer(optimizer, model, masks)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "value/weight": [3, -1, 2],
        "mask/weight": [1 + 8, 1],
        "dense/seen": 7,
        "state/weight/momentum_buffer": [30, -10, 20],
    }


def test_state_is_packed_where_there_is_a_mask_and_dense_where_there_is_none() -> None:
    model = conv_net()
    masks = Masks(model, dense=["0.weight"])
    masks.set({"4.weight": torch.eye(4, 36).bool()})
    masks.apply()
    optimizer = OPTIMIZERS["adam"](model)
    train(model, masks, optimizer, (6, 2, 5, 5), steps=2)
    tensors = pack_optimizer(optimizer, model, masks)
    shapes = {name.removeprefix("state/"): tuple(tensor.shape) for name, tensor in tensors.items()}
    expected = {"0.weight": (4, 2, 3, 3), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,), "4.bias": (4,)}
    for name, shape in (expected | {"4.weight": (4,)}).items():
        assert [shapes.pop(f"{name}/{key}") for key in ("step", "exp_avg", "exp_avg_sq")] == [(), shape, shape]
    assert not shapes
    assert tensors["state/4.weight/step"].item() == 2


def test_a_form_without_optimizer_state_gives_a_fresh_optimizer() -> None:
    model = conv_net()
    masks = random_masks(model, 0.5)
    optimizer = sgd(model)
    train(model, masks, optimizer, (6, 2, 5, 5), steps=1)
    unpack_optimizer(pack_model(model, masks), optimizer, model, masks)
    assert not optimizer.state
    assert pack_optimizer(optimizer, model, masks) == {}


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_models_without_dormant_or_without_active_connections_come_back(density: float) -> None:
    model, other = conv_net(), conv_net()
    masks, other_masks = random_masks(model, density), Masks(other)
    unpack_model(pack_model(model, masks), other, other_masks)
    assert other_masks.density == density
    assert_equal(dict(model.state_dict()), dict(other.state_dict()))


@pytest.mark.parametrize("value", [1e-30, float("nan")])
def test_a_dormant_connection_that_is_not_zero_is_not_lost_silently(value: float) -> None:
    model, masks = one_row([3, 0, 0, 1])
    model.weight.data[0, 1:3] = value
    with pytest.raises(ValueError, match=r"^weight: 2 dormant connections are not zero$"):
        pack_model(model, masks)


def without(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != name}


WRONG: dict[str, tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "a missing mask": (lambda t: without(t, "mask/4.weight"), r"do not fit the model: mask/4\.weight$"),
    "a missing bias": (lambda t: without(t, "dense/4.bias"), r"do not fit the model: dense/4\.bias$"),
    "a strange name": (lambda t: t | {"dense/9.bias": torch.ones(1)}, r"do not fit the model: dense/9\.bias$"),
    "another prunable set": (
        lambda t: without(without(t, "mask/4.weight"), "value/4.weight") | {"dense/4.weight": torch.ones(4, 36)},
        r"do not fit the model: dense/4\.weight, mask/4\.weight, value/4\.weight$",
    ),
    "a wrong bias shape": (
        lambda t: t | {"dense/4.bias": torch.ones(5)},
        r"^4\.bias: stored as \(5,\), the model has \(4,\)$",
    ),
    "too few values": (
        lambda t: t | {"value/4.weight": t["value/4.weight"][1:]},
        r"^4\.weight: \d+ values for \d+ active connections$",
    ),
    "a mask of another size": (
        lambda t: t | {"mask/4.weight": torch.zeros(99, dtype=torch.uint8)},
        r"^4\.weight: 99 bytes of mask cannot hold 144 connections$",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_tensors_of_another_model_are_refused_by_name_and_nothing_changes(case: str) -> None:
    source = conv_net()
    spoil, message = WRONG[case]
    tensors = spoil(pack_model(source, random_masks(source, 0.3)))
    model = conv_net()
    masks = random_masks(model, 0.6, seed=1)
    before = ({name: tensor.clone() for name, tensor in model.state_dict().items()}, masks.digest())
    with pytest.raises(ValueError, match=message):
        unpack_model(tensors, model, masks)
    assert masks.digest() == before[1]
    assert_equal(dict(model.state_dict()), before[0])


def test_a_shared_module_is_stored_and_comes_back() -> None:
    def build() -> nn.Module:
        shared = nn.Linear(4, 4)
        return nn.Sequential(shared, nn.ReLU(), shared)

    model, other = build(), build()
    masks, other_masks = random_masks(model, 0.5), Masks(other)
    tensors = pack_model(model, masks)
    unpack_model(tensors, other, other_masks)
    assert_equal(dict(model.state_dict()), dict(other.state_dict()))
    assert other_masks.digest() == masks.digest()


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5])
def test_the_size_follows_the_active_connections(density: float) -> None:
    model = nn.Sequential(nn.Linear(784, 300), nn.BatchNorm1d(300), nn.Linear(300, 100), nn.Linear(100, 10))
    masks = Masks(model)
    seed_sparse(masks, density, torch.Generator().manual_seed(0))
    tensors = pack_model(model, masks)
    rest = sum(t.numel() * t.element_size() for name, t in model.state_dict().items() if name not in masks.bits)
    floor = masks.active * 4 + masks.total / 8 + rest
    assert floor <= sum(t.numel() * t.element_size() for t in tensors.values()) <= 1.001 * floor
    assert len(save(tensors)) <= 1.1 * floor  # The file, its header included.
