"""A watcher with a clock of its own, whose updates a fake runner makes at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from raygp.events import Event
from raygp.line import Line
from raygp.settings import RunSettings
from raygp.store import Location, create_line, read_head
from raygp.store.watched import Watched, WatchNotes
from raygp.watch.hands import OwnHands, digest_of
from raygp.watch.loop import Watcher
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner

TASK = {"name": "lenet-300-100"}
START = 1_770_000_000.0
"""2 February 2026, 02:40 UTC, a Monday."""
E = TypeVar("E", bound=Event)


class Enough(BaseException):
    """The test has slept as long as it wanted to."""


class Rig:
    """One line and one watcher after another.

    Args:
        location: root of the line; it is made if there is none.
        runner: carries the updates out.
        overrides: settings, such as ``watch.refused=aside``.
    """

    def __init__(self, location: Location, runner: Any = None, *overrides: str) -> None:
        create_line(location, TASK)
        self.location, self.runner = location, runner or FakeRunner()
        self.now, self.events = START, list[Event]()
        self.overrides = overrides
        self.meanwhile: dict[int, Callable[[], object]] = {}
        """What happens during the n-th sleep, counted from 0."""
        self.slept = list[float]()

    @property
    def settings(self) -> RunSettings:
        """Of the line."""
        return Line(self.location).settings(None, *self.overrides)

    def watcher(self) -> Watcher:
        """A new one, as after a restart."""
        line = Line(self.location)
        settings = self.settings
        hands = OwnHands(line, settings, self.runner)
        return Watcher(
            line, settings.watch, hands, self.events.append, digest_of(settings), lambda: self.now, self._sleep
        )

    def once(self) -> Watcher:
        """What cron starts."""
        watcher = self.watcher()
        watcher.run(once=True)
        return watcher

    def watch(self, sleeps: int) -> list[Event]:
        """Look after the line until the watcher wants to sleep for the n-th time; what it told."""
        before, self._left = len(self.events), sleeps
        with contextlib.suppress(Enough):
            self.watcher().run()
        return self.events[before:]

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0.0
        number = len(self.slept)
        self.slept.append(seconds)
        self._left = getattr(self, "_left", 1_000) - 1
        if self._left <= 0:
            raise Enough
        self.now += seconds
        self.meanwhile.pop(number, lambda: None)()

    def told(self, kind: type[E]) -> list[E]:
        """The events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def notes(self) -> Watched:
        """What watchers remember."""
        return WatchNotes(self.location).read()

    @property
    def head(self) -> str | None:
        """Name of the head."""
        head = read_head(self.location)
        return head.version if head else None


def put(folder: Path, start: int, stop: int, classes: str = "01") -> Path:
    """Write digits into a folder, as images in class folders."""
    for sample in FewDigits(start, stop, classes).samples():
        file = folder / sample.label / f"{sample.key}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sample.load())
    return folder
