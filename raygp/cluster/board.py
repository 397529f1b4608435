"""The board: a small actor through which the workers tell the driver what happens, and the driver asks them to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray

from raygp.cluster.session import beside_this_process
from raygp.events import Event, Listener

_POLL_S = 0.5
"""The driver asks the actor for news this often."""


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

    def push(self, event: Event) -> None:
        self._events.append(event)

    def fail(self, failure: Failure) -> None:
        self._failure = self._failure or failure

    def stop(self) -> None:
        self._stopping = True

    def stopping(self) -> bool:
        return self._stopping

    def drain(self) -> tuple[list[Event], Failure | None]:
        events, self._events = self._events, []
        return events, self._failure


def _board_actor() -> Any:
    make: Any = ray.remote(num_cpus=0, max_concurrency=4)  # type: ignore[call-overload]  # Unknown to Ray's stubs.
    return make(_Board)


class Board:
    """The driver's end: tells events as they come, remembers a failure, and passes on that the update shall stop."""

    def __init__(self, tell: Listener) -> None:
        """Start the actor.

        Args:
            tell: told of the workers' events, from the thread of :meth:`watching`.
        """
        self._tell = tell
        # On another node the actor would be lost when that node is taken away, although the update goes on.
        self.handle: Any = _board_actor().options(scheduling_strategy=beside_this_process()).remote()
        self.failure: Failure | None = None
        self._stop = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether the update was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the workers to end after their next checkpoint. It may be called in a signal handler: it only sets a
        flag, and the thread of :meth:`watching` passes it on."""
        self._stop.set()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Board]:
        """Tell events for the time of the block; the actor ends with it."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_POLL_S):
                with contextlib.suppress(ray.exceptions.RayError):
                    if self.stopping:
                        self.handle.stop.remote()
                    self._poll()

        thread = threading.Thread(target=watch, name="raygp-progress", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(timeout=5)
            with contextlib.suppress(ray.exceptions.RayError):
                self._poll()
            ray.kill(self.handle)

    def _poll(self) -> None:
        events, failure = ray.get(self.handle.drain.remote(), timeout=10)
        self.failure = failure or self.failure
        for event in events:
            self._tell(event)
