"""What is told of the life of a line: updates begin, candidates become the head or do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raygp.events.base import Event
from raygp.record import DriftRecord, UpdateRecord

if TYPE_CHECKING:
    from raygp.store import Card


@dataclass(frozen=True, kw_only=True)
class NothingNew(Event):
    """There is nothing to update: the head has seen every arrival that has training rows."""

    root: str
    head: str | None
    arrivals: int
    """How many the head has seen."""
    waiting: tuple[str, ...] = ()
    """Arrivals without training rows: what they hold out counts from the next update on."""


@dataclass(frozen=True, kw_only=True)
class UpdatesWaiting(Event):
    """Updates are about to run, one for each arrival that waits; Ray is started next."""

    root: str
    arrivals: int
    fold: bool = False
    """Whether there is one for all of them."""


@dataclass(frozen=True, kw_only=True)
class Drifted(Event):
    """An arrival is unlike what the line has seen, and how. What is done about it is ``drift.then``: note, warn, sweep
    (its update becomes one) or wait (no update starts)."""

    version: str
    """What the candidate of its update will be called."""
    arrival: str
    """The newest of those that were compared."""
    drift: DriftRecord


@dataclass(frozen=True, kw_only=True)
class UpdateStarted(Event):
    """An update, or a sweep of updates, begins."""

    version: str
    """What its candidate will be called."""
    arrival: str
    """Of several the newest."""
    parent: str | None
    """None: an initial synthesis."""
    plan: str
    """Name of the plan."""
    metric: str = ""
    """What accuracies are called where they are no shares of right answers, such as ``R2``. Else empty."""
    beside: tuple[str, ...] = ()
    """Other arrivals that are folded in together with it, oldest first; some may have no training rows."""
    old_rows: int = 0
    """Training rows of the arrivals that the parent has seen."""
    new_rows: int = 0
    """Those of the arrivals that this update folds in."""
    update: str = ""
    """Id of the update, which is the same when it goes on after an interruption."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the plan, as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Promoted(Event):
    """A candidate passed the gate and is the head."""

    card: Card
    reason: str = ""
    """What the gate said."""


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """The gate refused a candidate."""

    version: str
    arrival: str
    """Of several the newest."""
    reason: str
    head: str | None
    """What stays the head."""
    decided_by: str = "validation"
    """What decided, such as "class 7" (:class:`raygp.update.gate.Verdict`)."""
    advice: str = ""
    """What to try."""
    record: UpdateRecord | None = None
    """What the update did and measured."""
    beside: tuple[str, ...] = ()
    """Other arrivals that it folded in, oldest first."""


@dataclass(frozen=True, kw_only=True)
class AwaitsApproval(Event):
    """A candidate passed the gate and waits for a person (``promote: approve``); until then no update starts."""

    root: str
    card: Card
    since: str
    """UTC, ISO 8601."""
    reason: str = ""
    """What the gate said."""
    is_new: bool = False
    """Whether it waits from now on; if not, an update met it, and did nothing."""


@dataclass(frozen=True, kw_only=True)
class Approved(Event):
    """A person approved the candidate that waited. Promoted follows."""

    version: str
    by: str
    """Empty if that was not said."""
    before: str | None
    """The head until now."""


@dataclass(frozen=True, kw_only=True)
class Rejected(Event):
    """A person rejected the candidate that waited: its files are gone, and its update counts as refused."""

    card: Card
    """Of what was."""
    because: str
    by: str
    """Empty if that was not said."""
    head: str | None
    """What stays the head."""


@dataclass(frozen=True, kw_only=True)
class RolledBack(Event):
    """An earlier version is the head again."""

    version: str
    before: str
    """The head until now."""


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """What was being done to the line ended with an error that is no refusal. Told by whoever tells others
    (:func:`raygp.tell.listeners`), not by the line itself, which raises."""

    doing: str
    """Such as "raygp update"."""
    error: str
    exit_code: int
    """What the command ends with: 1 failed, 2 bad input, 3 somebody else was first."""


@dataclass(frozen=True, kw_only=True)
class TriedOut(Event):
    """Nothing happened: somebody tries out whether those who are to be told are told (``raygp tell --test``)."""

    text: str
