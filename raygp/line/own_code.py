"""The code of a line's task, where the task is one's own: which code it is, and what happens where it has changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError
from raygp.store import Location, change_task, check_root_usable

if TYPE_CHECKING:
    from raygp.tasks.own import TaskCode


class GivenCode:
    """The code of a line's task: what a person gave (``--task``), read once, or what was found.

    Args:
        reference: ``my_task.py``, ``my_task.py:Class`` or ``package.module:Class``; None: nothing was given.
        changed: that the code may have changed is confirmed (``--task-changed``).

    Raises:
        InputError: ``reference`` is none of these, or cannot be read.
    """

    def __init__(self, reference: str | os.PathLike[str] | None = None, changed: bool = False) -> None:
        self.reference, self.changed = reference, changed
        self.code: TaskCode | None = None
        """What was given or found; None where the task is none of one's own, or nothing was looked for yet."""
        self.is_settled = False
        """Whether the code is known to be the line's."""
        self._class = ""
        if reference is not None:
            self._read(reference)
        elif changed:
            raise InputError("--task-changed without --task: say which file is the line's task from now on")

    def _read(self, reference: str | os.PathLike[str]) -> None:
        from raygp.tasks.own import read_code

        self.reference = reference
        self.code, self._class = read_code(reference)
        self.is_settled = False

    def use(self, code: TaskCode | None) -> None:
        """Take this for the line's code."""
        self.code, self.is_settled = code, True

    def settle(self, location: Location, task: Mapping[str, Any]) -> None:
        """Find the code of a line's task, or compare what was given with it.

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

        code = self.code
        if task.get("name") != OWN:
            if code is not None:
                named = task.get("name")
                raise InputError(f"--task {self.reference}: this line's task is {named}, no code of your own")
        elif code is None:
            self.code = find_code(task)
        elif code.sha256 != task.get("sha256"):
            if not self.changed:
                raise InputError(changed(task, code))
            change_task(location, dict(task), self._spec(task.get("given") or {}), "raygp --task-changed")
        elif self._class and self._class != task.get("class"):
            raise InputError(f"--task {self.reference}: this line's task is {task.get('class')} of {code.file}")
        self.is_settled = True

    def for_ingest(
        self, location: Location, task: dict[str, Any] | None
    ) -> tuple[dict[str, Any] | None, TaskCode | None]:
        """The spec that an ingest is to be given, and the code of the task. Raises as :meth:`settle`.

        Args:
            location: root of the line, or of one that is to be made.
            task: what was said of the task: its name, which may be a file, and options.
        """
        from raygp.tasks.making import OWN
        from raygp.tasks.own import is_own

        name = task.get("name") if task else None
        if name == OWN:  # A complete spec: whoever has it has the code, too.
            return task, self.code
        if is_own(name):
            self._read(str(name))
        other = name is not None and not is_own(name)
        options = {key: value for key, value in (task or {}).items() if key != "name"}
        there = check_root_usable(location)
        if there is None:
            return (task, None) if self.code is None or other else (self._spec(options), self.code)
        if not self.is_settled:
            self.settle(location, there.task)
            there = check_root_usable(location) or there
        if self.code is None:
            return task, None
        line = there.task
        if other:
            raise InputError(f"{location.root}: this line's task is {line['class']} of {self.code.file}, not {name}")
        # What was given for this line holds. Something else that is given now is refused where the two are compared.
        self._class = str(line["class"])
        return (self._spec({**(line.get("given") or {}), **options}) if options else None), self.code

    def _spec(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The complete spec of the code's task with options that were given."""
        from raygp.settings import check_task_settings
        from raygp.tasks.own import own_spec

        assert self.code is not None
        spec = own_spec(self.code, self._class, given).model_dump(mode="json")
        check_task_settings(spec)
        return spec
