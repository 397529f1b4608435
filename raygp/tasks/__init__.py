"""What a user brings: models, decoding, augmentation, loss and metric. A new task is a row of :data:`TASKS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from raygp.errors import InputError
from raygp.tasks.images import ImageTask
from raygp.tasks.lenet import lenet_5_task, lenet_300_100_task
from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Task
from raygp.tasks.resnet import resnet18_small_task, resnet18_task
from raygp.tasks.spec import ImageSpec, SpeechSpec, TaskSpec
from raygp.tasks.speech import SpeechTask, deepspeech2_small_task, deepspeech2_task

__all__ = ["TASKS", "ImageSpec", "ImageTask", "Padded", "SpeechSpec", "SpeechTask", "Task", "TaskSpec", "make_task"]


class Kind(NamedTuple):
    """How a task of one name is made."""

    spec: type[ImageSpec] | type[SpeechSpec]
    make: Callable[[Any], ImageTask | SpeechTask]


TASKS: dict[str, Kind] = {
    "lenet-300-100": Kind(ImageSpec, lenet_300_100_task),
    "lenet-5": Kind(ImageSpec, lenet_5_task),
    "resnet18": Kind(ImageSpec, resnet18_task),
    "resnet18-small": Kind(ImageSpec, resnet18_small_task),
    "deepspeech2": Kind(SpeechSpec, deepspeech2_task),
    "deepspeech2-small": Kind(SpeechSpec, deepspeech2_small_task),
}
"""By name, the spec of the task and what makes the task from it."""


def make_task(spec: TaskSpec | dict[str, Any]) -> ImageTask | SpeechTask:
    """The task that a spec (or the fields of one) describes.

    Raises:
        InputError: the name is unknown (the known ones are listed), or a field is wrong, or ``dense`` names something
            that is not a parameter of the model.
    """
    if isinstance(spec, dict):
        spec = _parse(spec)
    task = TASKS[spec.name].make(spec)
    if spec.dense:
        with torch.device("meta"):
            known = [name for name, parameter in task.build_model(2).named_parameters() if parameter.ndim > 1]
        for name in spec.dense:
            if name not in known:
                has = ", ".join(known)
                raise InputError(f"task {spec.name}: dense: no weight is called '{name}'; the model has {has}")
    return task


def _parse(fields: dict[str, Any]) -> TaskSpec:
    name = fields.get("name")
    if not isinstance(name, str) or name not in TASKS:
        problem = "name is missing" if name is None else f"unknown name '{name}'"
        raise InputError(f"task: {problem}; known are {', '.join(TASKS)}")
    kind = TASKS[name].spec
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"task {name}: {'; '.join(_explain(problem, kind) for problem in error.errors())}") from error


def _explain(problem: Any, kind: type[ImageSpec] | type[SpeechSpec]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown field '{where}'; known are {', '.join(kind.model_fields)}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {message}, not {problem['input']!r}" if where else message
