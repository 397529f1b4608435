"""Texts with classes: tables, or a folder of class folders of text files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from raygp.data.sources.kind import LIKELY, POSSIBLE, UNLIKELY, SourceKind, medium_of
from raygp.data.sources.layout import Tree, class_folders
from raygp.data.sources.parquet import ParquetSource
from raygp.data.sources.rowfiles import ParquetRows, RowFile, TextRows
from raygp.data.sources.skipping import skipped
from raygp.data.sources.source import FileSlice, PassedOver, Source, SourceSample
from raygp.data.sources.walk import is_pattern, shown, walk
from raygp.data.text import TABLES, decode_text
from raygp.errors import InputError
from raygp.tasks.plaintext import plain_text

FILES = (".txt", ".text")
"""How the names of text files end, in lower case."""
_TABLES = (*TABLES, ".parquet")
_LOOKED_AT = 200
"""So many names of a folder are looked at to tell what it holds."""


def open_texts(path: str) -> Source:
    """Texts and their classes: a table, a folder of tables, a pattern of some; or a folder of class folders of ``.txt``
    files.

    - Tables are CSV, TSV or JSON Lines (:func:`raygp.data.text.parse_table`), or Parquet. A column ``text`` (or
      ``sentence`` and the like) has the texts, ``label`` the classes, ``split`` may say train, validation or test, else
      the file's name or a folder may. :class:`raygp.data.sources.parquet_columns.Columns` says which column is what.
    - Class folders may lie in folders called after splits, as images' do: ``DIR/train/<class>/*.txt``. Folders such as
      ``unsup`` beside those of the classes are passed over. A file is in UTF-8, or has a byte order mark.

    A text is stored as UTF-8, with line ends as ``\\n``, composed letters and no blanks at its ends.

    Raises:
        InputError: there is nothing of this at ``path``, or both tables and text files.
    """
    where = Path(path)
    if not is_pattern(path) and where.is_dir():
        table, file = _first_of(where)
        if table and file:
            raise InputError(f"{path} holds tables ({table}) and text files ({file}): give the one that is meant")
        return TextFolderSource(path) if not table else TextTableSource(path)
    if where.name.lower().endswith(FILES) and where.is_file():
        raise InputError(f"{path} is one text, which has no label: give a folder of class folders, or a table")
    return TextTableSource(path)


def _first_of(folder: Path) -> tuple[str, str]:
    """A table and a text file in a folder, as seen from there; empty where there is none."""
    table = file = ""
    for found in walk(folder, PassedOver()):
        for name in found.files:
            lower, path = name.lower(), "/".join((*found.parts, name))
            table = table or (path if lower.endswith(_TABLES) else "")
            # What lies beside the class folders is no sample: README.txt.
            file = file or (path if found.parts and lower.endswith(FILES) else "")
        if table and file:
            break
    return table, file


class TextTableSource(ParquetSource):
    """Tables of texts: CSV, TSV, JSON Lines, Parquet."""

    _endings = _TABLES
    _what = "texts"
    _texts = True

    def _open_rows(self, path: Path, name: str) -> RowFile:
        return ParquetRows(path) if not name.lower().endswith(TABLES) else TextRows(path, str(path))


class TextFolderSource:
    """A folder of class folders of text files."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()
        self.name = f"texts in {shown(self._path.resolve().name)}"
        self.passed_over = PassedOver()

    def samples(self) -> Iterator[SourceSample]:
        """All texts in the order of their keys, which are paths as seen from the folder.

        Raises:
            InputError: there are no class folders, or names leave it open what is a class.
        """
        return iter(self._listing)

    @cached_property
    def _listing(self) -> list[SourceSample]:
        tree = Tree("")
        for folder in walk(self._path, self.passed_over):
            here = tree.at(folder.parts)
            for name in folder.files:
                if name.lower().endswith(FILES):
                    here.add(name, TextFile(f"{folder.path}/{name}"))
                else:
                    self.passed_over.add("files that are no .txt", "/".join((*folder.parts, name)))
        top, classes = class_folders(str(self._path), tree, self.passed_over, "text")
        start = len(top.path) + 1 if top.path else 0
        found = [
            SourceSample(each.split, each.label, _checked(self._path, path[start:]), load)
            for each in classes
            for path, load in each.folder.everything()
        ]
        return sorted(found, key=lambda sample: sample.key)


def _checked(where: Path, key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: the name {key!a} is not valid UTF-8; rename it") from error
    return key


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file, read each time it is called."""

    path: str
    """Absolute, since another process may read it from another folder."""

    def __call__(self) -> bytes:
        """The text in UTF-8, as :func:`raygp.tasks.plaintext.plain_text` has it.

        Raises:
            InputError: it cannot be read, or is no text.
        """
        content = FileSlice(self.path)()
        try:
            return plain_text(decode_text(content)).encode()
        except ValueError as error:
            raise InputError(f"{self.path}: {error}") from error


def _looks_like(path: Path) -> int:
    if not path.is_dir():
        return LIKELY if path.name.lower().endswith(TABLES) else UNLIKELY
    names = [file.name.lower() for file in islice(path.iterdir(), _LOOKED_AT)]
    if any(name.endswith(TABLES) and skipped(name) is None for name in names):
        return POSSIBLE
    inside = islice(path.glob("*/*"), _LOOKED_AT)
    deeper = islice(path.glob("*/*/*"), _LOOKED_AT)
    files = [file.name.lower() for each in (inside, deeper) for file in each]
    texts = sum(name.endswith(FILES) for name in files)
    return LIKELY if texts and texts * 2 > sum("." in name for name in files) else UNLIKELY


def _inputs(path: Path, task: Any, passed_over: PassedOver) -> Iterator[SourceSample] | None:
    from raygp.data.sources.unlabelled import rows_without_labels

    # Beside images and recordings, a table holds labels.
    if not path.name.lower().endswith(TABLES) or medium_of(task) != "text":
        return None
    return rows_without_labels(path, lambda path: TextRows(path, str(path), keep_bad=True), task)


TEXTS = SourceKind(
    open_texts,
    "FILE_OR_DIR",
    "tables, or class folders of .txt",
    media=("text",),
    looks_like=_looks_like,
    inputs=_inputs,
)
