"""The line that a source is published into: one that exists, or one that is to be made."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError
from raygp.store import Location, check_root_usable, create_line, list_arrivals
from raygp.tasks import make_task, with_fitted

if TYPE_CHECKING:
    from raygp.tasks.own import TaskCode


@dataclass(frozen=True)
class Target:
    """The line that is ingested into."""

    location: Location
    task: dict[str, Any]
    """Its spec, with all defaults filled in."""
    is_new: bool
    code: TaskCode | None = None
    """Of a task of one's own."""

    @classmethod
    def at(cls, location: Location, task: Mapping[str, Any] | None, code: TaskCode | None = None) -> Target:
        """The line at a root, or the one that is to be made there.

        Raises:
            InputError: the root or the task cannot be used, or the line is for another task.
        """
        spec = check_root_usable(location)
        if spec is None:
            if task is None:
                raise InputError(f"{location.root} holds no model line yet: say which --model or --task it is to be")
            _check_named(task, "say which")
            return cls(location, _complete(task, code), is_new=True, code=code)
        if task is not None:
            _check_named(task, f"leave it out, as the line knows its task, or give --task {spec.task['name']} too")
        if task is not None:
            task = with_fitted(task, spec.task)
        if task is not None and make_task(task, code).spec != make_task(spec.task, code).spec:
            create_line(location, _complete(task, code))  # Raises an error that names the fields that differ.
        return cls(location, _complete(spec.task, code), is_new=False, code=code)


def _check_named(task: Mapping[str, Any], advice: str) -> None:
    """Refuse settings of a task without its name."""
    if task.get("name") is None:
        given = " and ".join(f"--{field.replace('_', '-')}" for field in task if field != "name") or "an empty task"
        raise InputError(f"{given} without --task NAME: {advice}")


def _complete(task: Mapping[str, Any], code: TaskCode | None) -> dict[str, Any]:
    """The task's spec with all defaults filled in."""
    return make_task(task, code).spec.model_dump(mode="json")


def remove_empty_line(location: Location) -> None:
    """Undo the creation of a line in which nothing was published."""
    if list_arrivals(location):
        return
    location.delete("line.json")
    if location.is_local:
        for folder in ("arrivals", ""):
            # A folder that is not empty holds files of somebody else, and stays.
            with contextlib.suppress(OSError):
                location.local_path(folder).rmdir()
