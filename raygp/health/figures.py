"""A line's health, read from its documents."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.record import CostLedger
from raygp.store import Card, Location, Refusal
from raygp.store.card import find_card, version_names
from raygp.store.documents import seconds
from raygp.store.refusals import REFUSAL_FILE, read_refusal
from raygp.store.watched import WEEK_S, WatchNotes

if TYPE_CHECKING:
    from raygp.line import Line

_UPDATE = re.compile(r"updates/((v\d{4,})-(.+)-[0-9a-f]{8})/" + re.escape(REFUSAL_FILE))


@dataclass(frozen=True)
class LastRefusal:
    """A candidate that the gate refused."""

    version: str
    """What it was called."""
    arrival: str
    reason: str
    at: float
    """When, seconds since 1970: the time of its file."""
    ledger: CostLedger
    """What it cost."""
    update: str
    """Id of its update."""


@dataclass(frozen=True)
class Health:
    """How a line is. Times are seconds since 1970."""

    line: str
    """Its root."""
    at: float
    """When it was looked at."""
    version: str | None
    """The head; None: there is none yet."""
    head_since: float | None
    """When it became the head."""
    val_accuracy: float | None
    """The head's, 0 to 1, or what else the line measures."""
    density: float | None
    versions: int
    """All that lie in storage."""
    seen: int
    """Arrivals that the head has seen."""
    waiting: int
    """Arrivals that it has not."""
    rows_waiting: int
    """Their training rows."""
    oldest_waiting: float | None
    """When the one that waits longest was published."""
    left: int
    """Those of them that watchers leave alone."""
    refusals_week: int
    """Candidates refused in the last seven days, as far as they are kept."""
    last_refusal: LastRefusal | None
    examples_week: float
    """What updates that ended in the last seven days have cost (:class:`raygp.record.CostLedger`): versions, refusals,
    and what watchers have noted of those that failed."""
    worker_hours_week: float


class HealthReader:
    """Reads how a line is. It keeps what never changes, so that looking again costs little.

    Args:
        line: which one.
        clock: seconds since 1970.
    """

    def __init__(self, line: Line, clock: Callable[[], float] = time.time) -> None:
        self._line, self._clock = line, clock
        self._cards: dict[str, Card] = {}
        self._refusals: dict[tuple[str, float], Refusal] = {}
        self._last: Health | None = None

    def read(self, max_age_s: float = 0.0) -> Health:
        """How the line is now.

        Args:
            max_age_s: if it was read so many seconds ago or less, storage is not asked again.

        Raises:
            InputError: there is no line, or a document cannot be read.
            RaygpError: storage failed.
        """
        now, location = self._clock(), self._line.location
        if self._last is not None and 0 <= now - self._last.at <= max_age_s:
            return self._last
        state = self._line.refresh()
        names = version_names(location)
        refused = sorted(self._refused(location), key=lambda one: one.at)
        week = [one for one in refused if one.at > now - WEEK_S]
        notes = WatchNotes(location).read()
        spent = [card.ledger for card in self._cards_since(location, names, now - WEEK_S)]
        spent += [one.ledger for one in week]
        # Watchers note every update that became no version; what was refused stands in the line, too.
        known = {one.update for one in week}
        for key, cost in notes.spent.items():
            if key not in known and seconds(cost.at) > now - WEEK_S:
                spent.append(CostLedger(examples=cost.examples, worker_seconds=cost.worker_seconds))
        waiting = state.pending
        self._last = Health(
            line=location.root,
            at=now,
            version=state.version,
            head_since=seconds(state.head.updated) if state.head else None,
            val_accuracy=state.card.val_accuracy if state.card else None,
            density=state.card.density if state.card else None,
            versions=len(names),
            seen=len(state.seen),
            waiting=len(waiting),
            rows_waiting=sum(manifest.rows("train") for manifest in waiting),
            oldest_waiting=min((seconds(manifest.published) for manifest in waiting), default=None),
            left=sum(manifest.arrival in notes.left for manifest in waiting),
            refusals_week=len(week),
            last_refusal=refused[-1] if refused else None,
            examples_week=sum(ledger.examples for ledger in spent),
            worker_hours_week=sum(ledger.worker_seconds for ledger in spent) / 3600.0,
        )
        return self._last

    def _cards_since(self, location: Location, names: list[str], since: float) -> Iterator[Card]:
        """Cards of the versions that were made since then. Later versions have higher names, so older ones are not
        read."""
        for name in reversed(names):
            card = self._cards.get(name) or find_card(location, name)
            if card is None:
                continue
            self._cards[name] = card
            if seconds(card.created) <= since:
                return
            yield card

    def _refused(self, location: Location) -> Iterator[LastRefusal]:
        for file in location.walk("updates"):
            found = _UPDATE.fullmatch(file.path)
            if found is None:
                continue
            key = (file.path, file.modified)
            refusal = self._refusals.get(key) or read_refusal(location, f"updates/{found[1]}")
            if refusal is not None:
                self._refusals[key] = refusal
                yield LastRefusal(found[2], found[3], refusal.reason, file.modified, refusal.ledger, found[1])
