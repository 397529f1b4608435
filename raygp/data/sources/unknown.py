"""Categories that a line does not know: a row that has one is read as "other", and people are told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from raygp.tasks.tabular_cells import category, is_missing, read_row, with_names

_SHOWN = 3
_KEPT = 1_000
"""So many different ones of a column are counted by name."""


class UnknownCategories:
    """Counts them in rows that are read.

    Args:
        columns: of the line, each a :class:`raygp.tasks.tabular_fit.ColumnSpec`.
    """

    def __init__(self, columns: Iterable[Any]) -> None:
        self._known = {column.name: frozenset(column.categories) for column in columns if column.kind == "category"}
        self._values: dict[str, Counter[str]] = {}
        self._rows: Counter[str] = Counter()
        self._all = 0
        self._lock = threading.Lock()

    def count(self, row: Mapping[str, Any]) -> None:
        """Look at a row, its cells by column. Threads may do so at once."""
        with self._lock:
            self._all += 1
            for name, known in self._known.items():
                cell = row.get(name)
                if is_missing(cell) or (value := category(cell)) in known:
                    continue
                self._rows[name] += 1
                values = self._values.setdefault(name, Counter())
                if value in values or len(values) < _KEPT:
                    values[value] += 1

    def count_encoded(self, sample: bytes) -> None:
        """Look at a row as a JSON object. What is none is not counted."""
        try:
            self.count(with_names(read_row(sample), list(self._known)))
        except ValueError:
            return

    @property
    def notes(self) -> list[str]:
        """For people, a line for each column that has some."""
        lines = []
        for name, values in self._values.items():
            shown = ", ".join(f"'{value}' {count:,}" for value, count in values.most_common(_SHOWN))
            least = "at least " if len(values) == _KEPT else ""
            more = f", {least}{len(values) - _SHOWN:,} more" if len(values) > _SHOWN else ""
            lines.append(
                f"column '{name}': {self._rows[name]:,} of {self._all:,} rows have a category that the line does not "
                f"know ({shown}{more}): taken as 'other'"
            )
        return lines
