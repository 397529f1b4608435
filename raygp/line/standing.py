"""Where a model line stands: everything that can be read of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError
from raygp.events import Event, Listener
from raygp.line.approval import AwaitingVersion, awaiting
from raygp.line.own_code import GivenCode
from raygp.line.state import LineState, read_state
from raygp.line.unfinished import UnfinishedUpdate, find_unfinished
from raygp.line.version import Version
from raygp.store import (
    Card,
    Location,
    Manifest,
    check_root_usable,
    list_arrivals,
    list_versions,
    open_line,
    read_card,
)

if TYPE_CHECKING:
    from raygp.tasks import Task
    from raygp.tasks.own import TaskCode


class Standing:
    """What can be read of the line at a root, and who is told of what happens to it. See :class:`raygp.line.Line`."""

    def __init__(
        self,
        root: str | Location,
        *,
        single_writer: bool = False,
        task: str | os.PathLike[str] | None = None,
        task_changed: bool = False,
    ) -> None:
        self.location = root if isinstance(root, Location) else Location(root, single_writer)
        self._given = GivenCode(task, task_changed)
        self._listeners: list[Listener] = []
        self._state: LineState | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.root!r})"

    @property
    def root(self) -> str:
        """Where the line lives."""
        return self.location.root

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener of everything that happens from now on; call what is returned to end that."""
        self._listeners.append(listener)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    # -- where it stands ----------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether there is a line at the root. Raises InputError if the root holds something else."""
        return check_root_usable(self.location) is not None

    @property
    def state(self) -> LineState:
        """Where the line stands: read once, and again after this object has changed something. See :meth:`refresh` for
        what others have changed."""
        if self._state is None:
            self._state = read_state(self.location)
        return self._state

    def refresh(self) -> LineState:
        """Read anew where the line stands."""
        self._state = None
        return self.state

    @property
    def task(self) -> dict[str, Any]:
        """The line's task: its name and options."""
        # It never changes: what else there is to read of the line may wait until it is asked for.
        return self._state.task if self._state else open_line(self.location).task

    @property
    def code(self) -> TaskCode | None:
        """The code of the line's task, if it is one's own: what was given, or the file of the recorded name in the
        current folder. Where it has changed, and ``task_changed`` says so, it is the line's from now on.

        Raises:
            InputError: it is not there, or is not the one that the line was made with.
            ConflictError: it has changed, and somebody is at work on the line.
        """
        if not self._given.is_settled:
            self._given.settle(self.location, self.task)
            self._state = None if self._given.reference else self._state  # It may be another task by now.
        return self._given.code

    def use_code(self, code: TaskCode | None) -> None:
        """Take this as the code of the line's task, whatever was given or lies in the current folder."""
        self._given.use(code)

    def make_task(self) -> Task:
        """The line's task as an object. Raises as :attr:`code`."""
        from raygp.tasks import make_task

        code = self.code
        return make_task(self.task, code)

    def _version(self, card: Card) -> Version:
        # A version that is only looked at needs no code: what was not given is looked for when a model is made.
        return Version(self.location, card, self.code if self._given.code else None)

    @property
    def head(self) -> Version | None:
        """The version that counts; None if there is none yet."""
        return self._version(self.state.card) if self.state.card else None

    @property
    def waiting(self) -> AwaitingVersion | None:
        """The version that waits until a person approves it (``promote: approve``); None if none does::

            if line.waiting:
                line.approve(line.waiting.version, by="anna")

        It is read anew each time.
        """
        return awaiting(self.location)

    @property
    def pending(self) -> tuple[Manifest, ...]:
        """Arrivals that wait for an update, oldest first."""
        return self.state.pending

    def versions(self) -> list[Version]:
        """All versions, oldest first, in the head's history or not."""
        open_line(self.location)
        return [self._version(card) for card in list_versions(self.location)]

    def version(self, name: str = "head") -> Version:
        """One version, by its name or as ``"head"``.

        Raises:
            InputError: there is no such version, or no version at all.
        """
        if name != "head":
            open_line(self.location)
            return self._version(read_card(self.location, name))
        if self.head is None:
            raise InputError(f"{self.root} has no version yet: raygp update makes the first")
        return self.head

    def arrivals(self) -> list[Manifest]:
        """All published arrivals, oldest first."""
        open_line(self.location)
        return list_arrivals(self.location)

    def unfinished(self) -> list[UnfinishedUpdate]:
        """Updates that were begun and are neither over nor refused."""
        return find_unfinished(self.location)

    def _tell(self, event: Event) -> None:
        for listener in list(self._listeners):
            listener(event)
