"""Versions, arrivals and how the two meet, as the page has them: from documents alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from raygp.page.facts import Facts
from raygp.page.story import ArrivalPart, ClassPart, Cost, Matrix, Pair, VersionPart
from raygp.record import Compared, CostLedger
from raygp.report.adopted import origin_line
from raygp.report.baseline import FineTuning
from raygp.report.parts import parts_of
from raygp.report.tables import shared_rows
from raygp.store import Card, Manifest, version_number

Item = TypeVar("Item")
_WIDEST, _TALLEST = 100, 100
"""Versions and arrivals that the matrix has at most."""


def cost_of(ledger: CostLedger) -> Cost:
    """A ledger as the story has it."""
    return Cost(**ledger.to_dict())


def pair_of(compared: Compared) -> Pair:
    """A comparison as the story has it."""
    return Pair(
        rows=compared.rows,
        accuracy=compared.accuracy,
        parent=compared.parent_accuracy,
        new_rows=compared.new_rows,
        among_known=compared.among_known,
    )


def spending(facts: Facts) -> dict[str, CostLedger]:
    """By version, what had been spent when it was made: by it, by the versions before it, and by refused updates. One
    that was refused comes before the version that bears the name its candidate would have had.

    Under "" stands what was spent in all.
    """
    refused = [(update.version, update.refusal) for update in facts.refused]
    ledgers = [(version_number(version), "", refusal.ledger) for version, refusal in refused if refusal]
    ledgers += [(version_number(card.version), card.version, card.ledger) for card in facts.cards]
    spent, found = CostLedger(), {}
    for _, version, ledger in sorted(ledgers, key=lambda one: one[:2]):
        spent = found[version] = spent.plus(ledger)
    return found | {"": spent}


def version_parts(facts: Facts) -> list[VersionPart]:
    """Every version, oldest first."""
    spent = spending(facts)
    return [_version(facts, card, spent[card.version]) for card in facts.cards]


def _version(facts: Facts, card: Card, spent: CostLedger) -> VersionPart:
    parent = facts.parent_of(card)
    ours, theirs = shared_rows(card)
    known = card.known or Compared(rows=card.val_rows, accuracy=ours, parent_accuracy=theirs)
    before = set(parent.classes) if parent else set(card.classes)
    return VersionPart(
        version=card.version,
        parent=card.parent,
        created=card.created,
        state=_state(facts, card),
        arrival=card.arrival,
        beside=list(getattr(card, "beside", ())),
        origin=origin_line(card),
        plan=str(card.plan.get("name", "")),
        arrivals=len(card.arrivals),
        classes=len(card.classes) if card.by_class else 0,
        new_classes=[name for name in card.classes if name not in before] if card.by_class else [],
        active=card.active_connections,
        total=card.total_connections,
        density=card.density,
        accuracy=card.val_accuracy,
        rows=card.val_rows,
        known=pair_of(known),
        noise=card.val_noise,
        new=pair_of(card.new) if card.new else None,
        test=dict(card.test_metrics),
        own_gain=own_gain(card),
        backward_transfer=card.backward_transfer.by_arrival if card.backward_transfer else None,
        cost=cost_of(card.ledger),
        fine_tuning=_fine_tuning(facts, card),
        so_far=cost_of(spent),
    )


def _state(facts: Facts, card: Card) -> str:
    if facts.head is not None and card.version == facts.head.version:
        return "head"
    if card.version in facts.in_history:
        return "history"
    is_child = card.parent == (facts.head.version if facts.head else None)
    return "waiting" if is_child and card.version == facts.next_version else "aside"


def _fine_tuning(facts: Facts, card: Card) -> float | None:
    """The forecast of what fine-tuning would take in place of a version's update."""
    rows = {manifest.arrival: manifest.rows("train") for manifest in facts.manifests}
    parent = facts.parent_of(card)
    if parent is None or not set(card.arrivals) <= set(rows):
        return None
    old = sum(rows[name] for name in parent.arrivals)
    found = FineTuning.of(old, sum(rows[name] for name in card.arrivals) - old)
    return found.examples if found else None


def own_gain(card: Card) -> float | None:
    """By how much a version is better than its parent on what the arrivals of its update hold out, row by row; None
    where that is not known. Rows of new classes count: the parent has none of these right."""
    own = {card.arrival, *getattr(card, "beside", ())}
    parts = [part for name, part in card.by_arrival.items() if name in own and part.rows]
    if not parts or any(part.parent_accuracy is None for part in parts):
        return None
    if card.metric and len(parts) > 1:
        return None  # It is no mean over rows, so that those of several arrivals do not add up.
    rows = sum(part.rows or 0 for part in parts)
    return sum((part.accuracy - (part.parent_accuracy or 0.0)) * (part.rows or 0) for part in parts) / rows


def arrival_parts(facts: Facts) -> list[ArrivalPart]:
    """Every arrival, oldest first."""
    first: dict[str, str] = {}
    for card in facts.history:
        for name in card.arrivals:
            first.setdefault(name, card.version)
    refused = {update.arrival for update in facts.refused}
    return [_arrival(manifest, first.get(manifest.arrival, ""), refused) for manifest in facts.manifests]


def _arrival(manifest: Manifest, version: str, refused: set[str]) -> ArrivalPart:
    name = manifest.arrival
    return ArrivalPart(
        arrival=name,
        published=manifest.published,
        source=manifest.source,
        train=manifest.rows("train"),
        val=manifest.rows("val"),
        test=manifest.rows("test"),
        classes=len(manifest.labels),
        quarantined=manifest.quarantined,
        state="seen" if version else "refused" if name in refused else "waiting",
        version=version,
    )


def matrix_of(facts: Facts) -> Matrix:
    """Accuracy by arrival and version, over the head's history. Of very many, those that are evenly spaced."""
    cards = _evenly(facts.history, _WIDEST)
    order = {manifest.arrival: number for number, manifest in enumerate(facts.manifests)}
    measured = {name for card in cards for name in card.by_arrival}
    every = sorted(measured, key=lambda name: order.get(name, -1))
    names = _evenly(every, _TALLEST)
    rows = []
    for name in names:
        newest = next(card for card in reversed(cards) if name in card.by_arrival)
        rows.append(newest.by_arrival[name].rows)
    cells = [[card.by_arrival[name].accuracy if name in card.by_arrival else None for card in cards] for name in names]
    left_out = len(facts.history) - len(cards) + len(every) - len(names)
    return Matrix(arrivals=names, versions=[card.version for card in cards], rows=rows, cells=cells, left_out=left_out)


def class_parts(facts: Facts) -> list[ClassPart]:
    """Each class as the head answers it, in the order of ids."""
    card = facts.head_card
    if card is None:
        return []
    parts = parts_of(card)["class"]
    return [ClassPart(name=part.name.removeprefix("class "), pair=pair_of(part.compared)) for part in parts]


def _evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Up to so many of the items, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    places = {round(number * (len(items) - 1) / (most - 1)) for number in range(most)}
    return [items[place] for place in sorted(places)]
