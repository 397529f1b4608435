"""The tensors of a model are found whatever wrapped it when it was saved."""

from __future__ import annotations

import pytest
import torch
import torchvision.models
from torch import Tensor, nn

from raygp.adopt.checkpoint import Checkpoint
from raygp.adopt.matching import load, match, outputs_of
from raygp.errors import InputError


def network(outputs: int = 3, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential()
    model.add_module("body", nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)))
    model.add_module("fc", nn.Linear(5, outputs))
    return model


TRAINED = network(seed=2)
STATE: dict[str, Tensor] = TRAINED.state_dict()


def checkpoint(tensors: dict[str, Tensor]) -> Checkpoint:
    return Checkpoint("w.pth", tensors, ())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: name,
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: name.replace("body.", "body._orig_mod."),
        lambda name: f"model.net.{name}",
    ],
)
def test_wrappers_are_taken_off(wrap: object) -> None:
    assert callable(wrap)
    model = network()
    found = match(checkpoint({wrap(name): tensor for name, tensor in STATE.items()}), model, "fc", "own")
    assert (found.made_new, found.left_over, found.other_shape) == ((), (), ())
    assert load(found, model) == []
    assert all(torch.equal(tensor, STATE[name]) for name, tensor in model.state_dict().items())
    assert outputs_of(checkpoint({wrap(name): tensor for name, tensor in STATE.items()}), model, "fc") == 3


def test_what_did_not_load_is_named() -> None:
    tensors = {f"module.{name}": tensor for name, tensor in STATE.items()} | {"module.aux.weight": torch.ones(2, 2)}
    del tensors["module.body.1.num_batches_tracked"]
    model = network(outputs=7)
    before = model.get_parameter("fc.weight").clone()
    found = match(checkpoint(tensors), model, "fc", "own")
    assert (found.prefix, found.made_new) == ("module.", ("body.1.num_batches_tracked",))
    assert found.left_over == ("module.aux.weight",)
    assert found.other_shape == (
        "fc.weight (3x5 in the file, 7x5 in the model)",
        "fc.bias (3 in the file, 7 in the model)",
    )
    load(found, model)
    assert torch.equal(model.get_parameter("fc.weight"), before)
    assert torch.equal(model.get_parameter("body.0.weight"), STATE["body.0.weight"])


def in_sequence(inner: str, **others: Tensor) -> Checkpoint:
    """The trained network, whose output layer stands under another name."""
    tensors = {f"module.{name.replace('fc.', inner)}": tensor for name, tensor in STATE.items()}
    return checkpoint(tensors | {f"module.{name}": tensor for name, tensor in others.items()})


def test_an_output_layer_inside_a_sequence_of_its_name_is_loaded_and_said() -> None:
    model, given = network(), in_sequence("fc.1.")
    assert outputs_of(given, model, "fc") == 3
    found = match(given, model, "fc", "own")
    assert (found.made_new, found.left_over, found.other_shape) == ((), (), ())
    assert found.notes[0].startswith("the output layer fc is loaded from 'module.fc.1', the one layer there")
    load(found, model)
    assert torch.equal(model.get_parameter("fc.weight"), STATE["fc.weight"])


@pytest.mark.parametrize("other", ["fc.0.weight", "fc.3.weight"])
def test_of_an_output_layer_with_another_layer_nothing_is_loaded(other: str) -> None:
    given = in_sequence("fc.1.", **{other: torch.ones(5)})
    assert outputs_of(given, network(), "fc") is None
    found = match(given, network(), "fc", "own")
    assert set(found.made_new) == {"fc.weight", "fc.bias"} and "module.fc.1.weight" in found.left_over


def test_a_layer_of_another_name_that_could_be_the_output_layer_is_named() -> None:
    found = match(in_sequence("head."), network(), "fc", "own")
    assert set(found.made_new) == {"fc.weight", "fc.bias"}
    assert found.notes[0].startswith(
        "'module.head' in the file has the shape of the output layer: if it is the trained"
    )
    assert "rename module.head.weight and .bias to fc.weight and .bias" in found.notes[0]
    assert match(in_sequence("head."), network(outputs=4), "fc", "own").notes == ()


def test_half_precision_is_said() -> None:
    model = network()
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in STATE.items()}
    converted = load(match(checkpoint(halves), model, "fc", "own"), model)
    assert converted == [name for name, tensor in STATE.items() if tensor.is_floating_point()]
    assert torch.allclose(model.get_parameter("body.0.weight"), STATE["body.0.weight"], atol=1e-3)


def test_most_of_the_model_must_be_there() -> None:
    tensors = {"fc.weight": STATE["fc.weight"], "stem.weight": torch.ones(3)}
    with pytest.raises(InputError) as caught:
        match(checkpoint(tensors), network(), "fc", "own")
    assert str(caught.value) == (
        "w.pth is of another model than the line's task own: 1 of the model's 9 tensors fit, 0% of its weights; not in "
        "the file: body.0.weight, body.0.bias, body.1.weight, body.1.bias, body.1.running_mean and 3 more; in the file "
        "alone: stem.weight. Give the checkpoint of such a model, or make a line for the model that it is of"
    )


def test_a_file_much_of_which_has_no_place_is_of_another_model() -> None:
    block = {f"module.block.{name}": tensor for name, tensor in nn.Linear(5, 2).state_dict().items()}
    tensors = {f"module.{name}": tensor for name, tensor in STATE.items()} | block
    with pytest.raises(InputError) as caught:
        match(checkpoint(tensors), network(), "fc", "own")
    assert str(caught.value).startswith(
        "w.pth is of a larger model than the line's task own: 14% of its values, in 2 of its 11 tensors, have no place "
        "in the model: module.block.weight, module.block.bias. "
    )


@pytest.mark.parametrize(
    "name", ["aux.1.weight", "AuxLogits.fc.weight", "head.weight", "classifier.3.weight", "fc.old", "rpn_head.x"]
)
def test_a_head_left_over_is_no_other_model(name: str) -> None:
    found = match(checkpoint({f"module.{key}": STATE[key] for key in STATE} | {f"module.{name}": torch.ones(40, 9)}),
                  network(), "fc", "own")  # fmt: skip
    assert found.left_over == (f"module.{name}",)


@pytest.mark.parametrize("name", ["blocks.7.mlp.fc2.weight", "layer4.2.conv1.weight", "stem.head.weight", "fc9.weight"])
def test_a_block_left_over_is(name: str) -> None:
    with pytest.raises(InputError, match="of a larger model"):
        match(checkpoint(STATE | {name: torch.ones(40, 9)}), network(), "fc", "own")


def residual(depth: int, outputs: int = 10, without: str = "-") -> dict[str, Tensor]:
    """The tensors of a ResNet of this depth, without values."""
    with torch.device("meta"):
        state = getattr(torchvision.models, f"resnet{depth}")(num_classes=outputs).state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(without)}


def chain(blocks: int, style: str) -> nn.Module:
    """Blocks that are small beside what stands in front of them."""
    model = nn.Module()
    model.add_module("stem", nn.Linear(50, 20))
    for number in range(blocks):
        model.add_module(style.format(number), nn.Linear(4, 4))
    model.add_module("fc", nn.Linear(4, 3))
    return model


@pytest.mark.parametrize(
    ("file", "model", "reason"),
    [
        (18, 34, "'layer1' ends with number 1 in the file, and with 2 in the line's model"),
        (34, 18, "'layer1' ends with number 1 in the line's model, and with 2 in the file"),
        (50, 101, "'layer3' ends with number 5 in the file, and with 22 in the line's model"),
        (101, 50, "'layer3' ends with number 5 in the line's model, and with 22 in the file"),
    ],
)
def test_another_depth_is_refused_by_name(file: int, model: int, reason: str) -> None:
    with torch.device("meta"):
        built = getattr(torchvision.models, f"resnet{model}")(num_classes=10)
    for tensors in (residual(file), residual(file, 1000), residual(file, without="fc.")):
        with pytest.raises(InputError, match=f"w.pth is of a model of another depth .*: {reason}"):
            match(checkpoint({f"module.{name}": tensor for name, tensor in tensors.items()}), built, "fc", "own")


@pytest.mark.parametrize("style", ["block_{}", "encoder_layer_{}"])
@pytest.mark.parametrize(("file", "model"), [(2, 3), (3, 2)])
def test_one_small_block_more_or_less_is_another_depth(file: int, model: int, style: str) -> None:
    with pytest.raises(InputError, match=f"'{style[:-3]}' ends with number 1 in the"):
        match(checkpoint(chain(file, style).state_dict()), chain(model, style), "fc", "own")


@pytest.mark.parametrize("without", ["fc.", "layer1.0.bn2", "conv1."])
def test_a_part_of_a_checkpoint_still_loads(without: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.resnet18(num_classes=7)
    found = match(checkpoint(residual(18, 1000, without)), model, "fc", "resnet18")
    assert all(name.startswith((without, "fc.")) for name in (*found.made_new, *found.other_shape))


def test_of_two_models_none_is_guessed() -> None:
    both = {f"{who}.{name}": tensor for who in ("student", "teacher") for name, tensor in STATE.items()}
    with pytest.raises(InputError, match=r"several models whose names fit: under 'student\.', 'teacher\.'"):
        match(checkpoint(both), network(), "fc", "own")
    average = {f"ema.module.{name}": tensor + 1 for name, tensor in STATE.items() if "batches" not in name}
    for prefix, said in {"": "no prefix", "model.": "'model.'"}.items():
        model = {f"{prefix}{name}": tensor for name, tensor in STATE.items()}
        with pytest.raises(InputError, match=rf"several models whose names fit: under {said}, 'ema\.module\.'"):
            match(checkpoint(model | average), network(), "fc", "own")


def test_a_model_that_is_its_output_layer_alone_loads_or_does_not() -> None:
    torch.manual_seed(3)
    model = nn.Sequential()
    model.add_module("fc", nn.Linear(5, 3))
    assert match(checkpoint({"fc.weight": torch.ones(3, 5), "fc.bias": torch.ones(3)}), model, "fc", "own").tensors
    with pytest.raises(InputError, match="another model"):
        match(checkpoint({"fc.weight": torch.ones(3, 9)}), model, "fc", "own")
    assert outputs_of(checkpoint({"fc.weight": torch.ones(3, 9)}), model, "fc") is None
