"""What a cell of a table says: a number, true or false, a date, a category, or nothing; and what a row of cells says.

It needs nothing but Python: exports copy this file as it is.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

Cell = str | int | float | bool | None
"""A value of a row's JSON object."""

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?")
"""Words that stand for a missing value, in any case."""
_MISSING = frozenset(MISSING)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?")
_OTHER_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}([ T].+)?|\d{4}([./])\d{1,2}\3\d{1,2}")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_THREE_AFTER_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_LIKE_NUMBER = re.compile(
    r"[$€£¥]?\s?([+-]?\d{1,3}(?:[, ']\d{3})+(?:\.\d+)?|[+-]?\d+(?:\.\d+)?)\s?([$€£¥%]|[A-Za-z]{1,4})?"
)
_COMMA = re.compile(r"[+-]?\d{1,3}([. ']?\d{3})*,\d+")
_MANY_CLASSES, _MANY_FRACTIONS = 50, 20
LARGEST = 1e38
"""A number that is further from zero than this cannot be learnt: float32 holds no more."""
_FAR = 10.0
"""Standardised numbers further from zero than this are as far as this: one wild value must not throw a network off."""
_MISSING_PLACE, _OTHER_PLACE = 0, 1
"""Places of an embedding: of a missing value, and of any category that is not known. Known ones follow."""
_DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tidy(text: str) -> str:
    """One spelling of a cell or of a column's name: blanks inside are single, none around, letters are composed."""
    return text if text.isalnum() and text.isascii() else unicodedata.normalize("NFC", " ".join(text.split()))


def column_name(text: str) -> str:
    """The one spelling of a column's name: as :func:`tidy`, in lower case."""
    return tidy(text).lower()


def is_missing(cell: Cell) -> bool:
    """Whether a cell says nothing: null, NaN, or one of :data:`MISSING`."""
    if isinstance(cell, str):
        return len(cell) < 8 and cell.strip().lower() in _MISSING
    return cell is None or cell != cell  # NaN


def is_empty(row: Mapping[str, Cell]) -> bool:
    """Whether a row says nothing: it has several cells, and all are missing."""
    return len(row) > 1 and all(map(is_missing, row.values()))


def number(cell: Cell) -> float | None:
    """The number that a cell is; None if it is none. True and false are none."""
    if isinstance(cell, str):
        cell = cell.strip()
        return float(cell) if _NUMBER.fullmatch(cell) else None
    if cell is None or isinstance(cell, bool):
        return None
    try:
        return float(cell)
    except OverflowError:  # A whole number of JSON may have any number of digits.
        return math.inf


def truth(cell: Cell) -> float | None:
    """1 for true, 0 for false, as a word or as JSON has it; None for anything else."""
    if isinstance(cell, bool):
        return float(cell)
    return {"true": 1.0, "false": 0.0}.get(cell.strip().lower()) if isinstance(cell, str) else None


def days(cell: Cell) -> float | None:
    """Days since 1970 of a date in ISO 8601 (``2024-01-31``, ``2024-01-31T12:00:00Z``); None if it is none."""
    if not isinstance(cell, str) or not _DATE.fullmatch(cell := cell.strip()):
        return None
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH).total_seconds() / _DAY_S


def category(cell: Cell) -> str:
    """A cell as the name of a category: whole numbers without a point, however they were stored."""
    if isinstance(cell, str):
        return tidy(cell)
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return json.dumps(cell)


READ = {"number": number, "truth": truth, "date": days}
"""What reads a cell, by the kind of its column."""
KINDS = {"number": "numbers", "truth": "true and false", "date": "dates", "category": "texts"}
"""What a column of each kind holds, for people."""


class Column(Protocol):
    """What is known of a column."""

    @property
    def name(self) -> str:
        """As :func:`column_name` spells it."""

    @property
    def kind(self) -> str:
        """A key of :data:`KINDS`."""

    @property
    def mean(self) -> float:
        """Of a column of no categories."""

    @property
    def deviation(self) -> float:
        """Likewise."""

    @property
    def missing(self) -> bool:
        """Whether values may be missing: then a flag follows the number."""

    @property
    def places(self) -> Mapping[str, int]:
        """Of its known categories, from 0."""


def read_cell(column: Column, cell: Cell) -> float:
    """A cell that is not missing, as a number before it is standardised; of a category its place, -1 for any other.

    Raises:
        ValueError: it is of another kind; the message is the reason alone.
    """
    if column.kind == "category":
        return column.places.get(category(cell), -1)
    found = READ[column.kind](cell)
    if found is None:
        raise ValueError(f"column '{column.name}' holds {shown(cell)}, where the line has {KINDS[column.kind]}")
    return found


def row_values(sample: bytes, columns: Sequence[Column]) -> list[float]:
    """A row as a model takes it: standardised numbers, each followed by a flag where it may be missing, then places of
    categories.

    Args:
        sample: a JSON object of the row's columns.
        columns: those that the model sees, in order.

    Raises:
        ValueError: it is no such row; the message is the reason alone.
    """
    row = with_names(read_row(sample), [column.name for column in columns])
    if is_empty(row):
        raise ValueError("every cell of the row is empty")
    numbers: list[float] = []
    places: list[float] = []
    for column in columns:
        if column.name not in row:
            raise ValueError(f"column '{column.name}' is missing: give it, or null where there is no value")
        cell = row[column.name]
        missing = is_missing(cell)
        if column.kind == "category":
            places.append(_MISSING_PLACE if missing else _OTHER_PLACE + 1 + read_cell(column, cell))
            continue
        numbers.append(0.0 if missing else _standardised(column, read_cell(column, cell)))
        if column.missing:
            numbers.append(float(missing))
    return [*numbers, *places]


def _standardised(column: Column, value: float) -> float:
    if abs(value) > LARGEST:
        what = "too large" if math.isfinite(value) else "not finite"
        raise ValueError(f"column '{column.name}' holds a number that is {what}")
    return min(_FAR, max(-_FAR, (value - column.mean) / column.deviation))


def other_writing(cell: Cell) -> str:
    """How a text should be written that is a number or a date to people; empty if it is a text."""
    if not isinstance(cell, str):
        return ""
    cell = cell.strip()
    if _THREE_AFTER_COMMA.fullmatch(cell):
        whole, point = cell.replace(",", ""), cell.replace(",", ".") + "0"
        return f"'{cell}' has a comma before three digits: write {whole} if it stands between thousands, {point} if not"
    if _COMMA.fullmatch(cell):
        return f"'{cell}' has a decimal comma: write it with a point, without anything between thousands"
    if _OTHER_DATE.fullmatch(cell):
        return f"'{cell}' may be a date, and what is its day and what its month is not plain: write it as 2024-01-31"
    return ""


def like_number(cell: Cell) -> str:
    """The number that people read in a text such as ``$50123``, ``1,234,567``, ``50 123`` or ``1234 kg``, as it should
    be written; empty if they read none."""
    if not isinstance(cell, str) or number(cell) is not None or not (found := _LIKE_NUMBER.fullmatch(cell.strip())):
        return ""
    return re.sub("[, ']", "", found[1])


class Points:
    """Whether the points of a column's numbers may stand between thousands: where each is followed by three digits and
    whole numbers are beside them, 2.727 may be 2727."""

    def __init__(self) -> None:
        self._pointed = self._grouped = 0
        self._example = self.beside = ""
        self.where: Any = None
        """Where the first number with a point is."""

    def add(self, cell: Cell, where: Any) -> None:
        """Look at a cell that is a number; ``where`` names its row. Only what is written as a text can mislead."""
        if not isinstance(cell, str):
            return
        if "." not in cell:
            self.beside = self.beside or cell.strip()
            return
        self._pointed += 1
        if _GROUPED.fullmatch(cell.strip()):
            self._grouped += 1
            if not self._example:
                self._example, self.where = cell.strip(), where

    @property
    def all_grouped(self) -> bool:
        """Whether there are points, and all of them may stand between thousands."""
        return 0 < self._pointed == self._grouped

    @property
    def ambiguous(self) -> bool:
        """The same, with whole numbers beside them."""
        return self.all_grouped and bool(self.beside)

    def problem(self, beside: str = "") -> str:
        """What is wrong, for people, and what to do."""
        whole, example = self.beside or "690", self._example
        beside = beside or f"beside '{whole}'"
        return (
            f"holds '{example}' {beside}, so whether its point stands between thousands is not "
            f"plain: write {example.replace('.', '')} if it does, {example}0 (and {whole}.0) if it is a decimal point"
        )

    @property
    def doubt(self) -> str:
        """The same where the point is taken for a decimal one."""
        example = self._example
        return (
            f"holds '{example}', read as {float(example):g}: if the point stands between thousands, write "
            f"{example.replace('.', '')} ({self._pointed:,} like it)"
        )


class ParsedRow(bytes):
    """A row as a sample whose cells are known already, so that nobody has to parse it again."""

    cells: dict[str, Cell]


def read_row(sample: bytes) -> dict[str, Cell]:
    """The cells of a row by the names of its columns, as the row has them.

    Raises:
        ValueError: it is no JSON object, or a cell is none; the message is the reason alone.
    """
    if isinstance(sample, ParsedRow):
        return sample.cells
    try:
        row = json.loads(sample)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a row has to be a JSON object of its columns: {error}") from error
    if not isinstance(row, dict):
        raise ValueError('a row has to be a JSON object of its columns, such as {"age": 31, "city": "Rome"}')
    for name, cell in row.items():
        if isinstance(cell, dict | list):
            raise ValueError(f"column '{name}' holds a list or an object, not a value")
    return row


def with_names(row: dict[str, Cell], wanted: Collection[str]) -> dict[str, Cell]:
    """The row with the names of its columns spelt as :func:`column_name` spells them, if it lacks any as it is."""
    return row if all(name in row for name in wanted) else {column_name(name): cell for name, cell in row.items()}


def shown(cell: Cell, most: int = 40) -> str:
    """A cell for messages."""
    text = cell if isinstance(cell, str) else json.dumps(cell)
    text = text if len(text) <= most else f"{text[:most]}..."
    return f"'{text}'" if text.isprintable() else f"{text!a}"


def label_number(label: str) -> float:
    """The number that a label is.

    Raises:
        ValueError: it is none, or not finite; the message is the reason alone.
    """
    found = number(label)
    if found is None:
        how = other_writing(label)
        raise ValueError(f"label {how}" if how else f"label {shown(label)} is no number")
    if abs(found) > LARGEST:
        raise ValueError(f"label {shown(label)} is too large for a number")
    return found


def are_measured(labels: Collection[str], rows: int) -> bool:
    """Whether the different labels of so many rows are all numbers, and no names of classes: hardly ever the same, or
    many, of which most have decimals."""
    try:
        numbers = [label_number(label) for label in labels]
    except ValueError:
        return False
    fractions = len([found for found in numbers if not found.is_integer()])
    return len(numbers) > max(_MANY_CLASSES, rows // 2) or fractions > max(_MANY_FRACTIONS, len(numbers) // 2)


def row_bytes(cells: dict[str, Any]) -> bytes:
    """A row as a sample: a JSON object in UTF-8, keys in the order of the columns."""
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
