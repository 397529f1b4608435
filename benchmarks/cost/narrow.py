"""Dense networks as small as a sparse one: the workload's model with fewer units in every layer.

A sparse network has to be better than a dense one that has as many connections, and than one that takes as much
arithmetic for an example: else one would train those.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from benchmarks.cost.workloads import Workload
from raygp.errors import InputError
from raygp.sparse import count_uses
from raygp.sparse.flops import FlopCount
from raygp.tasks.deepspeech import SMALL, Architecture
from raygp.tasks.layout import channels_last
from raygp.tasks.protocol import Task
from raygp.tasks.resnet import NarrowResNet18

Measure = Literal["connections", "arithmetic"]
PARTS: dict[str, dict[Measure, float]] = {
    "lenet-300-100": {"connections": 0.10, "arithmetic": 0.16},
    "lenet-5": {"connections": 0.10, "arithmetic": 0.26},
    "resnet18": {"connections": 0.30, "arithmetic": 0.69},
    "deepspeech2": {"connections": 0.30, "arithmetic": 0.62},
}
"""How much of the whole network's connections raygp's updates of a workload end with, and how much of its arithmetic an
example costs them on average: by the recorded runs at half new."""
_LENET_300_100, _LENET_5, _RESNET_WIDTH = (300, 100), (20, 50, 500), 32


def narrowed(workload: Workload, measure: Measure | None) -> Workload:
    """The workload with a dense network that has as much of something as raygp's model; None: with its own.

    Raises:
        InputError: no narrow model is known for the workload.
    """
    if measure is None:
        return workload
    most = PARTS[workload.name][measure] * _measured(workload, workload.task, measure)
    # Units are whole numbers: the widest network that is not larger than asked for.
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        fits = _measured(workload, _task(workload, middle), measure) <= most
        low, high = (middle, high) if fits else (low, middle)
    return replace(workload, task=_task(workload, low))


def _measured(workload: Workload, task: Task, measure: Measure) -> float:
    count = _uses(workload, task)
    return float(sum(count.sizes.values())) if measure == "connections" else count.dense_forward()


@torch.no_grad()
def _uses(workload: Workload, task: Task) -> FlopCount:
    with torch.random.fork_rng():
        model = task.build_model(len(workload.classes))
    nothing, first = np.array([], dtype=np.int64), np.array([0])
    # Of one example, as in the ledger of a run. Which one makes no difference to a comparison.
    batch = next(iter(workload.data(nothing, first, nothing).scan(first, 1, 0, 1)))
    return count_uses(model, task.prepare(batch.inputs, None))


def _task(workload: Workload, width: float) -> Any:
    make = _MODELS.get(workload.task.name)
    if make is None:
        raise InputError(f"no narrow model is known for {workload.task.name}; known are {', '.join(_MODELS)}")
    return make(workload.task, width)


def _units(count: int, width: float) -> int:
    return max(1, int(count * width))


def _image_task(build: Callable[..., nn.Module]) -> Callable[[Any, float], Any]:
    return lambda task, width: replace(task, build=partial(build, width))


def _lenet_300_100(width: float, channels: int, num_classes: int) -> nn.Module:
    first, second = (_units(count, width) for count in _LENET_300_100)
    layers = OrderedDict(flatten=nn.Flatten(), fc1=nn.Linear(channels * 784, first), relu1=nn.ReLU())
    layers |= OrderedDict(fc2=nn.Linear(first, second), relu2=nn.ReLU(), classifier=nn.Linear(second, num_classes))
    return nn.Sequential(layers)


def _lenet_5(width: float, channels: int, num_classes: int) -> nn.Module:
    first, second, hidden = (_units(count, width) for count in _LENET_5)
    layers = OrderedDict(conv1=nn.Conv2d(channels, first, 5), pool1=nn.MaxPool2d(2))
    layers |= OrderedDict(conv2=nn.Conv2d(first, second, 5), pool2=nn.MaxPool2d(2), flatten=nn.Flatten())
    layers |= OrderedDict(fc1=nn.Linear(second * 16, hidden), relu1=nn.ReLU())
    layers |= OrderedDict(classifier=nn.Linear(hidden, num_classes))
    return channels_last(nn.Sequential(layers))


def _resnet18(width: float, channels: int, num_classes: int) -> nn.Module:
    return NarrowResNet18(channels, num_classes, _units(_RESNET_WIDTH, width))


def _deepspeech2(task: Any, width: float) -> Any:
    convolutions = tuple(replace(one, channels=_units(one.channels, width)) for one in SMALL.convolutions)
    return replace(task, architecture=Architecture(convolutions, SMALL.layers, _units(SMALL.width, width)))


_MODELS: dict[str, Callable[[Any, float], Any]] = {
    "lenet-300-100": _image_task(_lenet_300_100),
    "lenet-5": _image_task(_lenet_5),
    "resnet18-small": _image_task(_resnet18),
    "deepspeech2-small": _deepspeech2,
}
