"""A person's word on a candidate that passed the gate: it waits, and is approved or rejected."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

from raygp.errors import InputError, RaygpError
from raygp.events import Approved, AwaitsApproval, Listener, Promoted, Rejected
from raygp.line.summary import SUMMARY, write_summary
from raygp.store import (
    Card,
    Location,
    Refusal,
    Waiting,
    find_waiting,
    forget_waiting,
    line_lease,
    list_versions,
    mark_waiting,
    open_head,
    open_line,
    promote,
    read_head,
    read_waiting,
    remove_drift,
    remove_version,
    require_conditional_writes,
    version_number,
    write_approval,
    write_refusal,
)
from raygp.store.documents import utc_now
from raygp.store.refusals import REFUSAL_FILE


@dataclass(frozen=True)
class AwaitingVersion:
    """A version that waits until a person approves it."""

    card: Card
    since: str
    """UTC, ISO 8601."""
    reason: str
    """What the gate said."""

    @property
    def version(self) -> str:
        """Such as ``v0007``."""
        return self.card.version

    @property
    def parent(self) -> str | None:
        """The head, which it was made from; None if there is none."""
        return self.card.parent


@dataclass(frozen=True)
class Approval:
    """What approving a version did."""

    version: str
    """The head now."""
    before: str | None
    """The head until now; the same version if it had been approved already."""

    @property
    def moved(self) -> bool:
        """Whether anything was done."""
        return self.version != self.before


def awaiting(location: Location) -> AwaitingVersion | None:
    """The version that waits for approval; None if none does. One request where none ever has.

    Raises:
        InputError: a document of the line cannot be read.
    """
    found = find_waiting(location)
    return AwaitingVersion(found[1], found[0].since, found[0].reason) if found else None


def await_approval(location: Location, card: Card, folder: str, reason: str, tell: Listener) -> None:
    """Have a written version wait for a person. Hold the line's lease.

    Args:
        location: root of the line.
        card: of the version, which passed the gate and was tried as it lies in storage.
        folder: of its update.
        reason: what the gate said.
        tell: told of it.
    """
    waiting = Waiting(
        version=card.version,
        update=card.update,
        folder=folder,
        parent=card.parent,
        since=utc_now(),
        reason=reason,
    )
    mark_waiting(location, waiting)
    tell(AwaitsApproval(root=location.root, card=card, since=waiting.since, reason=reason, is_new=True))


def approve(location: Location, version: str | None, by: str, tell: Listener) -> Approval:
    """Make the version that waits the head. One that was cut off is ended by the same call.

    Raises:
        InputError: none waits, or another one.
        ConflictError: somebody else is at work on the line, or moved the head meanwhile.
    """
    _check(location, version)
    require_conditional_writes(location)
    with line_lease(location, "raygp approve"):
        head = read_head(location)
        found = find_waiting(location, head)
        if found is None and head is not None and head.version == version:
            mark, card = read_waiting(location), open_head(location, head)
            if mark is not None and mark.update == card.update:
                _clear(location, mark, card)
            return Approval(version, version)
        waiting, card = _the_one(location, found, version, "approve")
        write_approval(location, card.version, by, waiting.since)
        promote(location, card, head)
        _clear(location, waiting, card)
        _renew_summary(location)
    tell(Approved(version=card.version, by=by, before=card.parent))
    tell(Promoted(card=card, reason=waiting.reason))
    return Approval(card.version, card.parent)


def _clear(location: Location, waiting: Waiting, card: Card) -> None:
    """Keep of the update of an approved version what is worth it, and delete the rest. The mark goes last: while it is
    there, the same approval again does what is left to do."""
    if card.sweep:
        from raygp.search.outcome import keep_events

        keep_events(location, waiting.folder, card.version)
    location.delete(waiting.folder, recursive=True)
    if card.drift is not None:  # It is on the card.
        remove_drift(location, card.folded_in)
    forget_waiting(location)


def reject(location: Location, version: str, because: str, by: str, tell: Listener) -> Card:
    """Refuse the version that waits, as the gate would have: its files go, and exactly this update is not tried again.
    A rejection that was cut off is ended by the same call, or by gc.

    Returns:
        The card of the version that was.

    Raises:
        InputError: none waits, or another one.
        ConflictError: somebody else is at work on the line.
    """
    _check(location, version)
    with line_lease(location, "raygp reject"):
        head = read_head(location)
        waiting, card = _the_one(location, find_waiting(location, head), version, "reject")
        said = f"rejected by {by or 'a person'}" + (f": {because}" if because else "")
        # First, so that whoever is killed from here on leaves no version that the next update would make again.
        refusal = Refusal(reason=said, val_accuracy=card.val_accuracy, ledger=card.ledger)
        write_refusal(location, waiting.folder, refusal)
        remove_version(location, card)
        for name in location.list(waiting.folder):
            if name != REFUSAL_FILE:
                location.delete(f"{waiting.folder}/{name}", recursive=True)
        forget_waiting(location)
        _renew_summary(location)
    stays = head.version if head else None
    tell(Rejected(card=card, because=because, by=by, head=stays))
    return card


def _check(location: Location, version: str | None) -> None:
    open_line(location)
    if version is not None:
        version_number(version)  # Raises if it is none.


def _the_one(
    location: Location, found: tuple[Waiting, Card] | None, version: str | None, verb: str
) -> tuple[Waiting, Card]:
    """What waits, if that is what was asked for.

    Raises:
        InputError: it is not.
    """
    if found is None:
        which = f"{version} does not wait" if version else "no version waits"
        raise InputError(f"{location.root}: {which} for approval: raygp status says what does")
    if version is not None and found[0].version != version:
        other = found[0].version
        raise InputError(f"{location.root}: {version} does not wait for approval, {other} does: raygp {verb} {other}")
    return found


def _renew_summary(location: Location) -> None:
    """Bring reports/summary.json up to date, where there is one: the seconds in it stay those of the last update."""
    with contextlib.suppress(RaygpError, ValueError, KeyError, TypeError):
        # It is a report for programs: the next update writes it anew.
        seconds = float(json.loads(location.read_bytes(SUMMARY))["wall_seconds"])
        write_summary(location, list_versions(location), seconds)
