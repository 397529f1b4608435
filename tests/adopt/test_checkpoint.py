"""Checkpoints as people's trainers write them are read, and what is none, or holds code, is refused."""

from __future__ import annotations

import argparse
import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from raygp.adopt.checkpoint import read_checkpoint
from raygp.adopt.vocabulary import in_order
from raygp.errors import InputError
from raygp.store.documents import sha256_hex


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


STATE: dict[str, Tensor] = network().state_dict()


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


WRITTEN = {
    "the state dict alone": STATE,
    "state_dict": {"epoch": 3, "state_dict": STATE, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    "model": {"model": STATE, "ema": {"decay": 0.9}, "args": argparse.Namespace(lr=0.1)},
    "nested twice": {"checkpoint": None, "model": {"state_dict": OrderedDict(STATE)}},
    "a name of its own": {"generator": STATE, "step": 4},
    "numbers of numpy": {"state_dict": STATE, "best": np.float64(0.93), "loss": np.float32(0.1)},
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saved_is_found(how: str, zipped: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", WRITTEN[how], _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert list(found.tensors) == list(STATE)
    assert all(torch.equal(found.tensors[name], STATE[name]) for name in STATE)
    (file,) = found.files
    data = path.read_bytes()
    assert (file.file, file.bytes, file.sha256) == ("weights.pth", len(data), sha256_hex(data))


@pytest.mark.parametrize("names", [["cat", "dog"], {"cat": 0, "dog": 1}])
def test_class_names_beside_the_weights_are_found(names: Any, tmp_path: Path) -> None:
    (found,) = read_checkpoint(saved(tmp_path / "w.pt", {"model": STATE, "class_to_idx": names})).class_lists
    assert (found.key, found.content) == ("class_to_idx", names)


AVERAGE = {name: tensor + 1 for name, tensor in STATE.items()}


@pytest.mark.parametrize(
    ("content", "models", "meant"),
    [
        ({"state_dict": STATE, "state_dict_ema": AVERAGE}, "'state_dict', 'state_dict_ema'", "['state_dict_ema']"),
        (
            {"model": STATE, "ema": {"decay": 0.9, "shadow": {f"module.{name}": AVERAGE[name] for name in AVERAGE}}},
            "'model', 'ema.shadow'",
            "['ema']['shadow']",
        ),
        ({**STATE, "ema": AVERAGE}, "no key, 'ema'", "['ema']"),
    ],
)
def test_of_a_model_and_its_average_none_is_guessed(content: Any, models: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_checkpoint(saved(tmp_path / "w.pt", content))
    assert f"w.pt holds several models: under {models}. Save the one that is meant" in str(caught.value)
    assert f"torch.save(content{meant}, 'weights.pth'), where content is what torch loads from w.pt" in str(
        caught.value
    )


def test_what_stands_beside_the_weights_is_no_second_model(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    content = {"state_dict": STATE, "optimizer": optimizer.state_dict(), "criterion": {"centers": torch.ones(2, 3)}}
    read = read_checkpoint(saved(tmp_path / "w.pt", content))
    assert list(read.tensors) == list(STATE)
    assert read.notes == (f"{tmp_path / 'w.pt'} has other weights under 'criterion': not used",)


PETS = ["cat", "dog"]
BESIDE = {
    "label_names": ({"label_names": PETS}, "label_names"),
    "CLASSES as mmcls has them": ({"meta": {"CLASSES": tuple(PETS)}}, "meta.CLASSES"),
    "Lightning": ({"hyper_parameters": {"lr": 0.1, "class_names": PETS}}, "hyper_parameters.class_names"),
    "options": ({"args": argparse.Namespace(lr=0.1, classes=PETS)}, "args.classes"),
    "a configuration": ({"config": {"data": {"id2label": {0: "cat", 1: "dog"}}}}, "config.data.id2label"),
}


@pytest.mark.parametrize("how", BESIDE)
def test_class_names_are_found_wherever_trainers_put_them(how: str, tmp_path: Path) -> None:
    beside, key = BESIDE[how]
    read = read_checkpoint(saved(tmp_path / "w.pt", {"state_dict": STATE, "num_classes": 2, "classes": 2} | beside))
    assert [(found.key, in_order(found.content, "w")) for found in read.class_lists] == [(key, tuple(PETS))]


def test_class_names_in_the_metadata_of_safetensors_are_found(tmp_path: Path) -> None:
    metadata = {"format": "pt", "id2label": '{"0": "cat", "1": "dog"}', "labels": "[broken"}
    safetensors.torch.save_file(STATE, tmp_path / "w.safetensors", metadata)
    (found,) = read_checkpoint(tmp_path / "w.safetensors").class_lists
    assert (found.key, in_order(found.content, "w")) == ("id2label", tuple(PETS))


def test_safetensors_are_read_whatever_their_suffix(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.bin"):
        safetensors.torch.save_file(STATE, tmp_path / name)
        assert all(torch.equal(read_checkpoint(tmp_path / name).tensors[key], STATE[key]) for key in STATE)


def in_parts(folder: Path) -> Path:
    """A checkpoint in two parts with an index."""
    names = list(STATE)
    where = {name: f"model-0000{1 + (name in names[2:])}-of-00002.safetensors" for name in names}
    for part in set(where.values()):
        safetensors.torch.save_file({name: STATE[name] for name in names if where[name] == part}, folder / part)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    return index


def test_parts_are_put_together(tmp_path: Path) -> None:
    index = in_parts(tmp_path)
    for given in (index, tmp_path):
        found = read_checkpoint(given)
        assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {
            name: tensor.tolist() for name, tensor in STATE.items()
        }
        assert [file.file for file in found.files] == [index.name, *sorted(p.name for p in tmp_path.glob("*.safe*s"))]


def test_a_part_that_is_gone_or_lies_elsewhere_is_named(tmp_path: Path) -> None:
    index = in_parts(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"names the part 'model-00002-of-00002\.safetensors', which is not beside it"):
        read_checkpoint(index)
    index.write_text(json.dumps({"weight_map": {"a": "../model-00001-of-00002.safetensors"}}))
    with pytest.raises(InputError, match=r"'\.\./model-00001-of-00002\.safetensors', which is not beside it"):
        read_checkpoint(index)
    for content in ("[]", "{", '{"weight_map": 3}'):
        index.write_text(content)
        with pytest.raises(InputError, match="expected a JSON object with 'weight_map'"):
            read_checkpoint(index)


class Runs:
    """Pickled, it makes a folder where it is loaded."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_never_run(zipped: bool, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = saved(tmp_path / "w.pth", {"state_dict": STATE, "x": Runs(str(trap))}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"holds more than weights: the class (posix|nt)\.mkdir"):
        read_checkpoint(path)
    assert not trap.exists()
    torch.load(path, weights_only=False)
    assert trap.exists(), "or nothing was tested"


def test_a_pickled_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_checkpoint(saved(tmp_path / "whole.pth", network()))
    assert str(caught.value) == (
        f"{tmp_path / 'whole.pth'} holds more than weights: the class torch.nn.modules.container.Sequential, whose "
        "code loading would run. raygp does not: where you trust the file, load it with weights_only=False, then "
        "torch.save(model.state_dict(), 'weights.pth'), and adopt that"
    )


def test_a_program_of_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(network()).save(str(tmp_path / "w.pt"))
    with pytest.raises(InputError, match=r"is a TorchScript program: load it with torch\.jit, then torch\.save"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_was_cut_off_is_said_to_be_damaged(zipped: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", STATE, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"w\.pth is damaged or not written by torch\.save \(.+\): copy it again"):
        read_checkpoint(path)


def test_a_safetensors_file_that_was_cut_off_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors.torch.save(STATE)[:-3])
    with pytest.raises(InputError, match=r"w\.safetensors is damaged or no safetensors file"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is neither a safetensors file nor one that torch.save wrote"),
        (b"\x89HDF\r\n\x1a\n and more", "is neither a safetensors file nor one that torch.save wrote"),
        ({"epoch": 3, "best": 0.9}, "has no weights that are known as such (it holds epoch, best)"),
        ([1, 2], "has no weights that are known as such (it holds a list)"),
        ({"a": STATE, "b": STATE}, "has no weights that are known as such (it holds a, b)"),
        (STATE | {"0.weight": torch.full((3, 4), torch.nan)}, "0.weight has values that are not finite"),
        (STATE | {"0.weight": torch.eye(3).to_sparse()}, "0.weight is quantized or sparse"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        saved(path, content)
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def test_a_file_that_is_not_there_a_folder_without_weights_and_a_bucket_are_refused(tmp_path: Path) -> None:
    for given, message in {
        str(tmp_path / "w.pth"): "there is no such file of weights",
        str(tmp_path): "is a folder without model.safetensors",
        "s3://bucket/w.pth": "copy the file here first",
    }.items():
        with pytest.raises(InputError, match=message):
            read_checkpoint(given)
