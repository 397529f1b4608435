"""LeNet-300-100 and LeNet-5 (the Caffe variant, 431 thousand parameters), for 28 x 28 images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator
from torch import nn

from raygp.tasks.images import ImageTask
from raygp.tasks.kind import PlanFields, PlanRole, TaskKind
from raygp.tasks.layout import channels_last
from raygp.tasks.spec import Channels, ImageSize, ImageSpec

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_BOUNDS = {"classifier.weight": (0.3, 1.0)}
"""Only the output layer has a floor: pruning leaves it 30 % of its connections."""


class LenetSpec(ImageSpec):
    """Settings of the lenets: their input is 28 x 28 pixels, grey unless said otherwise. Nothing is kept dense."""

    name: Literal["lenet-300-100", "lenet-5"]
    """The model."""
    image_size: ImageSize = _SIDE
    """Height and width of the model's input in pixels: always 28."""
    channels: Channels = 1
    """1: grey. 3: RGB."""

    @model_validator(mode="after")
    def _has_the_one_size(self) -> LenetSpec:
        if self.image_size != _SIDE:
            raise ValueError(f"image_size must be {_SIDE} for {self.name}, not {self.image_size}")
        return self


def lenet_300_100(channels: int, num_classes: int) -> nn.Module:
    """Two hidden layers of 300 and 100 units: N x channels x 28 x 28 to N x num_classes."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(channels * _PIXELS, 300),
            relu1=nn.ReLU(),
            fc2=nn.Linear(300, 100),
            relu2=nn.ReLU(),
            classifier=nn.Linear(100, num_classes),
        )
    )


def lenet_5(channels: int, num_classes: int) -> nn.Module:
    """Two convolutions with max pooling and a hidden layer of 500: N x channels x 28 x 28 to N x num_classes.

    Weights lie channels-last: so laid out, pooling and convolution take about 60 % of their usual time on a CPU.
    """
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 20, 5),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(50 * 4 * 4, 500),
            relu1=nn.ReLU(),
            classifier=nn.Linear(500, num_classes),
        )
    )
    return channels_last(model)


def _lenet_300_100_task(spec: LenetSpec) -> ImageTask:
    return ImageTask(spec, lenet_300_100, classifier="classifier", density_bounds=_BOUNDS)


def _lenet_5_task(spec: LenetSpec) -> ImageTask:
    return ImageTask(spec, lenet_5, classifier="classifier", density_bounds=_BOUNDS)


_SETTINGS: PlanFields = {"lr": 0.2, "batch_size": 128, "clip_norm": 1.0, "optimizer": {"weight_decay": 2e-3}}
_PLANS: Mapping[str, Mapping[PlanRole, PlanFields]] = {
    "default": {
        "synthesis": {
            "epochs": 20,
            "lr": 0.2,
            "seed_density": 0.2,
            "optimizer": {"weight_decay": 5e-4},
            "fit": None,
        },
        # Everything, as the plan says. The hardest tenth was enough on MNIST, and on labels that are wrong or ambiguous
        # it was just those: what is cheap on one data set must not be the default for all.
        "update": {"lr": 0.2},
    },
    "paper": {"update": {"lr": 0.05}},
}

LENET_300_100 = TaskKind(LenetSpec, _lenet_300_100_task, _SETTINGS, _PLANS)
LENET_5 = TaskKind(LenetSpec, _lenet_5_task, {**_SETTINGS, "lr": 0.1}, _PLANS)
