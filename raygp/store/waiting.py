"""A version that passed the gate and waits until a person approves it: written, and marked in a document of its own.

The mark names the version, its update and its parent. It holds only while that parent is the head and the version is
there, so that whoever is killed between two writes leaves a line on which the version waits or is answered, and never
both. What the mark leaves behind is of no effect and is overwritten by the next one.
"""

from __future__ import annotations

from typing import ClassVar

from raygp.store.card import Card, find_card, version_folder
from raygp.store.documents import Document, encode, read_document, utc_now
from raygp.store.head import Head, read_head
from raygp.store.location import Location

WAITING_FILE = "waiting.json"
APPROVED_FILE = "approved.json"
"""In the folder of a version that a person approved."""


class Waiting(Document):
    """Which version waits for approval."""

    FORMAT: ClassVar[int] = 1

    version: str
    update: str
    """Id of the update that made it."""
    folder: str
    """Of that update, where a refusal of it belongs; of a sweep another one than its winner's."""
    parent: str | None
    """The head that it was made from; None for a first version."""
    since: str
    """UTC, ISO 8601."""
    reason: str
    """What the gate said."""


class Approved(Document):
    """Who approved a version."""

    by: str
    """Empty if that was not said."""
    at: str
    """UTC, ISO 8601."""
    since: str
    """Since when it had waited."""


def mark_waiting(location: Location, waiting: Waiting) -> None:
    """Have a written version wait. Hold the line's lease.

    Raises:
        ConflictError: somebody else has marked one meanwhile.
    """
    location.replace(WAITING_FILE, encode(waiting), location.read_if_exists(WAITING_FILE))


def read_waiting(location: Location) -> Waiting | None:
    """The mark, whether it still holds or not; None if there is none.

    Raises:
        InputError: it cannot be read.
    """
    return read_document(location, WAITING_FILE, Waiting)


def find_waiting(location: Location, head: Head | None = None) -> tuple[Waiting, Card] | None:
    """The version that waits for approval, and its card; None if none does. One request where there is no mark.

    Args:
        location: root of the line.
        head: the line's, where it was read just now; None: it is read.

    Raises:
        InputError: a document cannot be read.
    """
    waiting = read_waiting(location)
    if waiting is None:
        return None
    head = head or read_head(location)
    if waiting.parent != (head.version if head else None):
        return None
    card = find_card(location, waiting.version)
    return (waiting, card) if card is not None and card.update == waiting.update else None


def forget_waiting(location: Location) -> None:
    """Delete the mark. Hold the line's lease."""
    location.delete(WAITING_FILE)


def write_approval(location: Location, version: str, by: str, since: str) -> None:
    """Keep who approves a version, beside its card."""
    approved = Approved(by=by, at=utc_now(), since=since)
    location.write_bytes(f"{version_folder(version)}/{APPROVED_FILE}", encode(approved))


def read_approval(location: Location, version: str) -> Approved | None:
    """Who approved a version; None if nobody had to.

    Raises:
        InputError: it cannot be read.
    """
    return read_document(location, f"{version_folder(version)}/{APPROVED_FILE}", Approved)
