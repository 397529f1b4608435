"""What is worth a look in rows that follow those a line was made from: counted, and told in a line for each kind."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from raygp.tasks.tabular_cells import (
    LARGEST,
    Cell,
    ParsedRow,
    Points,
    category,
    is_missing,
    read_row,
    shown,
    with_names,
)
from raygp.tasks.tabular_fit import ColumnSpec

_SHOWN = 3


class RowWatch:
    """Looks at rows one by one, from any thread.

    Args:
        columns: of the line; a column that a row lacks is passed over.
    """

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self._columns = columns
        self._known = {column.name: frozenset(column.categories) for column in columns if column.kind == "category"}
        self._points = {column.name: Points() for column in columns if column.kind == "number"}
        self._unknown: dict[str, Counter[str]] = {}
        self._far: dict[str, list[float]] = {}
        self._missing, self._there = Counter[str](), Counter[str]()
        self._lock = threading.Lock()
        self.rows = 0

    def see(self, row: Mapping[str, Cell], key: str = "") -> None:
        """Look at the cells of a row, by the names of their columns; ``key`` is its name for people."""
        with self._lock:
            self.rows += 1
            for column in self._columns:
                if column.name in row:
                    self._look(column, row[column.name], key)

    def seen(self, sample: bytes) -> bytes:
        """Look at an encoded row; one that is none is passed over, and named elsewhere.

        Returns:
            The row, which need not be parsed again.
        """
        parsed = ParsedRow(sample)
        with contextlib.suppress(ValueError):
            parsed.cells = with_names(read_row(sample), [column.name for column in self._columns])
            self.see(parsed.cells)
            return parsed
        return sample

    def _look(self, column: ColumnSpec, cell: Cell, key: str) -> None:
        name = column.name
        if is_missing(cell):
            self._missing[name] += 1
            return
        self._there[name] += 1
        if name in self._known:
            if (value := category(cell)) not in self._known[name]:
                self._unknown.setdefault(name, Counter())[value] += 1
            return
        try:
            found = column.read(cell)
        except ValueError:  # A bad row, which is named elsewhere.
            return
        if abs(found) <= LARGEST and column.is_far(found):
            self._far.setdefault(name, []).append(found)
        if name in self._points:
            self._points[name].add(cell, key)

    @property
    def ambiguous(self) -> str:
        """What is wrong with a column whose points may stand between thousands; empty if none is so."""
        for column in self._columns:
            points = self._points.get(column.name)
            if points is not None and points.all_grouped and column.whole:
                return f"{points.where}: column '{column.name}' {points.problem('where the line has whole numbers')}"
        return ""

    @property
    def lines(self) -> list[str]:
        """What there is to say."""
        found = [self._unknown_line(name, unknown) for name, unknown in self._unknown.items()]
        for column in self._columns:
            name, missing = column.name, self._missing[column.name]
            if missing and not self._there[name]:
                found.append(f"column '{name}' is empty in all {missing:,} rows")
            elif missing and not column.missing:
                instead = "an untrained category" if name in self._known else "the mean"
                found.append(
                    f"column '{name}': {missing:,} of {self.rows:,} values are missing, and the line has seen none "
                    f"missing: {instead} is taken"
                )
            if far := self._far.get(name):
                found.append(
                    f"column '{name}': {len(far):,} of {self.rows:,} values lie far outside what the line has seen, "
                    f"such as {far[0]:g} ({column.range})"
                )
            points = self._points.get(name)
            if points is not None and points.all_grouped and (column.whole or points.beside):
                found.append(f"column '{name}' {points.doubt}")
        return found

    def _unknown_line(self, name: str, unknown: Counter[str]) -> str:
        shown_ones = ", ".join(f"{shown(value)} {count:,}" for value, count in unknown.most_common(_SHOWN))
        more = f", {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
        return (
            f"column '{name}': {sum(unknown.values()):,} of {self.rows:,} rows have a category that the line does not "
            f"know ({shown_ones}{more}): taken as 'other'"
        )


def watch_of(task: Any) -> RowWatch | None:
    """A watch for rows that a task is to answer; None where its samples are no rows of a table."""
    columns = getattr(getattr(task, "table", None), "columns", ())
    return RowWatch(columns) if columns else None
