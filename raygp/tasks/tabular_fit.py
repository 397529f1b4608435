"""What the columns of a table are, from the first arrival's training rows: kinds, means, categories; what is left out.

The rules:

- A column of numbers is a number, one of true and false is a number, too, and so is one of dates in ISO 8601 (days). It
  is less its mean, over its deviation, both without values that lie far outside. Where values are missing, they are the
  mean, and a flag says so.
- A column of texts is a category. Values that come once are taken together as "other", as are those of later arrivals
  that are not known. Missing values are a category of their own.
- A column that says nothing is left out: one without values, one with the same value everywhere, one of texts of which
  more than half are different (an id, or free text), and one of whole numbers that numbers the rows and is called so.
- Up to a hundredth of the values may be of another kind: their rows are bad rows. If more are, that is an error, since
  it is not plain what is meant.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

from raygp.tasks.kind import Unfit
from raygp.tasks.tabular_cells import (
    KINDS,
    LARGEST,
    READ,
    Cell,
    Points,
    category,
    column_name,
    is_empty,
    is_missing,
    like_number,
    other_writing,
    read_cell,
    read_row,
    shown,
)
from raygp.tasks.tabular_scale import Scale, scale_of

ColumnKind = Literal["number", "truth", "date", "category"]
_ODD = 0.01
_NAMED = 8
_FEW = 20
"""With fewer rows, nothing is taken for an id."""
_MOST_VALUES, _MOST_CATEGORIES = 10_000, 1_000
_ID = re.compile(r"(.*[\W_])?(id|index|idx|row|nr|no|key|uuid)|\w+id|unnamed: \d+|rownames")
_ZEROS = re.compile(r"0\d+")


class ColumnSpec(BaseModel):
    """A column that a model sees."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    kind: ColumnKind
    mean: float = 0.0
    """Of the first arrival's training rows; dates in days since 1970."""
    deviation: float = 1.0
    missing: bool = False
    """Whether any of these rows has no value."""
    categories: tuple[str, ...] = ()
    """Those that the model knows, the most frequent first."""
    low: float | None = None
    """The least and the greatest of these rows but for what lies far outside; None in lines of earlier versions."""
    high: float | None = None
    whole: bool = False
    """Whether all of them are whole numbers."""

    def read(self, cell: Cell) -> float:
        """A cell that is not missing, as a number before it is standardised; of a category its place, -1 for "other".

        Raises:
            ValueError: it is of another kind; the message is the reason alone.
        """
        return read_cell(self, cell)

    def is_far(self, value: float) -> bool:
        """Whether a number lies outside of what these rows hold by more than half of their range."""
        if self.low is None or self.high is None:
            return abs(value - self.mean) > 10.0 * self.deviation
        reach = (self.high - self.low) / 2
        return not self.low - reach <= value <= self.high + reach

    @property
    def range(self) -> str:
        """What lies in the range, for people."""
        if self.low is None or self.high is None:
            return f"mean {self.mean:g}, deviation {self.deviation:g}"
        return f"seen were {self.low:g} to {self.high:g}"

    @cached_property
    def places(self) -> dict[str, int]:
        """Of the categories, from 0."""
        return {name: place for place, name in enumerate(self.categories)}


@dataclass
class _Seen:
    """What was seen of a column."""

    name: str
    rows: int = 0
    missing: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Values by kind."""
    first: dict[str, tuple[int, Cell]] = field(default_factory=dict)
    """By kind: the position and the value of the first."""
    values: Counter[str] = field(default_factory=Counter)
    """Different values as texts, up to a limit."""
    too_many: bool = False
    written: tuple[int, str] | None = None
    """Position of a text that should be written in another way, and how."""
    written_count: int = 0
    numbers: array[float] = field(default_factory=lambda: array("d"))
    """All that are numbers, or read as some."""
    whole: bool = True
    points: Points = field(default_factory=Points)
    like_numbers: int = 0
    zeros: str = ""
    """A number with zeros before it, as codes have them."""
    too_large: int = 0
    first_too_large: int = 0
    """Position of the first number that is too large to be one."""

    def add(self, cell: Cell, position: int) -> None:
        self.rows += 1
        if is_missing(cell):
            self.missing += 1
            return
        kind, value = _kind_of(cell)
        self.counts[kind] += 1
        self.first.setdefault(kind, (position, cell))
        if value is not None:
            self._measure(value, position)
            if kind == "number":
                self.points.add(cell, position)
                if isinstance(cell, str) and not self.zeros and _ZEROS.fullmatch(cell):
                    self.zeros = cell
        elif how := other_writing(cell):
            self.written_count += 1
            self.written = self.written or (position, how)
        elif like_number(cell):
            self.like_numbers += 1
        if not self.too_many:
            self.values[category(cell)] += 1
            self.too_many = len(self.values) > _MOST_VALUES

    def _measure(self, value: float, position: int) -> None:
        if abs(value) > LARGEST:  # A bad row: it is named where samples are checked.
            self.first_too_large = self.first_too_large if self.too_large else position
            self.too_large += 1
            return
        self.numbers.append(value)
        self.whole = self.whole and value.is_integer()

    @property
    def there(self) -> int:
        return self.rows - self.missing


def _kind_of(cell: Cell) -> tuple[ColumnKind, float | None]:
    kinds: tuple[ColumnKind, ...] = ("number", "truth", "date")
    for kind in kinds:
        if (value := READ[kind](cell)) is not None:
            return kind, value
    return "category", None


@dataclass(frozen=True)
class Fitted:
    """What was found of a table."""

    columns: tuple[ColumnSpec, ...]
    left_out: dict[str, str]
    """By column, why."""
    order: tuple[str, ...]
    """All columns, as the table has them."""
    doubts: tuple[str, ...]
    """What people should look at."""


def rows_of(samples: Iterable[tuple[bytes, str]]) -> Iterator[tuple[int, dict[str, Cell], str]]:
    """Position, cells and label of each sample that is a row; the others are bad rows, and named where samples are
    checked."""
    for position, (sample, label) in enumerate(samples):
        try:
            row = read_row(sample)
        except ValueError:
            continue
        if is_empty(row):
            continue
        yield position, {column_name(name): cell for name, cell in row.items()}, label


class TableFit:
    """Looks at rows one by one.

    Args:
        categories: columns that are categories, whatever they hold.
        drop: columns that are left out.
    """

    def __init__(self, categories: Sequence[str], drop: Sequence[str]) -> None:
        self._categories, self._drop = categories, drop
        self._seen: dict[str, _Seen] = {}
        self._doubts: list[str] = []
        self.rows = 0

    def add(self, row: dict[str, Cell], position: int) -> None:
        """Take a row."""
        for name, cell in row.items():
            if name not in self._seen:
                # Rows before it had no value.
                self._seen[name] = _Seen(name, self.rows, self.rows)
            self._seen[name].add(cell, position)
        self.rows += 1
        for seen in self._seen.values():
            if seen.rows < self.rows:
                seen.add(None, position)

    def result(self) -> Fitted:
        """What the columns are.

        Raises:
            Unfit: there is no row, none of the columns says anything, or one cannot be understood.
        """
        if not self.rows:
            raise Unfit("no training row is a row of a table (a JSON object of its columns)")
        for name in (*self._categories, *self._drop):
            if name not in self._seen:
                raise Unfit(f"there is no column '{name}'; the columns are {', '.join(self._seen)}")
        columns: list[ColumnSpec] = []
        left_out: dict[str, str] = {}
        for name, seen in self._seen.items():
            found = "asked for" if name in self._drop else self._column(seen)
            if isinstance(found, str):
                left_out[name] = found
            else:
                columns.append(found)
        if not columns:
            why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            raise Unfit(f"no column is left that says anything ({why})")
        return Fitted(tuple(columns), left_out, tuple(self._seen), tuple(self._doubts))

    def _column(self, seen: _Seen) -> ColumnSpec | str:
        """A column as the model sees it, or why it does not."""
        if not seen.there:
            if seen.name in self._categories:
                raise Unfit(f"--categories {seen.name}: the column has no values in the training rows")
            return "no values"
        kind = "category" if seen.name in self._categories else _main_kind(seen)
        if kind != "category":
            return self._measured(seen, kind)
        different = len(seen.values)
        if different == 1 and not seen.missing:
            return f"constant ({shown(next(iter(seen.values)))})"
        if seen.name not in self._categories and seen.there >= _FEW and (seen.too_many or different * 2 > seen.there):
            many = f"more than {_MOST_VALUES:,}" if seen.too_many else f"{different:,}"
            return f"an id or free text ({many} different values in {seen.there:,} rows){_like_numbers(seen)}"
        if seen.name not in self._categories and (how := _like_numbers(seen)):
            self._doubts.append(f"column '{seen.name}' is taken as categories{how}")
        often = sorted((-count, value) for value, count in seen.values.items() if count > 1 or seen.there < _FEW)
        known = tuple(value for _, value in often[:_MOST_CATEGORIES])
        return ColumnSpec(name=seen.name, kind="category", missing=seen.missing > 0, categories=known)

    def _measured(self, seen: _Seen, kind: ColumnKind) -> ColumnSpec | str:
        """A column of numbers, or of what is read as some."""
        if seen.too_large > _ODD * seen.there:
            raise Unfit(
                f"column '{seen.name}' holds numbers that are too large ({seen.too_large:,} of {seen.there:,} are "
                f"beyond {LARGEST:g}): leave such cells empty, or --drop {seen.name} leaves the column out",
                seen.first_too_large,
            )
        if seen.points.ambiguous:
            raise Unfit(f"column '{seen.name}' {seen.points.problem()}", seen.points.where)
        if seen.zeros:
            self._doubts.append(
                f"column '{seen.name}' is taken as numbers, and some begin with 0, such as {shown(seen.zeros)}: if "
                f"they are codes, --categories {seen.name} takes them as categories"
            )
        scale = scale_of(seen.numbers)
        if seen.whole and _numbers_rows(seen, scale):
            return f"it numbers the rows ({scale.low:.0f} to {scale.high:.0f})"
        if not scale.deviation and not seen.missing:
            return f"constant ({shown(next(iter(seen.values)))})"
        if scale.far:
            self._doubts.append(
                f"column '{seen.name}': {scale.far:,} of {len(seen.numbers):,} values lie {scale.doubt}: mean and "
                "deviation are measured without them; where they stand for no value, leave the cells empty"
            )
        return ColumnSpec(
            name=seen.name,
            kind=kind,
            mean=scale.mean,
            deviation=scale.deviation or 1.0,
            missing=seen.missing > 0,
            low=scale.low,
            high=scale.high,
            whole=seen.whole and kind == "number",
        )


def _main_kind(seen: _Seen) -> ColumnKind:
    """The kind of a column's values.

    Raises:
        Unfit: they are of several kinds, or texts that are numbers or dates to people.
    """
    keep = f"--categories {seen.name} takes them as categories, --drop {seen.name} leaves the column out"
    if seen.written is not None and seen.written_count * 2 > seen.there:
        position, how = seen.written
        raise Unfit(f"column '{seen.name}': {how} ({keep})", position)
    kind, count = seen.counts.most_common(1)[0]
    if count >= (1.0 - _ODD) * seen.there:
        return kind  # type: ignore[return-value]
    texts = seen.counts["category"]
    if texts * 2 > seen.there:
        return "category"
    other = min((odd for odd in seen.counts if odd != kind), key=lambda odd: seen.counts[odd])
    (_, one), (position, another) = seen.first[kind], seen.first[other]
    raise Unfit(
        f"column '{seen.name}' holds {KINDS[kind]} such as {shown(one)} in {count:,} rows, and {KINDS[other]} such "
        f"as {shown(another)} in {seen.counts[other]:,}: write all in one way, or leave cells empty ({keep})",
        position,
    )


def _like_numbers(seen: _Seen) -> str:
    """How texts should be written that are numbers to people; empty if most are not."""
    if seen.like_numbers * 2 <= seen.there:
        return ""
    example = next(value for value in seen.values if like_number(value))
    return f": it looks like numbers: write {like_number(example)} for {shown(example)}"


def _numbers_rows(seen: _Seen, scale: Scale) -> bool:
    """Whether whole numbers are numbers of rows: all different, nearly without gaps, and called so."""
    if seen.there < _FEW or seen.missing or not _ID.fullmatch(seen.name):
        return False
    # Part of a table is held out, so there are gaps.
    return (seen.too_many or len(seen.values) == seen.there) and seen.there * 2 > scale.high - scale.low


def notes(
    columns: Sequence[ColumnSpec], left_out: Mapping[str, str], drop: Collection[str], doubts: Sequence[str]
) -> list[str]:
    """For people: what the columns are, which are left out and why, and what should be looked at."""
    if not columns:
        return []
    words = {"number": "numbers", "truth": "true or false", "date": "dates", "category": "categories"}
    parts = []
    for kind, word in words.items():
        of_kind = [column for column in columns if column.kind == kind]
        if of_kind:
            named = [c.name + (f" ({len(c.categories):,})" if kind == "category" else "") for c in of_kind]
            more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
            parts.append(f"{word}: {', '.join(named[:_NAMED])}{more}")
    found = [f"columns of the table, {'; '.join(parts)}"]
    unasked = {name: reason for name, reason in left_out.items() if name not in drop}
    return [*found, *(f"column '{name}' is left out: {reason}" for name, reason in unasked.items()), *doubts]
