"""From the description of a task to the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from raygp.errors import InputError
from raygp.tasks.kind import TASKS, TaskKind, TaskRef, Tuning
from raygp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from raygp.tasks.protocol import Task


def make_task(spec: TaskSpec | Mapping[str, Any]) -> Task:
    """The task that a spec (or the fields of one) describes.

    Raises:
        InputError: the name is unknown (the known ones are listed), or a field is wrong, or ``dense`` names something
            that is not a parameter of the model.
    """
    fields = {"name": spec.name} if isinstance(spec, TaskSpec) else spec
    name, kind = _kind_of(fields)
    if not isinstance(spec, TaskSpec):
        spec = _parse(spec, name, kind)
    elif not isinstance(spec, kind.spec):
        raise InputError(f"task {name}: its spec must be of type {kind.spec.__name__}, not {type(spec).__name__}")
    task = kind.make(spec)
    if task.dense and not kind.checked:
        _check_dense(task)
    return task


def tuning_of(task: TaskRef) -> Tuning:
    """Which plans suit a task; an empty tuning for one that is not known.

    Args:
        task: its name or its whole spec. Where plans depend on the spec (:attr:`raygp.tasks.TaskKind.tuning`), the name
            alone gives what suits any task of that name.

    Raises:
        InputError: the package that brings the task cannot be loaded, or a field of the spec is wrong.
    """
    name = task if isinstance(task, str) else task.get("name")
    if not isinstance(name, str) or name not in TASKS:
        return Tuning()
    kind = TASKS.get(name)
    if kind.tuning is None or isinstance(task, str):
        return kind.tuning_for(None)
    return kind.tuning_for(_parse(task, name, kind))


def _kind_of(fields: Mapping[str, Any]) -> tuple[str, TaskKind]:
    name = fields.get("name")
    if not isinstance(name, str) or name not in TASKS:
        suggestion = TASKS.suggestion(name) if isinstance(name, str) else ""
        problem = "name is missing" if name is None else f"unknown name '{name}'{suggestion}"
        raise InputError(f"task: {problem}; known are {', '.join(TASKS)}")
    return name, TASKS.get(name)


def _parse(fields: Mapping[str, Any], name: str, kind: TaskKind) -> TaskSpec:
    try:
        return kind.spec.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(_explain(problem, kind.spec) for problem in error.errors())
        raise InputError(f"task {name}: {problems}") from error


def _explain(problem: ErrorDetails, spec: type[TaskSpec]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown field '{where}'; known are {', '.join(spec.model_fields)}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {message}, not {problem['input']!r}" if where else message


def _check_dense(task: Task) -> None:
    import torch

    with torch.device("meta"):  # Only the names are wanted: nothing is allocated.
        known = [name for name, parameter in task.build_model(2).named_parameters() if parameter.ndim > 1]
    for name in task.dense:
        if name not in known:
            has = ", ".join(known)
            raise InputError(f"task {task.name}: dense: no weight is called '{name}'; the model has {has}")
