"""Classifiers of torchvision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from raygp.tasks.kind import TaskKind
from raygp.tasks.libraries.common import Defaults, import_library
from raygp.tasks.libraries.task import LibrarySpec, library_task, library_tuning

_SIZE_ARGUMENT = {"vit": "image_size", "maxvit": "input_size"}
"""By family (the name up to its first underscore), what its factory calls the size of images, if it wants to know."""
_ONE_OUTPUT: dict[str, dict[str, Any]] = {
    # In training, both would give the outputs of auxiliary heads too.
    "inception_v3": {"aux_logits": False, "init_weights": True},
    "googlenet": {"aux_logits": False, "init_weights": True},
}


class Torchvision:
    """Implements :class:`raygp.tasks.libraries.common.Library`."""

    name = "torchvision"

    def names(self) -> Sequence[str]:
        """All classifiers of ``torchvision.models``."""
        import_library("torchvision")
        from torchvision import models

        names: list[str] = models.list_models(module=models)
        return names

    def has(self, model: str) -> bool:
        """Whether it is one of :meth:`names`."""
        return model in self.names()

    def defaults(self, model: str) -> Defaults:
        """From the transforms that torchvision gives with the model's weights."""
        from torchvision import models

        transforms = models.get_model_weights(model).DEFAULT.transforms()
        return Defaults(transforms.crop_size[0], tuple(transforms.mean), tuple(transforms.std))

    def arguments(self, model: str, image_size: int) -> dict[str, Any]:
        """The size, where a model is built for one, and no auxiliary heads."""
        found = dict(_ONE_OUTPUT.get(model, {}))
        argument = _SIZE_ARGUMENT.get(model.partition("_")[0])
        if argument is not None:
            found[argument] = [image_size, image_size] if argument == "input_size" else image_size
        return found

    def build(self, model: str, classes: int, channels: int, arguments: Mapping[str, Any]) -> nn.Module:
        """By ``torchvision.models.get_model``, without weights; for other than RGB images, with another first
        convolution."""
        import_library("torchvision")
        from torchvision import models

        made: nn.Module = models.get_model(model, weights=None, num_classes=classes, **arguments)
        if channels != 3:
            _change_channels(made, channels)
        return made


def _change_channels(model: nn.Module, channels: int) -> None:
    """Put a convolution that reads so many channels in the place of the first one."""
    name, first = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    made = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]  # Two numbers, which torch's stubs call any number.
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        first.dilation,  # type: ignore[arg-type]
        bias=first.bias is not None,
        device=first.weight.device,
    )
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        with torch.no_grad():
            made.bias.zero_()
    model.set_submodule(name, made)


TORCHVISION = TaskKind(LibrarySpec, library_task, tuning=library_tuning, checked=True)
