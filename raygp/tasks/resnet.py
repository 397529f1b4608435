"""ResNet-18 on images of any size: the whole one, and a narrow one.

torchvision takes a second to load, so it is imported when a model is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from raygp.tasks.images import ImageTask
from raygp.tasks.kind import PlanFields, PlanRole, TaskKind
from raygp.tasks.layout import channels_last
from raygp.tasks.spec import ImageSpec

_SMALL_WIDTH = 32
_BOUNDS = {"fc.weight": (0.3, 1.0)}
"""Only the output layer has a floor: pruning leaves it 30 % of its connections."""


class ResnetSpec(ImageSpec):
    """Settings of the ResNets."""

    name: Literal["resnet18", "resnet18-small"]
    """The model."""
    dense: tuple[str, ...] = ("conv1.weight",)
    """Names of parameters that are never pruned. Default: the first convolution, which every pixel passes through and
    which holds 9,408 of ResNet-18's 11.2 million weights."""


def build_resnet18(channels: int, num_classes: int) -> nn.Module:
    """torchvision's ResNet-18, untrained: N x channels x H x W to N x num_classes."""
    from torchvision.models import resnet18

    model: nn.Module = resnet18(weights=None, num_classes=num_classes)
    if channels != 3:
        model.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        _init_convolutions(model.conv1)
    return model


class NarrowResNet18(nn.Module):
    """ResNet-18 with ``width`` channels in its first stage instead of 64: N x channels x H x W to N x num_classes.

    Depth, strides and parameter names are torchvision's; weights lie channels-last, which is faster at this width.
    """

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, num_classes)
        _init_convolutions(self)
        channels_last(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits


def _stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride != 1:
        projection = nn.Conv2d(channels_in, channels, kernel_size=1, stride=stride, bias=False)
        shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels))
    return nn.Sequential(BasicBlock(channels_in, channels, stride, shortcut), BasicBlock(channels, channels))


def _init_convolutions(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build_resnet18_small(channels: int, num_classes: int) -> nn.Module:
    """ResNet-18 at half the width, a quarter of the weights: N x channels x H x W to N x num_classes."""
    return NarrowResNet18(channels, num_classes, _SMALL_WIDTH)


def _resnet18_task(spec: ResnetSpec) -> ImageTask:
    return ImageTask(spec, build_resnet18, classifier="fc", density_bounds=_BOUNDS)


def _resnet18_small_task(spec: ResnetSpec) -> ImageTask:
    return ImageTask(spec, build_resnet18_small, classifier="fc", density_bounds=_BOUNDS)


_SETTINGS: PlanFields = {"lr": 0.02, "batch_size": 64, "alpha": 0.1, "optimizer": {"weight_decay": 5e-4}}
_PLANS: Mapping[str, Mapping[PlanRole, PlanFields]] = {
    "default": {
        "synthesis": {"epochs": 16, "fit": None},
        "update": {
            "epochs": 8,
            "replay": {"share": 0.5, "hard": 0.5, "leave_out": "auto"},
            "arrival": {},
            # What the rules of fitting are worth for this model has not been measured.
            "fit": None,
            # Without it, an update with little that is new ends below its parent.
            "distillation": {"weight": 1.0, "fades_at": 0.5},
        },
    },
}

RESNET18 = TaskKind(ResnetSpec, _resnet18_task, _SETTINGS, _PLANS)
RESNET18_SMALL = TaskKind(ResnetSpec, _resnet18_small_task, {**_SETTINGS, "lr": 0.05}, _PLANS)
"""A quarter of ResNet-18's weights (2.8 million), for machines without a GPU."""
