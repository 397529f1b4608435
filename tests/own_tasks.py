"""A small sound task of one's own, as text, and what is made of such texts."""

from __future__ import annotations

import hashlib
from typing import Any

from raygp.tasks.own import TaskCode, own_spec

SOUND = """\
import torch
from torch import nn

from raygp.tasks.base import Images


class Photos(Images):
    image_size = 16
    channels = 1
    settings = {"batch_size": 32}

    def build_model(self, num_classes):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * 16, num_classes),
        )

    augment = "shift"


"""
"""Nothing is wrong with it."""


def code_of(text: str, file: str = "my_task.py") -> TaskCode:
    return TaskCode(file, text, hashlib.sha256(text.encode()).hexdigest())


def spec_of(code: TaskCode, **given: Any) -> dict[str, Any]:
    return own_spec(code, "", given).model_dump(mode="json")
