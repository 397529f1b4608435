"""Where a line stands: what it is, which version counts, which arrivals are in it and which wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from raygp.errors import InputError
from raygp.store import (
    Card,
    Head,
    Location,
    Manifest,
    arrival_names,
    find_manifests,
    open_head,
    open_line,
    read_head,
)


@dataclass(frozen=True)
class LineState:
    """Where a line stands. A value: it does not follow what happens to the line later."""

    task: dict[str, Any]
    """The line's task: its name and options."""
    head: Head | None
    card: Card | None
    """The head's card."""
    seen: tuple[str, ...]
    """Names of the arrivals that the head has seen, in the order in which they were folded in."""
    pending: tuple[Manifest, ...]
    """Published arrivals that no version in the head's history has seen, oldest first."""
    known: Mapping[str, Manifest] = field(default_factory=dict, repr=False)
    """Manifests that have been read, by arrival. They never change, so that none is read twice."""
    only: frozenset[str] | None = None
    """Names of the arrivals that may be pending; whatever else waits is left alone. None: all."""

    @property
    def next(self) -> Manifest | None:
        """The arrival that the next update folds in: the oldest that waits and has training rows."""
        return next((manifest for manifest in self.pending if manifest.rows("train")), None)

    def going_with(self, arrival: Manifest, fold: bool = False) -> tuple[Manifest, ...]:
        """Arrivals that wait, are older than another and are folded in together with it: those without training rows.

        Args:
            arrival: the other one.
            fold: all of them are.
        """
        names = [manifest.arrival for manifest in self.pending]
        older = self.pending[: names.index(arrival.arrival)] if arrival.arrival in names else ()
        return older if fold else tuple(manifest for manifest in older if not manifest.rows("train"))

    @property
    def version(self) -> str | None:
        """Name of the head; None if there is no version yet."""
        return self.card.version if self.card else None


def read_state(location: Location, only: frozenset[str] | None = None) -> LineState:
    """Read where the line stands. Nothing is written.

    However long the line's history is, this reads three documents, lists one folder, and reads what is pending.

    Args:
        location: root of the line.
        only: names of the arrivals that may be pending, in this state and those made of it; None: all.

    Raises:
        InputError: there is no line at the root, or an arrival that the head has seen is gone.
    """
    spec = open_line(location)
    head = read_head(location)
    card = open_head(location, head) if head else None
    return _with_arrivals(location, LineState(spec.task, head, card, (), (), only=only))


def state_after(location: Location, before: LineState, head: Head, card: Card) -> LineState:
    """The state after ``card`` has become the head: read anew is only what may have been published meanwhile."""
    return _with_arrivals(location, replace(before, head=head, card=card))


def with_pending(location: Location, before: LineState) -> LineState:
    """The state with what waits read anew: somebody else may have published or withdrawn."""
    names = {manifest.arrival for manifest in before.pending}
    known = {name: manifest for name, manifest in before.known.items() if name not in names}
    return _with_arrivals(location, replace(before, known=known))


def seen_manifests(location: Location, state: LineState) -> tuple[tuple[Manifest, ...], LineState]:
    """Manifests of the arrivals that the head has seen, in its order, and the state that knows them.

    Raises:
        InputError: one of them is gone, or is not the one that the head has seen.
    """
    card = state.card
    if card is None:
        return (), state
    missing = [name for name in card.arrivals if name not in state.known]
    read = {manifest.arrival: manifest for manifest in find_manifests(location, missing)}
    known = {**state.known, **read}
    for name in card.arrivals:
        if name not in known:
            raise InputError(f"{card.version} has seen arrival {name}, which is gone from {location.url('arrivals')}")
        if card.manifests.get(name) != known[name].digest:
            raise InputError(f"arrivals/{name}/manifest.json is not the one that {card.version} has seen")
    return tuple(known[name] for name in card.arrivals), replace(state, known=known)


def _with_arrivals(location: Location, state: LineState) -> LineState:
    """The state with its seen and pending arrivals looked up."""
    names = arrival_names(location)
    seen = tuple(state.card.arrivals) if state.card else ()
    for name in sorted(set(seen) - set(names)):
        raise InputError(f"{location.url('arrivals')}: arrival {name}, which the head has seen, is gone")
    waiting = [name for name in names if name not in set(seen) and (state.only is None or name in state.only)]
    read = find_manifests(location, [name for name in waiting if name not in state.known])
    known = {**state.known, **{manifest.arrival: manifest for manifest in read}}
    pending = [known[name] for name in waiting if name in known]
    pending.sort(key=lambda manifest: (manifest.published, manifest.arrival))
    return replace(state, seen=seen, pending=tuple(pending), known=known)
