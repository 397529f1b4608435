"""ResNet-18 on images of any size."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet18

from raygp.tasks.images import ImageTask
from raygp.tasks.spec import TaskSpec


def build_resnet18(channels: int, num_classes: int) -> nn.Module:
    """torchvision's ResNet-18, untrained: N x channels x H x W to N x num_classes."""
    model = resnet18(weights=None, num_classes=num_classes)
    if channels != 3:
        model.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    return model


def resnet18_task(spec: TaskSpec) -> ImageTask:
    """The task of ResNet-18. Its output layer has a floor (30 % density); ``spec.dense`` names by default the first
    convolution, which holds 9,408 of 11.2 million weights."""
    return ImageTask(spec, build_resnet18, classifier="fc", density_bounds={"fc.weight": (0.3, 1.0)})
