"""Accuracy by arrival and by class, with the parent's beside it: as a table, and the worst in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raygp.record import Compared, UpdateRecord, called, measured
from raygp.report.grid import Column, Grid
from raygp.report.tables import count, percent, unit
from raygp.store import Card

_FEW = 12
"""So many arrivals or classes are all shown."""
_WORST = 5
"""Of more than that, so many are shown: those that have lost most, or are least accurate."""


@dataclass(frozen=True)
class Part:
    """The rows of one arrival or class."""

    name: str
    """Such as "class 7"."""
    compared: Compared

    @property
    def is_new(self) -> bool:
        """Whether the parent knows none of it."""
        return bool(self.compared.rows) and self.compared.new_rows == self.compared.rows

    @property
    def change(self) -> float | None:
        """By how much it is better than the parent; None where the two cannot be compared."""
        parent = self.compared.parent_accuracy
        return None if parent is None or self.compared.new_rows else self.compared.accuracy - parent


def parts_of(record: UpdateRecord) -> dict[str, list[Part]]:
    """Arrivals and classes of a record, under "arrival" and "class": the oldest first, and in the order of ids."""
    # A stored card has its keys sorted; its lists say in which order they belong.
    classes, arrivals = (record.classes, record.arrivals) if isinstance(record, Card) else ([], [])
    kinds = {"arrival": (record.by_arrival, arrivals), "class": (record.by_class, classes)}
    return {what: _in_order(what, parts, order) for what, (parts, order) in kinds.items()}


def _in_order(what: str, parts: Mapping[str, Compared], order: Sequence[str]) -> list[Part]:
    place = {name: number for number, name in enumerate(order)}
    names = sorted(parts, key=lambda name: place.get(name, len(place)))
    return [Part(f"{what} {name}", parts[name]) for name in names]


def parts_table(record: UpdateRecord, every: bool = True) -> Grid[Part] | None:
    """One row an arrival, then one a class; None where there is only one of each, as then the whole says all.

    Args:
        record: of the version or candidate.
        every: show all. If not, the worst and the new where there are many; the note says so.
    """
    found, notes = [], []
    for what, whole in parts_of(record).items():
        if len(whole) < 2:
            continue
        shown = whole if every or len(whole) <= _FEW else _telling(whole)
        found += shown
        if len(shown) < len(whole):
            notes.append(f"{len(shown)} of {len(whole)} {'arrivals' if what == 'arrival' else 'classes'}")
    if not found:
        return None
    note = f"Shown are the worst and the new: {' and '.join(notes)}." if notes else ""
    has_parent, metric, of = record.parent_val_accuracy is not None, record.metric, unit(record.metric)
    new_rows = Column[Part]("of new classes", lambda part: count(part.compared.new_rows), 1)
    mixed = any(part.compared.new_rows and not part.is_new for part in found)
    among = Column[Part]("among known %", lambda part: percent(part.compared.among_known), 2)
    restricted = any(part.compared.among_known is not None for part in found)
    beside = [
        Column[Part](
            f"parent {of}", lambda part: "new" if part.is_new else percent(part.compared.parent_accuracy, metric)
        ),
        Column[Part]("change", lambda part: _change(part, metric)),
    ]
    return Grid(
        [
            Column("validation rows of", lambda part: part.name, text=True, fold=True),
            Column("rows", lambda part: count(part.compared.rows)),
            *([new_rows] if mixed else []),
            Column(f"val {of}", lambda part: percent(part.compared.accuracy, metric)),
            *([among] if restricted else []),
            *(beside if has_parent else []),
        ],
        found,
        note,
    )


def worst_line(record: UpdateRecord) -> str:
    """The least accurate class and arrival; empty where there is only one of each."""
    found = []
    for parts in reversed(parts_of(record).values()):
        if len(parts) > 1:
            worst = min(parts, key=lambda part: part.compared.accuracy)
            shown = called(worst.compared.accuracy, record.metric)
            found.append(f"{worst.name} {shown}{_beside(worst, record.metric)}")
    return f"worst: {', '.join(found)}" if found else ""


def _beside(part: Part, metric: str) -> str:
    """Rows and parent's accuracy in brackets."""
    rows = "" if part.compared.rows is None else f"{part.compared.rows:,} rows"
    parent = part.compared.parent_accuracy
    said = "new" if part.is_new else "" if parent is None else f"parent {measured(parent, metric)}"
    both = ", ".join(text for text in (rows, said) if text)
    return f" ({both})" if both else ""


def _telling(parts: list[Part]) -> list[Part]:
    """The worst of many parts, and the new ones (where these are many, the worst of them), in their order."""
    lost = sorted(parts, key=lambda part: (part.is_new, part.change or 0.0, part.compared.accuracy))
    new = [part for part in lost if part.is_new]
    wanted = {part.name for part in (*lost[:_WORST], *new[:_FEW])}
    return [part for part in parts if part.name in wanted]


def _change(part: Part, metric: str) -> str:
    if part.change is None:
        return ""
    return f"{part.change:+.3f}" if metric else f"{100 * part.change:+.2f}"
