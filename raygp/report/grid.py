"""Tables that fit the terminal: columns are left out in a sensible order where there is no room for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column: its heading, what it shows of a row, and when it may be left out."""

    name: str
    cell: Callable[[Row], str]
    spare: int = 0
    """0: never left out. Else those with the highest number go first."""
    text: bool = False
    """Words, set at the left; numbers stand at the right."""
    fold: bool = False
    """Long words may be broken over several lines."""


@dataclass(frozen=True)
class Grid(Generic[Row]):
    """Rows and the columns that can be shown of them."""

    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    note: str = ""
    """Stands below it: how the columns are to be read."""

    def show(self, console: Console) -> None:
        """Print it as wide as the console is, the note, and in one line what had to be left out."""
        left_out: list[str] = []
        columns = list(self.columns)
        while (table := self._table(columns)) and self._width(console, table) > console.width:
            spare = max(columns, key=lambda column: column.spare)
            if spare.spare == 0:
                break
            columns.remove(spare)
            left_out.append(spare.name)
        console.print(table)
        if self.note:
            console.print(self.note, markup=False)
        if left_out:
            console.print(f"no room for {', '.join(reversed(left_out))}: a wider terminal or --json shows all")

    def _table(self, columns: Sequence[Column[Row]]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            justify: JustifyMethod = "left" if column.text else "right"
            table.add_column(column.name, justify=justify, no_wrap=not column.fold, overflow="fold")
        for row in self.rows:
            table.add_row(*(column.cell(row) for column in columns))
        return table

    @staticmethod
    def _width(console: Console, table: Table) -> int:
        """Columns of the terminal that the table would like to have."""
        return table.__rich_measure__(console, console.options.update(max_width=10_000)).maximum
