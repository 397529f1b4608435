"""The board: a small actor through which the workers tell the driver what happens, and the driver asks them to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray

from raygp.cluster.session import beside_this_process
from raygp.events import Event, Listener, StopAsked, Working
from raygp.stopping import Asked

_POLL_S = 0.5
"""The driver asks the actor for news this often."""
DECODING = "decoding rows"


@dataclass(frozen=True)
class Failure:
    """Why an update ended without a candidate, as the worker that found out says it."""

    message: str
    exit_code: int


class _Board:
    def __init__(self) -> None:
        self._events: list[Event] = []
        self._failure: Failure | None = None
        self._stopping = False
        self._rows = 0

    def push(self, event: Event) -> None:
        self._events.append(event)

    def fail(self, failure: Failure) -> None:
        self._failure = self._failure or failure

    def stop(self) -> None:
        self._stopping = True

    def stopping(self) -> bool:
        return self._stopping

    def add_rows(self, rows: int) -> None:
        self._rows += rows

    def drain(self) -> tuple[list[Event], Failure | None, int]:
        events, self._events = self._events, []
        return events, self._failure, self._rows


def _board_actor() -> Any:
    # Several calls at once: workers wait for theirs while the driver drains.
    make: Any = ray.remote(num_cpus=0, max_concurrency=4)  # type: ignore[call-overload]  # Unknown to Ray's stubs.
    return make(_Board)


class Board:
    """The driver's end: tells events as they come, remembers a failure, and passes on that the update shall stop."""

    def __init__(self, tell: Listener) -> None:
        """Start the actor.

        Args:
            tell: told of the workers' events, from the thread of :meth:`watching`, and of what :meth:`tell` is given.
        """
        self._listener = tell
        self._telling = threading.Lock()
        # On another node the actor would be lost when that node is taken away, although the update goes on.
        self.handle: Any = _board_actor().options(scheduling_strategy=beside_this_process()).remote()
        self.failure: Failure | None = None
        self.asked = Asked()
        """Whether the workers are to end after their next checkpoint. The thread of :meth:`watching` passes it on."""
        self._told_of_the_end = False
        self._decoding: int | None = None
        self._rows = 0

    def decoding(self, rows: int | None) -> None:
        """From here on, tell how many of so many rows tasks have decoded (they call ``add_rows``); None: no longer."""
        self._decoding = rows

    @contextlib.contextmanager
    def watching(self) -> Iterator[Board]:
        """Tell events for the time of the block; the actor ends with it."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_POLL_S):
                with contextlib.suppress(ray.exceptions.RayError):
                    if self.asked:
                        self.handle.stop.remote()
                        self._tell_of_the_end()
                    self.catch_up()

        thread = threading.Thread(target=watch, name="raygp-progress", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(timeout=5)
            with contextlib.suppress(ray.exceptions.RayError):
                self.catch_up()
            ray.kill(self.handle)

    def tell(self, event: Event) -> None:
        """Tell of something that this process does. The workers' events come from another thread; a listener is told
        one after the other."""
        with self._telling:
            self._listener(event)

    def catch_up(self) -> None:
        """Tell now what the workers have told so far.

        Raises:
            ray.exceptions.RayError: the actor is gone, or does not answer.
        """
        with self._telling:
            events, failure, rows = ray.get(self.handle.drain.remote(), timeout=10)
            self.failure = failure or self.failure
            if self._decoding and rows != self._rows:
                self._rows = rows
                # A task that was lost decodes its rows again.
                events = [Working(what=DECODING, done=min(rows, self._decoding), total=self._decoding), *events]
            for event in events:
                self._listener(event)

    def _tell_of_the_end(self) -> None:
        if not self._told_of_the_end:
            self._told_of_the_end = True
            self.tell(StopAsked(signal=self.asked.name))
