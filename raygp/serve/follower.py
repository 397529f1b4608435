"""Following the head of a line: a new version is loaded beside the old one and takes over once it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from raygp.errors import InputError, RaygpError
from raygp.serve.probe import Probe, ask, find_probe
from raygp.serve.served import Load, Served
from raygp.store import Card, Location, open_head, read_card, read_head

_LONGEST_WAIT_S = 300.0
"""A version that failed is tried again after ever longer times, up to this."""


@dataclass(frozen=True)
class Standing:
    """Where a follower stands; a value that can be sent to other processes."""

    version: str | None = None
    """What answers now."""
    since: float = 0.0
    """When it took over, in seconds since 1970."""
    switches: int = 0
    """Versions that have taken over from another."""
    failures: int = 0
    """Attempts to take a version over that failed."""
    failed: str | None = None
    """The head that could not take over; None if it is what answers."""
    problem: str = ""
    """Why not, or why storage could not be asked."""
    probed: int = 0
    """Held-out rows that the version answered before it took over."""


class Follower:
    """Keeps :attr:`current` at the head of a line, forward and back, from a thread of its own.

    Whoever answers takes :attr:`current` anew for each batch. To switch is to set one reference, so no request waits
    for it, and the old version is freed when its last batch is answered. What goes wrong on the way (a damaged file, a
    model that does not answer, storage that is away) is told in :attr:`standing`; the old version goes on.
    """

    def __init__(self, location: Location, load: Load, pinned: str | None = None, poll_s: float = 5.0) -> None:
        """Nothing is read yet.

        Args:
            location: root of the line.
            load: loads a version.
            pinned: a version that is served whatever the head is; None: the head.
            poll_s: seconds between two looks at the head.
        """
        self._location, self._load, self._pinned, self._poll_s = location, load, pinned, poll_s
        self._state = Standing()
        self._current: Served | None = None
        self._identity: tuple[str, str] | None = None
        self._failed: tuple[str, str] | None = None
        self._retry_at, self._wait_s = 0.0, poll_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="raygp-follows", daemon=True)

    @property
    def current(self) -> Served | None:
        """The version that answers; None until the first is loaded."""
        return self._current

    @property
    def standing(self) -> Standing:
        """Where it stands."""
        return self._state

    def start(self) -> None:
        """Load the first version, then follow in a thread. A version that cannot be loaded is told in
        :attr:`standing`."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is being loaded is left alone."""
        self._ended.set()

    def look(self) -> None:
        """Look at the head once, and take it over if it is another version."""
        try:
            found = self._wanted()
        except Exception as error:  # Storage may be away for a while: a thread that ended would never follow again.
            self._state = replace(self._state, problem=_said(error))
            return
        if found is None:
            self._state = replace(self._state, problem=f"{self._location.root} has no version yet")
            return
        identity, read = found
        if identity == self._identity:
            # The head may have come back from a version that failed.
            self._failed = None
            self._state = replace(self._state, failed=None, problem="")
            return
        if identity != self._failed:
            self._wait_s = self._poll_s
        elif time.monotonic() < self._retry_at:
            return
        self._take_over(identity, read)

    def _wanted(self) -> tuple[tuple[str, str], Callable[[], Card]] | None:
        """What tells the version that should answer from all others (its name alone may come to mean another one), and
        how its card is read."""
        if self._pinned is not None:
            pinned = self._pinned
            return (pinned, ""), lambda: read_card(self._location, pinned)
        head = read_head(self._location)
        if head is None:
            return None
        return (head.version, head.card_sha256), lambda: open_head(self._location, head)

    def _take_over(self, identity: tuple[str, str], read: Callable[[], Card]) -> None:
        try:
            served = self._load(read())
            probe = self._probe(served.card)
            ask(served, probe)
        except Exception as error:  # Loading runs code of others, and must not end the thread.
            self._failed = identity
            self._retry_at = time.monotonic() + self._wait_s
            self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
            failures = self._state.failures + 1
            self._state = replace(self._state, failed=identity[0], problem=_said(error), failures=failures)
            return
        switches = self._state.switches + (self._current is not None)
        self._current, self._identity, self._failed = served, identity, None
        self._state = Standing(served.version, time.time(), switches, self._state.failures, probed=len(probe.samples))

    def _probe(self, card: Card) -> Probe:
        """Rows for the version to answer. Where an arrival is damaged or gone, the version may be good all the same."""
        try:
            return find_probe(self._location, card)
        except InputError:
            return Probe()

    def _follow(self) -> None:
        while not self._ended.wait(self._poll_s):
            self.look()


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, RaygpError) else f"{type(error).__name__}: {error}"
