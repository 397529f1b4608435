"""Tables whose rows are samples: CSV, TSV and Parquet.

pyarrow is imported when a Parquet file is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import datetime
import decimal
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.data.sources.columns import MAYBE_SPLITS, SPLITS, TARGETS, choose_column, named
from raygp.data.sources.compression import plain_file
from raygp.data.sources.kind import LIKELY, POSSIBLE, UNLIKELY, SourceKind, medium_of
from raygp.data.sources.naming import split_of, split_of_path
from raygp.data.sources.source import PassedOver, SourceSample, SplitName
from raygp.data.sources.spool import Spool
from raygp.data.sources.walk import files_of
from raygp.data.text import read_table, tidy
from raygp.errors import InputError
from raygp.tasks.tabular_cells import is_missing, row_bytes
from raygp.tasks.tabular_watch import RowWatch

if TYPE_CHECKING:
    from raygp.tasks.protocol import Task

_TEXTS = (".csv", ".tsv")
_ENDINGS = tuple(end + more for end in (*_TEXTS, ".parquet") for more in ("", ".gz", ".xz", ".bz2", ".zst"))
_SHOWN = 3
_AT_ONCE = 1024
_NEAR = 0.5
"""How much a column's name has to be like another to be taken for its new name."""

Cells = dict[str, Any]
"""A row by the names of its columns."""


@dataclass
class _File:
    """A table before its rows are samples."""

    key: str
    """Its name in the source."""
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[tuple[int, Cells | str]]]
    """Gives its rows anew, each with the line where it begins (Parquet: its number from 0). A text in place of one
    says why it cannot be read: what is only answered goes on."""
    split: SplitName | None
    """What the file's name or a folder says."""
    where: str
    """What the number of a row is: "line" or "row"."""

    @cached_property
    def splits(self) -> list[str]:
        """The column that says splits, in a list; empty if there is none."""
        if found := named(self.columns, SPLITS):
            return found[:1]
        for name in named(self.columns, MAYBE_SPLITS):
            # It is one only where every value is a word for a split: else it is a column as any other.
            if all(isinstance(cells, str) or split_of(tidy(str(cells[name] or ""))) for _, cells in self.rows()):
                return [name]
        return []


class TableSource:
    """Tables with a heading, each row of which is a sample: ``.csv`` and ``.tsv``
    (:func:`raygp.data.text.parse_table`), also compressed by gzip, xz, bzip2 or zstd, and ``.parquet``. A file, a
    folder of such files, or a pattern of their names.

    The label is in the column that the line's ``--label`` names, else in the first that is called ``label``,
    ``labels``, ``class``, ``target``, ``y`` or ``outcome``. A column ``split``, or the file's name, may say train,
    validation or test. All others are the sample: a JSON object of the row's cells, as they stand in a text; numbers,
    true and false of a Parquet file stay what they are, and dates become ISO 8601. Names of columns are in lower case.

    All files have the same columns, in any order. Rows of an arrival that follows have those of the line: one that is
    missing is an error, one that the line does not know is left out with a line that says so. A file of a held-out
    split without a column of labels, as contests have them, is passed over.

    Rows are copied once into the folder for temporary files, so that memory holds none of them.

    Args:
        path: of the file or folder.
        label: name of the column of labels, if the line does not say.
        unlabelled: whether rows may be without labels, for answers only: then labels are empty, and a column that is
            called as labels are is left out.

    Raises:
        InputError: there is no such file.
    """

    def __init__(self, path: str, label: str = "", unlabelled: bool = False) -> None:
        self._files = files_of(path, _ENDINGS, passed_over := PassedOver())
        self._label, self._unlabelled = tidy(label).lower(), unlabelled
        self._known: _Known | None = None
        self.name = f"table:{Path(path).absolute().name}"
        self.passed_over = passed_over
        self.notes: list[str] = []

    def expect_task(self, task: Task) -> None:
        """Take the label and the columns that the line has, if its samples are rows of a table."""
        table = getattr(task, "table", None)
        label = str(getattr(table, "label", ""))
        if label and self._label and label != self._label:
            raise InputError(f"the line's labels are in column '{label}', not '{self._label}'")
        self._label = self._label or label
        if columns := getattr(table, "columns", ()):
            named_columns = {column.name: column for column in columns}
            order, target = tuple(getattr(table, "order", ())), getattr(table, "target", None)
            watched = [*columns] if target is None else [*columns, target]
            self._known = _Known(named_columns, order, RowWatch(watched), "" if target is None else target.name)

    def samples(self) -> Iterator[SourceSample]:
        """All rows, with keys like ``houses.csv#000012``: the line of the file, or the row of a Parquet file.

        Raises:
            InputError: a file is damaged, lacks a column, or has one more or less than the others; a row does not fit
                the heading; a column holds lists or other values that are no cells.
        """
        return iter(self._samples)

    def answered(self) -> Iterator[SourceSample]:
        """The rows with keys like ``#000012``, to be answered: one by one, neither copied nor kept. Raises as
        :meth:`samples`."""
        files, labels, order = self._prepared()
        some = False
        for file in files:
            for sample in self._read(file, labels[file.key], order, lambda row: partial(bytes, row)):
                some = True
                yield replace(sample, key=sample.key.removeprefix(file.key))
        if not some:
            raise InputError("there are no rows in it")

    def _prepared(self) -> tuple[list[_File], dict[str, str], list[str]]:
        """The files that have rows, the column of labels of each, and the columns of a sample."""
        files = [file for path, name in self._files if (file := self._open(path, name.as_posix())) is not None]
        if not files:
            raise InputError(f"{self.name}: there are no rows in it")
        labels = self._find_labels(files)
        files = [file for file in files if file.key in labels]
        return files, labels, self._order(files, labels)

    @cached_property
    def _samples(self) -> list[SourceSample]:
        files, labels, order = self._prepared()
        # The spool lives as long as the source.
        self._spool = Spool()
        add = self._spool.add
        found = [sample for file in files for sample in self._read(file, labels[file.key], order, add)]
        self._spool.close()
        if not found:
            raise InputError(f"{self.name}: there are no rows in it")
        if self._known is not None:
            if ambiguous := self._known.watch.ambiguous:
                raise InputError(ambiguous)
            self.notes += self._known.watch.lines
        return found

    # -- files ---------------------------------------------------------------------------------------------------------

    def _open(self, path: Path, key: str) -> _File | None:
        """A file; None if it has no rows."""
        try:
            plain = plain_file(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{key} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        name = key
        while name.lower().endswith((".gz", ".xz", ".bz2", ".zst")):
            name = name.rpartition(".")[0]
        split = split_of_path(Path(name))
        if name.lower().endswith(_TEXTS):
            table = read_table(plain, name, keep_bad=self._unlabelled)
            if table.unnamed:
                self.passed_over.add("columns without a name", key)
            return _File(key, table.columns, lambda: _text_rows(plain, name, self._unlabelled), split, "line")
        return _parquet(plain, key, split, self._unlabelled)

    def _find_labels(self, files: Sequence[_File]) -> dict[str, str]:
        """By file, its column of labels; empty where there is none. Files that are passed over are not in it."""
        known = self._known.columns if self._known is not None else {}
        names = (self._label,) if self._label else tuple(name for name in TARGETS if name not in known)
        having = [file for file in files if named(file.columns, names)]
        if self._unlabelled:
            return {file.key: named(file.columns, names)[0] if file in having else "" for file in files}
        found: dict[str, str] = {}
        for file in files:
            if file not in having and having and file.split in ("val", "test"):
                self.passed_over.add("files of a held-out split without a column of labels", file.key)
                continue
            if file not in having:
                said = f"no column '{self._label}', the labels" if self._label else "no column of labels"
                expected = "" if self._label else f"expected one of {', '.join(names)}, "
                raise InputError(
                    f"{file.key} has {said}: {expected}found {', '.join(file.columns)}; when a line is made, --label "
                    "COLUMN says which it is"
                )
            found[file.key] = choose_column(file.columns, names, "labels", file.key)
        return found

    def _order(self, files: Sequence[_File], labels: dict[str, str]) -> list[str]:
        """The columns of a sample, in order; of an arrival that follows those of the line.

        Raises:
            InputError: a file has not all of them, or has others than the first file.
        """
        first = files[0]
        own = [column for column in first.columns if column not in (labels[first.key], *self._splits(first))]
        for file in files[1:]:
            theirs = {column for column in file.columns if column not in (labels[file.key], *self._splits(file))}
            if different := sorted(theirs.symmetric_difference(own)):
                there = [f"'{name}' is only in {(file if name in theirs else first).key}" for name in different]
                raise InputError(f"all tables of a source need the same columns: {'; '.join(there[:_SHOWN])}")
        return own if self._known is None else self._known.order(own, first.key, self.passed_over)

    def _splits(self, file: _File) -> list[str]:
        """The column of splits, in a list. Where rows are only answered, values say nothing: the line's columns do."""
        if not self._unlabelled or self._known is None:
            return file.splits
        return [name for name in named(file.columns, SPLITS) if name not in self._known.columns]

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _read(
        self,
        file: _File,
        label: str,
        order: Sequence[str],
        keep: Callable[[bytes], Callable[[], bytes]],
    ) -> Iterator[SourceSample]:
        """The rows of a file as samples. ``keep`` puts a row where it can be read."""
        split_column = "" if self._unlabelled else next(iter(file.splits), "")
        for number, cells in file.rows():
            key = f"{file.key}#{number:06d}"
            if isinstance(cells, str):
                yield SourceSample(None, "", key, bytes, cells)
                continue
            split = file.split
            if split_column and (word := tidy(str(cells[split_column] or ""))):
                split = split_of(word)
                if split is None:
                    raise InputError(
                        f"{file.key} {file.where} {number}: split '{word}' is none of train, val, test; a column that "
                        "says something else needs another name"
                    )
            row = {name: None if is_missing(cells[name]) else cells[name] for name in order}
            said = "" if not label or is_missing(cells[label]) else _label_text(cells[label])
            if self._known is not None and label:
                self._known.watch.see(row | {self._known.target: said}, key)
            labelled = bool(label) and not self._unlabelled
            problem = _no_label(cells[label]) if labelled and not said else ""
            yield SourceSample(split, said if labelled else "", key, keep(row_bytes(row)), problem)


def _no_label(cell: object) -> str:
    """What is said of a word that stands for no label; empty where the cell is."""
    word = tidy(cell) if isinstance(cell, str) else ""
    return f"label '{word}' is taken for no label: if it is a class, give it another name" if word else ""


@dataclass
class _Known:
    """The columns of a line."""

    columns: dict[str, Any]
    """By name, a :class:`raygp.tasks.tabular_fit.ColumnSpec`."""
    all_in_order: tuple[str, ...]
    """With those that the model does not see."""
    watch: RowWatch
    """Looks at the rows of an arrival that follows."""
    target: str
    """What it calls labels that are numbers; empty for classes."""

    def order(self, there: Sequence[str], where: str, passed_over: PassedOver) -> list[str]:
        """Those of a table that the line knows, in the line's order.

        Raises:
            InputError: one that the model sees is missing.
        """
        extra = [name for name in there if name not in self.columns and name not in self.all_in_order]
        if missing := [name for name in self.columns if name not in there]:
            near = {name: difflib.get_close_matches(name, extra, 1, _NEAR) for name in missing}
            which = ", ".join(f"'{n}'" + (f" (is it '{near[n][0]}' now?)" if near[n] else "") for n in missing)
            raise InputError(
                f"{where} lacks the column{'s' * (len(missing) > 1)} {which}, which the line's model sees: give the "
                "old name back, or add the column, empty where there is no value"
            )
        for name in extra:
            passed_over.add("columns that the line does not know", f"'{name}' of {where}")
        # A column that the model does not see may be missing.
        return [name for name in self.all_in_order or self.columns if name in there]


def _text_rows(path: Path, name: str, keep_bad: bool) -> Iterator[tuple[int, Cells | str]]:
    for row in read_table(path, name, keep_bad=keep_bad).rows:
        yield row.line, row.problem or {column: tidy(cell) for column, cell in row.values.items()}


def _parquet(path: Path, key: str, split: SplitName | None, keep_bad: bool) -> _File | None:
    import pyarrow.parquet as pq

    from raygp.data.sources.rowfiles import reading

    with reading(path, "Parquet"), pq.ParquetFile(path) as file:
        names, rows = list(file.schema_arrow.names), file.metadata.num_rows
    columns = [tidy(name).lower() for name in names]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"{key}: column '{column}' is there {columns.count(column)} times, but for capitals")
    # pandas writes its index as a column, unless it is a range.
    both = zip(names, columns, strict=True)
    used = [(name, column) for name, column in both if not name.startswith("__index_level_")]

    def read() -> Iterator[tuple[int, Cells | str]]:
        number = 0
        with reading(path, "Parquet"), pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_AT_ONCE, columns=[name for name, _ in used]):
                for values in batch.to_pylist():
                    try:
                        yield number, {column: _cell(values[name], name) for name, column in used}
                    except ValueError as error:
                        if not keep_bad:
                            raise InputError(f"{key} row {number}: {error}") from error
                        yield number, str(error)
                    number += 1

    return _File(key, tuple(column for _, column in used), read, split, "row") if rows else None


def _cell(value: Any, column: str) -> Any:
    """A value of a Parquet file as one that JSON has. Raises ValueError where it is none."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return tidy(value)
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    kind = type(value).__name__
    raise ValueError(f"column {column} holds {kind}: a cell is a number, a text, a date, true or false")


def _label_text(cell: Any) -> str:
    """A label: whole numbers without a point, however they were stored."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _looks_like(path: Path) -> int:
    if path.is_dir():  # A folder of tables may be anything; a file of its own is a table.
        return POSSIBLE if any(file.name.lower().endswith(_ENDINGS) for file in path.iterdir()) else UNLIKELY
    name = path.name.lower()
    return LIKELY if name.endswith(_ENDINGS[: 2 * 5]) else POSSIBLE if name.endswith(_ENDINGS) else UNLIKELY


def _inputs(path: Path, task: Any, passed_over: PassedOver) -> Iterator[SourceSample] | None:
    if not path.name.lower().endswith(_ENDINGS) or medium_of(task) != "row":
        return None
    source = TableSource(str(path), unlabelled=True)
    source.passed_over = passed_over
    source.expect_task(task)
    return source.answered()


TABLE = SourceKind(
    TableSource,
    "FILE_OR_DIR",
    options=("label", "unlabelled"),
    media=("row",),
    looks_like=_looks_like,
    inputs=_inputs,
)
