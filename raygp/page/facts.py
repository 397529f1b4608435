"""All that a line's documents say, read once: cards, head, manifests, refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raygp.store import (
    Card,
    Head,
    Location,
    Manifest,
    list_arrivals,
    list_versions,
    open_line,
    reachable,
    read_head,
    version_to_make,
)
from raygp.store.refusals import KeptUpdate, kept_updates
from raygp.store.waiting import find_waiting


@dataclass(frozen=True)
class Facts:
    """What the documents of a line say. A value: it does not follow what happens later."""

    location: Location
    task: Mapping[str, Any]
    """The line's task spec."""
    cards: list[Card]
    """Of all versions, oldest first."""
    head: Head | None
    manifests: list[Manifest]
    """Of all published arrivals, oldest first."""
    refused: list[KeptUpdate]
    half_done: list[str]
    """Ids of updates that were begun and are neither over nor refused."""
    awaits: str = ""
    """The version that waits for a person's approval; empty if none does."""

    @cached_property
    def by_name(self) -> dict[str, Card]:
        """Cards by version."""
        return {card.version: card for card in self.cards}

    @cached_property
    def history(self) -> list[Card]:
        """The head and what it was made from, oldest first."""
        names = reachable(self.cards, self.head.version if self.head else None)
        return [self.by_name[name] for name in reversed(names) if name in self.by_name]

    @cached_property
    def in_history(self) -> frozenset[str]:
        """Names of those."""
        return frozenset(card.version for card in self.history)

    @property
    def head_card(self) -> Card | None:
        """The head's card."""
        return self.history[-1] if self.history else None

    @cached_property
    def next_version(self) -> str:
        """What the head's next child is called; a version of that name waits to be promoted."""
        return version_to_make(self.location, self.head)

    def parent_of(self, card: Card) -> Card | None:
        """The card of a version's parent, if it is still there."""
        return self.by_name.get(card.parent) if card.parent else None

    @property
    def metric(self) -> str:
        """What accuracies are called where they are no shares; else empty."""
        return self.cards[-1].metric if self.cards else ""


def read_facts(location: Location) -> Facts:
    """Read a line's documents. Nothing is written.

    Raises:
        InputError: there is no line at the root, or a document of it cannot be read.
    """
    spec = open_line(location)
    updates, head = kept_updates(location), read_head(location)
    marked = find_waiting(location, head)
    return Facts(
        location=location,
        task=spec.task,
        cards=list_versions(location),
        head=head,
        manifests=list_arrivals(location),
        refused=[update for update in updates if update.refusal is not None],
        half_done=[update.update for update in updates if update.refusal is None],
        awaits=marked[0].version if marked else "",
    )
