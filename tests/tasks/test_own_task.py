"""An image network of one's own: one file, and one line that registers it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from raygp.errors import InputError
from raygp.tasks import TASKS, ImageSpec, ImageTask, Task, TaskKind, make_task
from tests.checkout import PROJECT

NETWORK = """
from torch import nn
from raygp.tasks import ImageSpec, ImageTask, TaskKind

def build(channels, num_classes):
    model = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.add_module("head", nn.Linear(8, num_classes))
    return model

def make(spec):
    return ImageTask(spec, build, classifier="head", density_bounds={"head.weight": (0.3, 1.0)})

TINY = TaskKind(ImageSpec, make, settings={"lr": 0.05}, plans={"default": {"update": {"epochs": 4}}})
"""


def png(side: int = 20) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), (9, 90, 200)).save(content, "PNG")
    return content.getvalue()


class WideSpec(ImageSpec):
    """Settings of a network that has one setting more than an image has."""

    image_size: int = 16
    width: int = 8


def build_wide(channels: int, num_classes: int) -> nn.Module:
    model = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.add_module("head", nn.Linear(8, num_classes))
    return model


def make_wide(spec: WideSpec) -> ImageTask:
    return ImageTask(spec, build_wide, classifier="head", density_bounds={"head.weight": (0.3, 1.0)})


@pytest.fixture
def wide() -> Iterator[str]:
    TASKS.register("wide", TaskKind(WideSpec, make_wide))
    yield "wide"
    TASKS.forget("wide")


def test_a_registered_network_builds_and_decodes(wide: str) -> None:
    task = make_task({"name": wide, "augment": "shift-flip"})
    assert isinstance(task, Task) and task.name == wide and task.draws == 3
    images = torch.from_numpy(np.stack([task.decode(png()), task.decode(png(16))]))
    assert images.shape == (2, 3, 16, 16) and images.dtype == torch.uint8
    outputs = task.build_model(4)(task.prepare(images, torch.rand(2, 3)))
    assert outputs.shape == (2, 4)
    assert task.losses(outputs, torch.tensor([0, 3])).shape == (2,)
    dumped = task.spec.model_dump(mode="json")
    assert dumped["width"] == 8 and dumped["shift"] == 1 and make_task(dumped).spec == task.spec


def test_its_own_settings_are_checked_as_those_of_any_task(wide: str) -> None:
    with pytest.raises(InputError, match="task wide: width: Input should be a valid integer"):
        make_task({"name": wide, "width": "many"})
    with pytest.raises(InputError, match=r"task wide: dense: no weight is called 'fc'; the model has 0.weight, head"):
        make_task({"name": wide, "dense": ["fc"]})


def in_package(folder: Path, code: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where a package with one file of tasks is installed: what pip would write lies in ``folder``."""
    (folder / "my_tasks.py").write_text(code)
    metadata = folder / "my_tasks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-tasks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[raygp.tasks]\ntiny = my_tasks:TINY\n")
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{PROJECT}"}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )


def test_a_package_brings_a_network_with_one_file_and_one_entry_point(tmp_path: Path) -> None:
    script = """
import torch
from raygp.tasks import TASKS, make_task
from raygp.update.plans import named_plan
task = make_task({"name": "tiny", "image_size": 8})
print(TASKS.names()[-1], task.build_model(3)(torch.zeros(2, 3, 8, 8)).shape[1])
plan = named_plan("default", "update", "tiny")
print(plan.lr, plan.epochs)
"""
    done = in_package(tmp_path, NETWORK, script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tiny", "3", "0.05", "4"]


def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    script = """
from raygp.errors import InputError
from raygp.tasks import make_task
try:
    make_task({"name": "tiny", "image_size": 8})
except InputError as error:
    print(error)
"""
    done = in_package(tmp_path, "import something_missing", script)
    expected = "task 'tiny' (my_tasks:TINY of my-tasks) cannot be loaded: ModuleNotFoundError"
    assert done.returncode == 0 and done.stdout.startswith(expected), done.stdout + done.stderr
