"""Tables as plain values: what a cell shows, and the figure that it is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygp.page.saying import day, density_of
from raygp.record import measured


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by."""

    text: str
    value: float | str | None = None
    """The figure itself, as the story has it. None: the text."""

    @property
    def key(self) -> str:
        """The figure as text, exactly."""
        if self.value is None:
            return self.text
        return repr(self.value) if isinstance(self.value, float) else str(self.value)


NOTHING = "\u2013"
UNKNOWN = Cell(NOTHING, "")
"""A figure that there is none of; it stands last however the others are sorted."""


@dataclass(frozen=True)
class Column:
    """The heading of a column."""

    name: str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table with a caption. The first cell of a row is its heading."""

    name: str
    """Unique on the page."""
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    @property
    def label(self) -> str:
        """What the scrolling region around it is called: the start of its caption."""
        return self.caption.split(". ")[0].rstrip(".")


def words_cell(text: str) -> Cell:
    """A text; a dash for none."""
    return Cell(text or NOTHING)


def number_cell(value: float | int | None) -> Cell:
    """A count; a dash for None."""
    return UNKNOWN if value is None else Cell(f"{value:,.0f}", value)


def share_cell(value: float | None, metric: str = "") -> Cell:
    """An accuracy; a dash for None."""
    return UNKNOWN if value is None else Cell(measured(value, metric), value)


def change_cell(value: float | None, metric: str = "") -> Cell:
    """A difference of two accuracies in points, with its sign; a dash for None."""
    if value is None:
        return UNKNOWN
    return Cell(f"{value:+.3f}" if metric else f"{100 * value:+.2f}", value)


def stamp_cell(text: str) -> Cell:
    """A day."""
    return Cell(day(text, short=True), text)


def density_cell(value: float | None) -> Cell:
    """A density in per cent; a dash for None."""
    return UNKNOWN if value is None else Cell(density_of(value), value)


def rows_cell(value: int | None) -> Cell:
    """A number of rows; a dash where it is not known."""
    return UNKNOWN if value is None else Cell(f"{value:,}", value)
