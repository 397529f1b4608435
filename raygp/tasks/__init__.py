"""What a user brings: models, decoding, augmentation, loss and metric.

A new task is one file with a :class:`TaskKind`, and one line: in :data:`TASKS`, or as an entry point of the group
``raygp.tasks`` in a package of its own. Importing this package loads no torch; getting a task does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raygp.tasks.kind import TASKS, PlanFields, PlanRole, TaskKind, TaskRef, Tuning, Unfit
from raygp.tasks.making import fitted, make_task, tuning_of, with_fitted
from raygp.tasks.spec import AUGMENTS, Augment, ImageSpec, TaskSpec

if TYPE_CHECKING:
    from raygp.tasks.answer import Answer
    from raygp.tasks.images import ImageTask
    from raygp.tasks.padded import Padded
    from raygp.tasks.protocol import Task
    from raygp.tasks.speech import SpeechSpec, SpeechTask

__all__ = [
    "AUGMENTS",
    "TASKS",
    "Answer",
    "Augment",
    "ImageSpec",
    "ImageTask",
    "Padded",
    "PlanFields",
    "PlanRole",
    "SpeechSpec",
    "SpeechTask",
    "Task",
    "TaskKind",
    "TaskRef",
    "TaskSpec",
    "Tuning",
    "Unfit",
    "fitted",
    "make_task",
    "tuning_of",
    "with_fitted",
]

_NEED_TORCH = {
    "Answer": "raygp.tasks.answer",
    "ImageTask": "raygp.tasks.images",
    "Padded": "raygp.tasks.padded",
    "SpeechSpec": "raygp.tasks.speech",
    "SpeechTask": "raygp.tasks.speech",
    "Task": "raygp.tasks.protocol",
}
"""Names of this package whose modules load torch: they are imported when one is asked for."""


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_NEED_TORCH[name]), name)
