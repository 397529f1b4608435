"""A thread for each teller, so that one that is slow or fails holds nobody up."""

from __future__ import annotations

import threading
import time
from collections import deque

from raygp.tell.base import OUTCOMES, PROGRESS, NotAgain, NotTold, Teller, TellSettings, Told

CAPACITY = 1000
"""Events that wait for one teller at most; then progress goes first, outcomes last."""
FIRST_PAUSE_S = 1.0
"""Before a failed event is tried again; twice that before the next time, and so on."""
LONGEST_PAUSE_S = 60.0


class Queue:
    """Events on their way to one teller. The thread starts with the first event that the teller wants.

    Args:
        settings: make the teller.
    """

    def __init__(self, settings: TellSettings) -> None:
        self.settings = settings
        self._waiting: deque[Told] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._deadline = float("inf")
        self._problem = ""
        self._dropped = False
        self._was_told = False
        """Whether the listener has been told of the failures since something last went well."""

    def put(self, told: Told) -> None:
        """Hand an event over; returns at once."""
        if not self.settings.wants(told.type):
            return
        with self._changed:
            if len(self._waiting) >= CAPACITY:
                self._make_room()
            self._waiting.append(told)
            if self._thread is None:
                name = f"raygp-tell-{self.settings.kind}"
                # A daemon: a command does not wait for one that hangs beyond its limit.
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def problem(self) -> str:
        """What went wrong and has not been asked for yet; empty if nothing did."""
        with self._changed:
            found, self._problem = self._problem, ""
        return found and f"{self.settings.title}: {found}"

    def close(self, deadline: float) -> None:
        """Wait until everything is told, and no longer than until ``deadline`` (of :func:`time.monotonic`)."""
        with self._changed:
            self._closing, self._deadline = True, deadline
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            with self._changed:
                left = len(self._waiting)
                self._fail("it had not come to an end" + (f", and {left:,} more wait" if left else ""))

    def _make_room(self) -> None:
        """Leave one event out: progress if there is any, an outcome only if there is nothing else."""
        types = [told.type for told in self._waiting]
        for gone in (PROGRESS, {*types} - OUTCOMES, OUTCOMES):
            if (place := next((place for place, name in enumerate(types) if name in gone), None)) is not None:
                del self._waiting[place]
                if not self._dropped:
                    self._problem = self._problem or f"it is too slow for {CAPACITY:,} events: some are left out"
                self._dropped = True
                return

    def _work(self) -> None:
        teller: Teller | None = None
        while (told := self._next()) is not None:
            teller = self._tell(teller, told)
        if teller is not None:
            try:
                teller.close()
            except Exception as error:
                with self._changed:
                    self._fail(in_words(error))

    def _next(self) -> Told | None:
        """The next event, once there is one; None after the last."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            return self._waiting.popleft()

    def _tell(self, teller: Teller | None, told: Told) -> Teller | None:
        """Pass one event on, as often as needed; the teller, once there is one."""
        pause = FIRST_PAUSE_S
        for left in range(self.settings.retries, -1, -1):
            try:
                teller = teller or self.settings.make()
                teller.tell(told)
            except Exception as error:
                if not left or isinstance(error, NotAgain) or not self._rest(pause):
                    with self._changed:
                        self._fail(f"{told.type} was not told: {in_words(error)}")
                    return teller
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._was_told = False
                return teller
        return teller

    def _rest(self, seconds: float) -> bool:
        """Pause before another try; False if there is no time left for one."""
        until = time.monotonic() + seconds
        with self._changed:
            while (left := min(until, self._deadline) - time.monotonic()) > 0:
                self._changed.wait(left)
            return time.monotonic() < self._deadline

    def _fail(self, reason: str) -> None:
        if not self._was_told:
            self._problem, self._was_told = reason, True


def in_words(error: Exception) -> str:
    """What went wrong, on one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, NotTold) and text else f"{text} ({type(error).__name__})" if text else repr(error)
