"""LeNet-300-100 and LeNet-5 (the Caffe variant, 431 thousand parameters), for 28 x 28 images."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from raygp.tasks.images import ImageTask
from raygp.tasks.spec import ImageSpec

_PIXELS = 28 * 28
_BOUNDS = {"classifier.weight": (0.3, 1.0)}


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

    Weights lie channels-last, in which pooling and convolution take about 60 % of the time on a CPU.
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
    return model.to(memory_format=torch.channels_last)


def lenet_300_100_task(spec: ImageSpec) -> ImageTask:
    """The task of LeNet-300-100; only its output layer has a floor (30 % density)."""
    return ImageTask(spec, lenet_300_100, classifier="classifier", density_bounds=dict(_BOUNDS))


def lenet_5_task(spec: ImageSpec) -> ImageTask:
    """The task of LeNet-5; only its output layer has a floor (30 % density)."""
    return ImageTask(spec, lenet_5, classifier="classifier", density_bounds=dict(_BOUNDS))
