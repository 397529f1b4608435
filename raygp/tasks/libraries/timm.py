"""Classifiers of timm (PyTorch image models)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from raygp.tasks.kind import TaskKind
from raygp.tasks.libraries.common import Defaults, import_library
from raygp.tasks.libraries.task import LibrarySpec, library_task, library_tuning


class Timm:
    """Implements :class:`raygp.tasks.libraries.common.Library`. A name may have a tag, ``resnet50.a1_in1k``: the tag
    decides about size and normalisation of the input, and no weights are loaded."""

    name = "timm"

    def names(self) -> Sequence[str]:
        """All architectures, without tags."""
        names: list[str] = import_library("timm").list_models()
        return names

    def has(self, model: str) -> bool:
        """Whether timm has the architecture, and the tag if one is given."""
        timm = import_library("timm")
        architecture, _, tag = model.partition(".")
        return bool(timm.is_model(architecture)) and (not tag or model in timm.list_pretrained(f"{architecture}*"))

    def defaults(self, model: str) -> Defaults:
        """From timm's ``pretrained_cfg``."""
        known = self._known(model)
        return Defaults(known.input_size[-1], tuple(known.mean), tuple(known.std))

    def arguments(self, model: str, image_size: int) -> dict[str, Any]:
        """``img_size``, where timm says that a model is built for one size."""
        known = self._known(model)
        return {"img_size": image_size} if known.fixed_input_size and image_size != known.input_size[-1] else {}

    def build(self, model: str, classes: int, channels: int, arguments: Mapping[str, Any]) -> nn.Module:
        """By ``timm.create_model``, without pretrained weights."""
        made: nn.Module = import_library("timm").create_model(
            model, pretrained=False, num_classes=classes, in_chans=channels, **arguments
        )
        return made

    def _known(self, model: str) -> Any:
        import_library("timm")
        from timm.models import PretrainedCfg, get_pretrained_cfg

        return get_pretrained_cfg(model) or PretrainedCfg()


TIMM = TaskKind(LibrarySpec, library_task, tuning=library_tuning, checked=True)
