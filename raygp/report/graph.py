"""The lineage of a line's versions as a text tree."""

from __future__ import annotations

from collections.abc import Sequence

from rich.tree import Tree

from raygp.record import called
from raygp.report.tables import percent, shared_rows
from raygp.store import Card, Head, reachable, version_number


def versions_graph(cards: Sequence[Card], head: Head | None, waiting: str | None = None) -> list[Tree]:
    """One tree for each version without a parent in ``cards``; the head has a star, and what is not in its history says
    so.

    Args:
        cards: of all versions.
        head: which one counts.
        waiting: the one that waits for approval.
    """
    history = reachable(cards, head.version if head else None)
    known = {card.version for card in cards}
    trees: dict[str, Tree] = {}
    roots = []
    for card in cards:
        parent = card.parent if card.parent in known else None
        label = _label(card, head, history, waiting)
        if parent is None:
            roots.append(Tree(label))
            trees[card.version] = roots[-1]
        else:
            trees[card.version] = trees[parent].add(label)
    return roots


def _label(card: Card, head: Head | None, history: Sequence[str], waiting: str | None) -> str:
    rows = "" if card.val_rows is None else f" on {card.val_rows:,} rows"
    text = f"{card.version}  {_arrivals(card)}  validation {_shown(card.val_accuracy, card)}{rows}"
    ours, parent = shared_rows(card)
    if parent is not None:
        known = f", known classes {percent(ours)} %" if card.known else ""
        text += f"{known} (parent {_shown(parent, card)})"
    if head is not None and card.version == head.version:
        return f"{text}  * head"
    if card.version in history:
        return text
    if card.version == waiting:
        return f"{text}  (waits for approval: raygp approve {waiting})"
    last = version_number(head.last or head.version) if head else -1
    if card.parent == (head.version if head else None) and version_number(card.version) > last:
        return f"{text}  (waiting to be promoted: raygp update)"
    return f"{text}  (not in the head's history)"


def _arrivals(card: Card) -> str:
    """What a version folded in: the newest by name, the others by their number."""
    if not card.arrival:
        return "adopted"
    return f"{card.arrival} (and {len(card.beside):,} more)" if card.beside else card.arrival


def _shown(value: float, card: Card) -> str:
    return called(value, card.metric) if card.metric else f"{percent(value)} %"
