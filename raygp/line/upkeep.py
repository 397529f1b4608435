"""Keeping a line's storage in order: rolling back, collecting garbage."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from raygp.errors import InputError
from raygp.store import (
    Card,
    Garbage,
    Location,
    find_garbage,
    find_waiting,
    line_lease,
    open_head,
    open_line,
    read_card,
    read_head,
    remove_garbage,
    rollback,
)


@dataclass(frozen=True)
class Rollback:
    """What moving the head to another version did."""

    version: str
    """The head now."""
    before: str
    """The head until now; the same version if there was nothing to do."""
    card: Card | None
    """Of the head now; None if there was nothing to do."""
    unfolded: tuple[str, ...]
    """Arrivals that the head has no longer seen: they wait for the next update."""
    folded: tuple[str, ...]
    """Arrivals that it has seen again."""
    before_is_readable: bool
    """Whether the card of the former head could be read; if not, the two lists of arrivals are empty."""
    waited: str | None = None
    """The version that waited for approval, as a child of the former head. It does no longer, until that is the head
    again."""

    @property
    def moved(self) -> bool:
        """Whether anything was done."""
        return self.version != self.before


def roll_back(location: Location, version: str) -> Rollback:
    """Make an earlier (or later) version the head.

    Raises:
        InputError: there is no such version, or it is damaged or waits for approval, or there is no head yet.
        ConflictError: somebody else moved the head meanwhile.
    """
    open_line(location)
    head = read_head(location)
    if head is None:
        raise InputError(f"{location.root} has no version yet: there is nothing to roll back")
    if head.version == version:
        return Rollback(version, version, None, (), (), True)
    found = find_waiting(location, head)
    waited = found[1].version if found else None
    if waited == version:
        raise InputError(
            f"{version} waits for approval: raygp approve {version} --root {location.root} makes it the head"
        )
    before: Card | None = None
    with contextlib.suppress(InputError):
        # A damaged head is what one rolls back from.
        before = open_head(location, head)
    rollback(location, version, head)
    card = read_card(location, version)
    return Rollback(
        version,
        head.version,
        card,
        _without(before.arrivals, card.arrivals) if before else (),
        _without(card.arrivals, before.arrivals) if before else (),
        before is not None,
        waited,
    )


def collect_garbage(location: Location, older_than_s: float, dry_run: bool) -> list[Garbage]:
    """Delete (or only find) what nothing refers to any more and is older than the limit.

    Raises:
        InputError: a document of the line cannot be read.
        ConflictError: somebody is at work on the line, or moved the head meanwhile.
    """
    open_line(location)
    if dry_run:
        return find_garbage(location, older_than_s)[1]
    with line_lease(location, "raygp gc"):
        head, garbage = find_garbage(location, older_than_s)
        remove_garbage(location, head, garbage)
    return garbage


def _without(these: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in these if name not in others)
