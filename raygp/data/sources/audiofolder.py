"""A folder of audio files with tables of their transcripts."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from raygp.data.sources.columns import (
    FILES,
    LABELS,
    MAYBE_SPLITS,
    SPLITS,
    TRANSCRIPTS,
    choose_column,
    choose_label,
    named,
)
from raygp.data.sources.formats import suffixes
from raygp.data.sources.kind import LIKELY, POSSIBLE, UNLIKELY, SourceKind
from raygp.data.sources.looking import holds
from raygp.data.sources.naming import split_of, split_of_path, words_of
from raygp.data.sources.skipping import skipped
from raygp.data.sources.source import FileSlice, PassedOver, SourceSample, SplitName
from raygp.data.sources.walk import walk
from raygp.data.text import TABLES, Row, Table, parse_table, tidy
from raygp.errors import InputError

_STEMS = ("transcripts", "metadata")
"""Names of tables of all recordings, without their suffixes."""
_CLIPS = "clips"
"""Common Voice keeps its recordings in this folder, and its tables name them without it."""


@dataclass(frozen=True)
class _Listed:
    """A table, and the split that its place or name says its rows belong to."""

    path: Path
    split: SplitName | None = None


class AudioFolderSource:
    """A folder with tables of its recordings, each with a heading (:func:`raygp.data.text.parse_table`). They are:

    - ``transcripts.tsv``, ``.csv`` or ``.jsonl``; else
    - ``metadata.csv``, ``.tsv`` or ``.jsonl``, in DIR or in folders in it such as ``train``, as Hugging Face has them;
      else
    - tables whose names are splits, such as Common Voice's ``train.tsv``, ``dev.tsv`` and ``test.tsv``.

    A column ``file``, ``path``, ``file_name`` or ``audio`` names the files, as seen from the table or from a folder
    ``clips`` beside it; a column ``text``, ``transcript``, ``transcription`` or ``sentence`` has the transcripts, or
    ``label`` the classes. A column ``split`` may say train, validation, test or nothing. Without it, the table's name,
    or the folder of a file, may say so.

    Raises:
        InputError: there is no such folder or table.
    """

    def __init__(self, path: str) -> None:
        self._folder = Path(path).expanduser().resolve()
        self.name = f"audio:{self._folder.name}"
        self.passed_over = PassedOver()
        self._classes: bool | None = None
        if not self._folder.is_dir():
            raise InputError(f"{path} is no folder" if self._folder.exists() else f"{path} does not exist")
        self._tables, self._unread = _tables(self._folder)
        if not self._tables:
            raise InputError(
                f"{path}: there is no transcripts.tsv or transcripts.csv in it, and no metadata.csv or train.tsv either"
            )

    def expect_labels(self, classes: bool) -> None:
        """Labels of the line are classes (True) or texts: where a table has columns of both, that decides."""
        self._classes = classes

    def samples(self) -> Iterator[SourceSample]:
        """All utterances in the order of their keys: names of files as seen from the folder.

        Raises:
            InputError: a table cannot be read or lacks a column, a split is unknown, or a file comes twice with two
                transcripts.
        """
        self.passed_over = PassedOver()
        for name in self._unread:
            self.passed_over.add("tables that are not read", name)
        reading = _Reading(self._folder, self._classes, self.passed_over)
        for table in self._tables:
            reading.read(table)
        reading.count_leftovers({*self._unread, *(reading.name_of(table.path) for table in self._tables)})
        yield from (reading.rows[key] for key in sorted(reading.rows))


class _Reading:
    """The rows of all tables of a folder."""

    def __init__(self, folder: Path, classes: bool | None, passed_over: PassedOver) -> None:
        self._folder, self._classes, self._passed_over = str(folder), classes, passed_over
        self._there = {"/".join((*at.parts, name)) for at in walk(folder, passed_over) for name in at.files}
        self._composed: dict[str, str] | None = None
        self._lines: dict[str, str] = {}
        self.rows: dict[str, SourceSample] = {}

    def read(self, listed: _Listed) -> None:
        """Take in the rows of a table."""
        name = self.name_of(listed.path)
        try:
            content = listed.path.read_bytes()
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error
        table = parse_table(content, name)
        if not named(table.columns, (*FILES, *TRANSCRIPTS, *LABELS)):
            found = ", ".join(table.columns)
            raise InputError(f"{name}: the first line must name the columns, such as file and text; it is: {found}")
        file = choose_column(table.columns, FILES, "files", name)
        label = choose_label(table.columns, self._classes, name)
        split, rows = _split_column(table)
        base = os.path.dirname(str(listed.path))
        for row in rows:
            self._add(row, f"{name} line {row.line}", base, (file, label, split), listed.split)

    def _add(
        self, row: Row, where: str, base: str, columns: tuple[str, str, str | None], split: SplitName | None
    ) -> None:
        file, label, told = columns
        # Letters are composed later, if the line's are.
        given, text = row.values[file].strip(), tidy(row.values[label], compose=False)
        given = given.encode("utf-8", "backslashreplace").decode()  # JSON may hold half a character.
        path = self._find(base, given) if given else None
        key = self.name_of(path) if path else given
        if told is not None:
            split = _split(row.values[told], where)
        elif split is None and "/" in key:
            split = split_of_path(Path(key).parent)
        if not given:
            problem, key = f"{where}: the name of the file is empty", where
        elif path is None:
            problem = f"{where}: {given} does not exist"
        else:
            problem = "" if text else f"{where}: the transcript is empty"
        path = path or os.path.join(base, given)
        self._keep(SourceSample(split, text, key, FileSlice(path), problem), where)

    def _keep(self, sample: SourceSample, where: str) -> None:
        first = self.rows.setdefault(sample.key, sample)
        if first is sample:
            self._lines[sample.key] = where
        elif (first.label, first.split) == (sample.label, sample.split):
            self._passed_over.add("rows that are there twice", f"{sample.key} ({self._lines[sample.key]} and {where})")
        else:
            what = "transcript" if first.label != sample.label else "split"
            raise InputError(
                f"{where}: file '{sample.key}' comes twice: {self._lines[sample.key]} has it with another {what}"
            )

    def _find(self, base: str, given: str) -> str | None:
        """The path of a file that a table names."""
        for name in dict.fromkeys((given, given.replace("\\", "/"))):
            for folder in (base, os.path.join(base, _CLIPS)):
                path = os.path.normpath(os.path.join(folder, name))
                if self.name_of(path) in self._there or os.path.isfile(path):
                    return path
                if same := self._decomposed(path):
                    return same
        return None

    def _decomposed(self, path: str) -> str | None:
        """The file whose name looks the same: systems differ in how they write accents in names of files."""
        if path.isascii():
            return None
        if self._composed is None:
            self._composed = {unicodedata.normalize("NFC", name): name for name in sorted(self._there)}
        name = self._composed.get(unicodedata.normalize("NFC", self.name_of(path)))
        return None if name is None else os.path.join(self._folder, name)

    def name_of(self, path: str | Path) -> str:
        """A path as seen from the folder, or as it is where it lies elsewhere."""
        return str(path).removeprefix(self._folder + os.sep).replace(os.sep, "/")

    def count_leftovers(self, tables: set[str]) -> None:
        """Count what lies in the folder and is in no table."""
        for name in sorted(self._there - self.rows.keys() - tables):
            is_audio = name.lower().endswith(suffixes("audio"))
            self._passed_over.add(f"{'recordings' if is_audio else 'other files'} that are in no table", name)


def _split_column(table: Table) -> tuple[str | None, Iterable[Row]]:
    """The column that says which split a row belongs to, and the rows."""
    if found := named(table.columns, SPLITS):
        return found[0], table.rows
    if not (maybe := named(table.columns, MAYBE_SPLITS)):
        return None, table.rows
    rows = list(table.rows)
    return next((column for column in maybe if all(split_of(tidy(row.values[column])) for row in rows)), None), rows


def _split(text: str, where: str) -> SplitName | None:
    word = tidy(text)
    split = split_of(word)
    if word and split is None:
        raise InputError(f"{where}: split '{word}' is none of train, val, test")
    return split


def _tables(folder: Path) -> tuple[list[_Listed], list[str]]:
    """The tables that are read, and the names of those in the folder that are not."""
    kinds = [name for suffix in TABLES for name in sorted(os.listdir(folder)) if name.lower().endswith(suffix)]
    there = [Path(name) for name in kinds if skipped(name) is None]
    chosen = _general(folder, there) or _of_splits(folder, there)
    read = {table.path for table in chosen}
    return chosen, [name.name for name in there if folder / name not in read]


def _general(folder: Path, there: list[Path]) -> list[_Listed]:
    """Tables that are called transcripts or metadata, here and in folders below."""
    for stem in _STEMS:
        listed = [_Listed(folder / name) for name in there if name.stem.lower() == stem][:1]
        for below in ("*", "*/*"):
            paths = [path for suffix in TABLES for path in sorted(folder.glob(f"{below}/{stem}{suffix}"))]
            listed += [_Listed(path, split_of_path(path.relative_to(folder).parent)) for path in paths]
        if listed:
            return listed
    return []


def _of_splits(folder: Path, there: list[Path]) -> list[_Listed]:
    """A table for each name that is a split. Where some are called ``train`` and so on, one called ``train_durations``
    is something else."""
    listed: dict[str, _Listed] = {}
    for name in there:
        if split := split_of(name.stem):
            listed.setdefault(name.stem.lower(), _Listed(folder / name, split))
    plain = [table for stem, table in listed.items() if stem.isalpha() and len(words_of(stem)) == 1]
    return plain or list(listed.values())


def _looks_like(path: Path) -> int:
    if not path.is_dir():
        return UNLIKELY
    tables, _ = _tables(path)
    own = any(table.path.stem.lower() == _STEMS[0] for table in tables)
    return LIKELY if own or (tables and holds(path, suffixes("audio"))) else POSSIBLE if tables else UNLIKELY


AUDIO = SourceKind(AudioFolderSource, "DIR", media=("audio",), looks_like=_looks_like)
