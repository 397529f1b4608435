"""Parquet files of samples, such as Hugging Face's datasets are made of.

pyarrow is imported when a file is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind, medium_of
from raygp.data.sources.naming import split_of, split_of_path
from raygp.data.sources.parquet_columns import Columns
from raygp.data.sources.parquet_table import (
    Table,
    check_alike,
    check_numbers,
    check_splits,
    clear_unlabelled,
    share_class_names,
    splits_without_labels,
)
from raygp.data.sources.parquet_values import Label
from raygp.data.sources.rowfiles import ParquetRows, RowFile, reading
from raygp.data.sources.source import FileSlice, PassedOver, SourceSample, SplitName
from raygp.data.sources.spool import Spool
from raygp.data.sources.walk import files_of
from raygp.errors import InputError
from raygp.tasks.plaintext import text_of

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R")
_SAMPLES_AT_ONCE = 64
_LABELS_AT_ONCE = 4096
_BASE64 = ("data:", "iVBORw0KGgo", "/9j/", "UklGR", "R0lGOD", "SUkq", "T2dnUw", "ZkxhQw", "SUQz")
"""How images and recordings begin in base64."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_NAMED = 5
"""Columns that are named in a line."""
_SHOWN = 60
"""Characters of a path in a message."""
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|/")
"""How paths begin that are no relative ones: /data, C:/data, s3://data."""
_HOW = {
    "struct": "with Hugging Face's datasets: dataset.with_format('arrow').map(datasets.table.embed_table_storage, "
    "batched=True)",
    "string": "with pandas: table['{column}'] = [open(path, 'rb').read() for path in table['{column}']]",
}
"""How the bytes of files come into a column of this type."""


class ParquetSource:
    """A file, or a folder of files, of rows with a sample and a label or a transcript.

    A sample is bytes, or a struct with a field ``bytes``, or the path of a file, relative to the table. Labels are
    strings or whole numbers, however they are stored. Hugging Face's class names are used where the file has them, or
    where it has none and others have, all the same. A column ``split``, else a folder or the file's name, may say
    train, validation or test. Folders such as ``label=cat`` and ``split=train`` are columns.
    :class:`raygp.data.sources.parquet_columns.Columns` says which column is what.

    A row without a label is a bad row. If no row of a held-out split has one, the split is passed over.

    A row group cannot be read in any order, so samples are copied once into the folder for temporary files.

    Raises:
        InputError: there is no Parquet file at ``path``.
    """

    _endings: tuple[str, ...] = (".parquet",)
    """How the names of files end."""
    _what = "Parquet files"
    _texts = False
    """Whether samples are texts whatever else there is."""

    def __init__(self, path: str) -> None:
        self._beside = _Beside()
        self._files = files_of(path, self._endings, self._beside)
        self._classes: bool | None = None
        self.name = f"{self._what} in {Path(path).absolute().name}"
        self.passed_over = PassedOver()
        self.notes: list[str] = []
        """Which columns of texts' tables are not used."""

    def expect_labels(self, classes: bool) -> None:
        """Take classes (True), or texts (False), from files that have both."""
        self._classes = classes

    def samples(self) -> Iterator[SourceSample]:
        """All rows, with keys like ``part/0.parquet#000012``.

        Raises:
            InputError: a file is damaged, lacks a column, or has one that cannot be used; the files write the same
                classes in different ways; there are paths in place of bytes, and no such files.
        """
        return iter(self._samples)

    @cached_property
    def _samples(self) -> list[SourceSample]:
        tables = self._tables()
        for table in tables:
            _read_labels(table)
        tables = self._without_unlabelled(tables)
        check_splits(tables)
        if self._classes is not False:
            clear_unlabelled(tables)
            check_numbers(tables)
            check_alike(tables)
        self.notes = _columns_left(tables)
        unlabelled = splits_without_labels(tables)
        # The spool lives as long as the source.
        self._spool = Spool()
        self._lost = ""
        self._taken: set[Path] = set()
        found = [sample for table in tables for sample in self._read(table, unlabelled)]
        self._spool.close()
        if self._lost and all(sample.problem for sample in found):
            raise InputError(self._lost)
        for what, name in self._beside.names:
            if Path(name) not in self._taken:
                self.passed_over.add(what, name)
        return found

    def _tables(self) -> list[Table]:
        tables = [table for path, name in self._files if (table := self._open(path, name)) is not None]
        if not tables:
            raise InputError(f"{self.name}: there are no rows in them")
        labelled = any(table.columns.has_label for table in tables)
        for table in tables:
            # A contest's test set has no column of labels.
            if not table.columns.has_label and not (labelled and table.split in ("val", "test")):
                table.columns.find_label()
        share_class_names(tables)
        return tables

    def _without_unlabelled(self, tables: list[Table]) -> list[Table]:
        """Without the files that belong to no split and have no label at all, beside some for training: a set's
        ``unsupervised`` part."""
        trained = any(table.split == "train" for table in tables)
        bare = [table for table in tables if trained and table.split is None and not table.says_anything]
        for table in bare:
            for row in range(table.rows):
                self.passed_over.add("rows of files of no split, of which none has a label", table.key_of(row))
        return [table for table in tables if table not in bare]

    def _open_rows(self, path: Path, name: str) -> RowFile:
        """One of the files; ``name`` is what it is called in messages."""
        return ParquetRows(path)

    def _open(self, path: Path, name: Path) -> Table | None:
        """A file; None if it has no rows: then not even its columns need be there."""
        if not name.as_posix().isprintable():
            raise InputError(f"the name {name.as_posix()!a} has characters that cannot be printed: rename the file")
        file = self._open_rows(path, name.as_posix())
        if not file.rows:
            self.passed_over.add("files without rows", name.as_posix())
            return None
        columns = Columns(path, file.schema, _folders(path, name), self._classes, self._texts)
        split = split_of(columns.split_folder) or split_of_path(name)
        return Table(path, name.as_posix(), file, split, columns, file.rows)

    def _read(self, table: Table, unlabelled: set[SplitName]) -> Iterator[SourceSample]:
        columns = table.columns.of_samples if not set(table.splits) <= unlabelled else []
        contents = rows_of(table, columns, _SAMPLES_AT_ONCE, table.columns.samples)
        for row, (content, path) in enumerate(contents):
            split, label, key = table.splits[row], table.labels[row], table.key_of(row)
            if split in unlabelled:
                self.passed_over.add(f"rows of the {split} split, of which none has a label", key)
            elif label.problem:
                yield SourceSample(split, label.text, key, self._spool.add(b""), label.problem)
            else:
                load, problem = self._content(table, content, path)
                yield SourceSample(split, label.text, key, load, problem)

    def _content(self, table: Table, content: bytes | None, path: str) -> tuple[FileSlice, str]:
        """Where the sample is, and why it is nowhere."""
        column, type_ = table.columns.described_samples
        if content and table.columns.texts:
            content, problem = encoded_text(content)
            return self._spool.add(content), problem
        if content:
            return self._spool.add(content), ""
        if not path:
            # What is there and empty is told by the check of samples, as for files.
            return self._spool.add(b""), "" if content is not None else f"there is nothing in column {column}"
        name, reason = file_meant(table, path)
        if name is not None:
            self._taken.add(name)
            return FileSlice(str(table.top / name)), ""
        if path.startswith(_BASE64):
            reason = f"{reason} (it looks like base64: decode it)"
        how = _HOW["struct" if "struct" in type_ else "string"].format(column=column)
        self._lost = self._lost or (
            f"{table.path}: column {column} must hold bytes (or bytes and path), not {type_} with paths alone, and "
            f"{reason}: put the bytes of the files into the column ({how}), or the files beside the table"
        )
        return self._spool.add(b""), f"column {column} holds a path in place of bytes, and {reason}"


def _columns_left(tables: Sequence[Table]) -> list[str]:
    """A line for each set of columns of texts' tables that are not used: the text may be in one of them."""
    found: dict[str, str] = {}
    for table in tables:
        columns = table.columns
        if columns.texts and columns.unused:
            more = f" and {len(columns.unused) - _NAMED} more" if len(columns.unused) > _NAMED else ""
            left = f"{', '.join(columns.unused[:_NAMED])}{more}"
            taken = f"the text is '{columns.described_samples[0]}', the label '{columns.label}'"
            found.setdefault(f"columns that are not used: {left} ({taken})", table.key)
    return [f"{key}: {line}" for line, key in found.items()]


class _Beside(PassedOver):
    """What lies beside the tables, by name: it may be samples that they mean."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[tuple[str, str]] = []

    def add(self, what: str, name: str) -> None:
        self.names.append((what, name))


def file_meant(table: Table, path: str) -> tuple[Path | None, str]:
    """The file that a path in a table means, as seen from the source, and why it is not taken."""
    short = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
    shown = f"'{short}'" if short.isprintable() else f"{short!a}"
    if "\\" in path and not os.path.exists(table.path.parent / path):
        path = path.replace("\\", "/")  # Written on Windows.
    if _ELSEWHERE.match(path):
        return None, f"{shown} is no relative path"
    name = Path(os.path.normpath(Path(table.key).parent / path))
    if name.parts[:1] == ("..",):
        return None, f"{shown} leads out of the folder"
    return (name, "") if os.path.isfile(table.top / name) else (None, f"there is no file {shown} beside the table")


def encoded_text(text: bytes) -> tuple[bytes, str]:
    """A text as it is stored, and why it cannot be."""
    try:
        return text_of(text).encode(), ""
    except ValueError as error:
        return b"", str(error)


def _read_labels(table: Table) -> None:
    columns, words = table.columns, dict[str, SplitName | None]({"": table.split})
    kept: dict[Label, Label] = {}
    says_splits = True
    for label, word in rows_of(table, columns.of_table, _LABELS_AT_ONCE, columns.labels_and_splits):
        if word not in words:
            words[word] = split_of(word)
            if words[word] is None and columns.split_is_sure:
                where = f"{table.path}: row {len(table.splits)}"
                raise InputError(f"{where}: split '{word}' is none of train, validation, test")
        says_splits = says_splits and (columns.split_is_sure or bool(word and words[word]))
        table.labels.append(kept.setdefault(label, label))
        table.splits.append(words[word])
    if not says_splits:
        table.splits = [table.split] * table.rows


def rows_of(
    table: Table, columns: Sequence[str], at_once: int, convert: Callable[[pa.RecordBatch], Iterable[R]]
) -> Iterator[R]:
    """Rows of some columns of a table, of which few are in memory at a time.

    Raises:
        InputError: the file cannot be read.
    """
    for batch in table.file.batches(columns, at_once):
        with reading(table.path, table.file.kind):
            found = list(convert(batch))
        yield from found


def _folders(path: Path, name: Path) -> dict[str, str]:
    """What folders such as ``label=cat`` say, by name: those in the source, and those that lead straight to it."""
    above = list(itertools.takewhile(lambda part: "=" in part, reversed(path.parts[: -len(name.parts)])))
    pairs = [part.partition("=") for part in (*reversed(above), *name.parts[:-1])]
    return {key: "" if value == _NO_VALUE else unquote(value) for key, equals, value in pairs if key and equals}


def _looks_like(path: Path) -> int:
    # Hugging Face's sets lie in "data", and others in folders such as label=cat.
    folders = [path, path / "data", *path.glob("*=*")] if path.is_dir() else []
    files = [path, *(file for folder in folders if folder.is_dir() for file in folder.iterdir())]
    return LIKELY if any(file.name.lower().endswith(".parquet") for file in files) else UNLIKELY


def _inputs(path: Path, task: Any, passed_over: PassedOver) -> Iterator[SourceSample] | None:
    from raygp.data.sources.unlabelled import rows_without_labels

    # The rows of a table are read by another kind.
    if not path.name.lower().endswith(".parquet") or medium_of(task) == "row":
        return None
    return rows_without_labels(path, ParquetRows, task)


PARQUET = SourceKind(
    ParquetSource, "FILE_OR_DIR", media=("image", "audio", "text"), looks_like=_looks_like, inputs=_inputs
)
