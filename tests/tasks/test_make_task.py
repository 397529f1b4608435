"""Specs and the registry: defaults, models, and messages for what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from raygp.errors import InputError
from raygp.tasks import TASKS, ImageSpec, make_task
from raygp.tasks.lenet import LenetSpec
from raygp.tasks.libraries import LIBRARIES
from raygp.tasks.resnet import ResnetSpec
from tests.checkout import PROJECT

OWN = [name for name in TASKS if name not in LIBRARIES]
IMAGES = [name for name in OWN if issubclass(TASKS.get(name).spec, ImageSpec)]
KEPT = json.loads((Path(__file__).parent / "specs.json").read_text())
"""Specs and what follows from them, as they were when tasks were rows of one table. Lines hold such specs."""


@pytest.mark.parametrize("name, weights", [("lenet-300-100", 266_200), ("lenet-5", 430_500), ("resnet18", 11_172_032)])
def test_models_have_the_published_numbers_of_weights(name, weights):
    model = make_task({"name": name, "image_size": 28}).build_model(10)
    assert sum(p.numel() for p in model.parameters() if p.ndim > 1) == weights


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_classifier_is_the_last_linear_layer_and_its_floor_names_it(name, channels):
    task = make_task({"name": name, "image_size": 28, "channels": channels})
    model = task.build_model(7)
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert task.classifier == linear[-1]
    assert task.density_bounds == {f"{task.classifier}.weight": (0.3, 1.0)}
    assert model(torch.zeros(2, channels, 28, 28)).shape == (2, 7)


@pytest.mark.parametrize("name", IMAGES)
def test_a_model_depends_on_torchs_seed_alone(name):
    task = make_task({"name": name, "image_size": 28})
    models = []
    for _ in range(2):
        torch.manual_seed(5)
        models.append(task.build_model(3).state_dict())
        make_task({"name": name, "image_size": 28})
    assert all(torch.equal(value, models[1][key]) for key, value in models[0].items())


def test_defaults_follow_the_model_and_the_channels():
    resnet = ResnetSpec(name="resnet18", image_size=64)
    assert (resnet.channels, resnet.shift, resnet.dense) == (3, 4, ("conv1.weight",))
    assert resnet.mean == (0.485, 0.456, 0.406)
    lenet = LenetSpec(name="lenet-5")
    assert (lenet.image_size, lenet.channels, lenet.shift, lenet.dense) == (28, 1, 1, ())
    assert (lenet.mean, lenet.std) == ((0.1307,), (0.3081,))
    assert ResnetSpec(name="resnet18", image_size=8, channels=1).std == (0.3081,)
    assert ResnetSpec(name="resnet18", image_size=64, dense=()).dense == ()


def test_a_dumped_spec_is_complete_and_gives_an_equal_one():
    spec = ResnetSpec(name="resnet18", image_size=64, augment="shift-flip", shift=2)
    assert ResnetSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert ResnetSpec.model_validate_json(spec.model_dump_json()) == spec
    assert make_task(spec) == make_task(spec.model_dump())


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept["given"]["name"])
def test_a_spec_is_dumped_as_it_always_was(kept):
    for fields in (kept["given"], kept["spec"]):
        task = make_task(fields)
        dumped = task.spec.model_dump(mode="json")
        assert json.dumps(dumped) == json.dumps(kept["spec"])  # In the same order, too.
        found = {name: getattr(task, name) for name in ("classifier", "density_bounds", "draws", "metrics", "reserved")}
        assert json.loads(json.dumps(found)) == {name: kept[name] for name in found}


def test_the_names_of_all_tasks_are_known_without_loading_torch():
    script = """
import sys
from raygp.tasks import AUGMENTS, TASKS, ImageSpec, make_task
print(*TASKS.names(), *AUGMENTS)
assert "torch" not in sys.modules and "torchvision" not in sys.modules
from raygp.tasks import ImageTask, Padded, SpeechSpec, SpeechTask, Task
assert "torch" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*TASKS, "none", "shift", "shift-flip", "resized-crop"]


def test_a_spec_of_another_task_is_refused():
    # As a plain ImageSpec, it would lack the defaults of the ResNets.
    with pytest.raises(InputError) as caught:
        make_task(ImageSpec(name="resnet18", image_size=64))
    assert str(caught.value) == "task resnet18: its spec must be of type ResnetSpec, not ImageSpec"


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"name": "resnet-18"},
            "task: unknown name 'resnet-18' (did you mean 'resnet18'?); known are " + ", ".join(TASKS),
        ),
        ({}, "task: name is missing; known are " + ", ".join(TASKS)),
        ({"name": "vgg"}, "task: unknown name 'vgg'; known are " + ", ".join(TASKS)),
        ({"name": "resnet18"}, "task resnet18: image_size is missing: give --image-size, such as --image-size 64"),
        ({"name": "lenet-5", "image_size": 32}, "task lenet-5: image_size must be 28 for lenet-5, not 32"),
        ({"name": "lenet-5", "channels": 2}, "task lenet-5: channels: Input should be 1 or 3, not 2"),
        ({"name": "lenet-5", "mean": [1, 2]}, "task lenet-5: mean needs one number a channel (1), not 2"),
        ({"name": "lenet-5", "std": [0]}, "task lenet-5: std.0: Input should be greater than 0, not 0"),
        ({"name": "lenet-5", "shift": 28}, "task lenet-5: shift (28) must be smaller than image_size (28)"),
        (
            {"name": "lenet-5", "sise": 1},
            "task lenet-5: unknown field 'sise'; known are name, image_size, channels, augment, shift, "
            "mean, std, dense, background",
        ),
        (
            {"name": "lenet-5", "dense": ["fc9"]},
            "task lenet-5: dense: no weight is called 'fc9'; the model has conv1.weight, conv2.weight, fc1.weight, "
            "classifier.weight",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:40],
)
def test_what_is_wrong_is_said_in_one_line(fields, message):
    with pytest.raises(InputError) as caught:
        make_task(fields)
    assert str(caught.value) == message
