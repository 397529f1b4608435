"""What a watcher asks of storage while it is idle: at most two requests each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raygp.line.state import LineState
from raygp.store import Location, arrival_names, read_head
from raygp.store.manifest import manifest_path
from raygp.store.waiting import WAITING_FILE
from raygp.store.watched import WATCH_FILE


class Looks:
    """Whether something has changed since the line was last read.

    Each look lists the arrivals, and asks one more thing: in turn for whatever might have changed.

    Args:
        location: root of the line.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._known: dict[str, Any] = {}
        self._unpublished: list[str] = []
        self._remembers = self._waits = False
        self._turn = 0

    def settle(self, names: Sequence[str], state: LineState, notes: bytes | None, waiting: str) -> None:
        """What was read of the line: the next look compares with it.

        Args:
            names: of all arrival folders, as listed before the rest was read.
            state: where the line stands.
            notes: what the watchers' document holds.
            waiting: the candidate that waits for a person; empty: none does.
        """
        known = {*state.seen, *(manifest.arrival for manifest in state.pending)}
        self._unpublished = [name for name in names if name not in known]
        self._known = {"arrivals": tuple(names), "head": state.head, "notes": notes, "waiting": bool(waiting)}
        self._remembers, self._waits = bool(state.pending), bool(waiting)

    def names(self) -> list[str]:
        """All arrival folders, published or not."""
        return arrival_names(self._location)

    def changed(self, budget: int = 2) -> bool:
        """Whether something differs from what was read.

        Args:
            budget: requests that it may cost.
        """
        if not self._known:
            return True
        if self._known["arrivals"] != tuple(self.names()):
            return True
        return budget > 1 and self._second()

    def _second(self) -> bool:
        """One question of those that may matter, another one each time."""
        questions: list[Callable[[], bool]] = [self._head_moved]
        if self._remembers:
            questions.append(self._notes_changed)
        if self._waits:
            questions.append(self._answered)
        self._turn += 1
        # An ingest at work ends within minutes: it is asked for most of the time.
        if self._unpublished and self._turn % 4:
            name = self._unpublished[self._turn % len(self._unpublished)]
            return self._location.read_if_exists(manifest_path(name)) is not None
        return questions[self._turn // (4 if self._unpublished else 1) % len(questions)]()

    def _head_moved(self) -> bool:
        return bool(read_head(self._location) != self._known["head"])

    def _notes_changed(self) -> bool:
        return bool(self._location.read_if_exists(WATCH_FILE) != self._known["notes"])

    def _answered(self) -> bool:
        return self._location.read_if_exists(WAITING_FILE) is None
