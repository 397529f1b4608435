"""From the description of a task to the task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from raygp.errors import InputError
from raygp.tasks.kind import TASKS, TaskKind, TaskRef, Tuning
from raygp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from raygp.tasks.own import TaskCode
    from raygp.tasks.protocol import Task

S = TypeVar("S", bound=TaskSpec)
_OPTIONS = {"image_size": "--image-size, such as --image-size 64"}
"""How fields are given on the command line, where a task needs them."""
OWN = "own"
"""The name in the spec of every task of one's own."""


def make_task(spec: TaskSpec | Mapping[str, Any], code: TaskCode | None = None) -> Task:
    """The task that a spec (or the fields of one) describes.

    Args:
        spec: of the task.
        code: of a task of one's own (:mod:`raygp.tasks.own`); None: the file of the recorded name in the current
            folder, if it is the recorded one.

    Raises:
        InputError: the name is unknown (the known ones are listed), or a field is wrong, or ``dense`` names something
            that is not a parameter of the model; or a task of one's own cannot be made from its code.
    """
    if _is_own(spec):
        from raygp.tasks.own import OwnSpec, make_own

        fields = spec.model_dump() if isinstance(spec, TaskSpec) else spec
        return make_own(parse_spec(fields, OWN, OwnSpec), code)
    fields = {"name": spec.name} if isinstance(spec, TaskSpec) else spec
    name, kind = _kind_of(fields)
    if not isinstance(spec, TaskSpec):
        spec = parse_spec(spec, name, kind.spec)
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
    if name == OWN and not isinstance(task, str):
        return _own_tuning(task)
    if not isinstance(name, str) or name not in TASKS:
        return Tuning()
    kind = TASKS.get(name)
    if kind.tuning is None or isinstance(task, str):
        return kind.tuning_for(None)
    return kind.tuning_for(parse_spec(task, name, kind.spec))


def _is_own(spec: TaskSpec | Mapping[str, Any]) -> bool:
    return (spec.name if isinstance(spec, TaskSpec) else spec.get("name")) == OWN


def _own_tuning(task: Mapping[str, Any]) -> Tuning:
    """What a line keeps of the plans of a task of one's own: its code need not be there."""
    from raygp.tasks.networks import TUNINGS

    of_network = next((found.settings for name, found in TUNINGS.items() if name == task.get("network")), {})
    return Tuning(settings={**of_network, **(task.get("settings") or {})})


def fitted(task: Task, samples: Iterable[tuple[bytes, str]]) -> dict[str, Any] | None:
    """The spec of a new line, with what its task has to know of its data filled in; None for a task that has to know
    nothing. A task of one's own may have a method ``fit(samples)`` that gives its spec in place of
    :attr:`raygp.tasks.TaskKind.fit`.

    Args:
        task: as it was asked for.
        samples: the first arrival's training samples, encoded, with their labels.

    Raises:
        Unfit: the task cannot be fitted to them.
    """
    own: Callable[[Iterable[tuple[bytes, str]]], TaskSpec] | None = getattr(task, "fit", None)
    if own is None:
        kind = TASKS.get(task.name) if task.name in TASKS else None
        if kind is None or kind.fit is None:
            return None
        own = partial(kind.fit, task.spec)
    return own(samples).model_dump(mode="json")


def with_fitted(given: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given for the task of a line that exists, with those that were fitted as the line has them.

    Args:
        given: name and options of a task.
        line: the line's task.
    """
    name = given.get("name")
    if not isinstance(name, str) or name != line.get("name") or name not in TASKS:
        return dict(given)
    return {field: line[field] for field in TASKS.get(name).fitted if field in line} | dict(given)


def _kind_of(fields: Mapping[str, Any]) -> tuple[str, TaskKind]:
    name = fields.get("name")
    if not isinstance(name, str) or name not in TASKS:
        suggestion = TASKS.suggestion(name) if isinstance(name, str) else ""
        problem = "name is missing" if name is None else f"unknown name '{name}'{suggestion}"
        raise InputError(f"task: {problem}; known are {', '.join(TASKS)}")
    return name, TASKS.get(name)


def parse_spec(fields: Mapping[str, Any], name: str, kind: type[S]) -> S:
    """The spec that plain data describe.

    Args:
        fields: of the spec.
        name: of the task, for messages.
        kind: class of the spec.

    Raises:
        InputError: a field is unknown, missing or wrong.
    """
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(_explain(problem, kind) for problem in error.errors())
        raise InputError(f"task {name}: {problems}") from error


def _explain(problem: ErrorDetails, spec: type[TaskSpec]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"unknown field '{where}'; known are {', '.join(spec.model_fields)}"
    if problem["type"] == "missing":
        how = f": give {_OPTIONS[where]}" if where in _OPTIONS else ""
        return f"{where} is missing{how}"
    return f"{where}: {message}, not {problem['input']!r}" if where else message


def _check_dense(task: Task) -> None:
    import torch

    with torch.device("meta"):  # Only the names are wanted: nothing is allocated.
        known = [name for name, parameter in task.build_model(2).named_parameters() if parameter.ndim > 1]
    for name in task.dense:
        if name not in known:
            has = ", ".join(known)
            raise InputError(f"task {task.name}: dense: no weight is called '{name}'; the model has {has}")
