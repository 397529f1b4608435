"""The code of a line's task, where the task is one's own: which code it is, and what happens where it has changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError
from raygp.store import Location, change_task

if TYPE_CHECKING:
    from raygp.tasks.own import TaskCode


class GivenCode:
    """What a person gave as the code of a line's task (``--task``), read once.

    Args:
        reference: ``my_task.py``, ``my_task.py:Class`` or ``package.module:Class``; None: nothing was given.
        changed: that the code may have changed is confirmed (``--task-changed``).

    Raises:
        InputError: ``reference`` is none of these, or cannot be read.
    """

    def __init__(self, reference: str | os.PathLike[str] | None = None, changed: bool = False) -> None:
        self.reference, self.changed = reference, changed
        self._read: tuple[TaskCode, str] | None = None
        if reference is not None:
            from raygp.tasks.own import read_code

            self._read = read_code(reference)
        elif changed:
            raise InputError("--task-changed without --task: say which file is the line's task from now on")

    def new_task(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The spec of the task for a line that is to be made, with options that were given.

        Raises:
            InputError: the code cannot be run, or an option does not fit.
        """
        from raygp.tasks.own import own_spec

        code, class_name = self._need()
        return own_spec(code, class_name, given).model_dump(mode="json")

    @staticmethod
    def again(task: Mapping[str, Any], code: TaskCode, options: Mapping[str, Any]) -> dict[str, Any]:
        """The spec of a line's task with some of its options given again."""
        from raygp.tasks.own import own_spec

        given = {**(task.get("given") or {}), **options}
        return own_spec(code, str(task.get("class")), given).model_dump(mode="json")

    @property
    def code(self) -> TaskCode | None:
        """What was given."""
        return self._read[0] if self._read else None

    def of(self, location: Location, task: Mapping[str, Any]) -> TaskCode | None:
        """The code of a line's task; None if that is none of one's own.

        Code that has changed, where that was confirmed, is the line's from now on: ``line.json`` is rewritten.

        Args:
            location: root of the line.
            task: the line's.

        Raises:
            InputError: code was given and the task is none of one's own, or none was given and the recorded one is not
                in the current folder; or it has changed and that was not confirmed.
            ConflictError: it has changed, and somebody is at work on the line.
        """
        from raygp.tasks.making import OWN
        from raygp.tasks.own import changed, find_code

        if task.get("name") != OWN:
            if self._read:
                named = task.get("name")
                raise InputError(f"--task {self.reference}: this line's task is {named}, no code of your own")
            return None
        if self._read is None:
            return find_code(task)
        code, class_name = self._read
        if code.sha256 != task.get("sha256"):
            if not self.changed:
                raise InputError(changed(task, code))
            new = self.new_task(task.get("given") or {})
            change_task(location, dict(task), new, "raygp --task-changed")
        elif class_name and class_name != task.get("class"):
            raise InputError(f"--task {self.reference}: this line's task is {task.get('class')} of {code.file}")
        return code

    def _need(self) -> tuple[TaskCode, str]:
        if self._read is None:
            raise InputError("say which file is the task: --task my_task.py")
        return self._read
