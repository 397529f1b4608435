"""A folder of audio files with a table of their transcripts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.source import FileSlice, SourceSample, SplitName
from raygp.errors import InputError

_TABLES = {"transcripts.tsv": "\t", "transcripts.csv": ","}
_SPLITS: dict[str, SplitName | None] = {"": None, "train": "train", "val": "val", "test": "test"}


class AudioFolderSource:
    """``DIR/transcripts.tsv`` (or ``.csv``) with a heading and the columns ``file``, ``text`` and, if wanted, ``split``
    (train, val, test or empty); files are relative to DIR.

    Raises:
        InputError: there is no such folder or table.
    """

    def __init__(self, path: str) -> None:
        self._folder = Path(path).expanduser().resolve()
        self.name = f"audio:{self._folder.name}"
        tables = [self._folder / name for name in _TABLES if (self._folder / name).is_file()]
        if not tables:
            raise InputError(f"{path}: there is no {' or '.join(_TABLES)} in it")
        self._table = tables[0]

    def samples(self) -> Iterator[SourceSample]:
        """All utterances in the order of their keys.

        Raises:
            InputError: a column, a file or a transcript is missing, a split is unknown, or a file comes twice.
        """
        rows: dict[str, SourceSample] = {}
        with self._table.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file, delimiter=_TABLES[self._table.name])
            missing = {"file", "text"} - set(table.fieldnames or [])
            if missing:
                raise InputError(f"{self._table}: column {' and '.join(sorted(missing))} is missing")
            for row in table:
                where = f"{self._table} line {table.line_num}"
                sample = self._sample(row, where)
                if sample.key in rows:
                    raise InputError(f"{where}: file '{sample.key}' comes twice")
                rows[sample.key] = sample
        yield from (rows[key] for key in sorted(rows))

    def _sample(self, row: dict[str, str | None], where: str) -> SourceSample:
        name, text, split = ((row.get(column) or "").strip() for column in ("file", "text", "split"))
        if not name or not text:
            raise InputError(f"{where}: the {'transcript' if name else 'file'} is empty")
        if split not in _SPLITS:
            raise InputError(f"{where}: split '{split}' is none of train, val, test")
        if not (self._folder / name).is_file():
            raise InputError(f"{where}: {self._folder / name} does not exist")
        return SourceSample(_SPLITS[split], " ".join(text.split()), name, FileSlice(str(self._folder / name)))


def _looks_like(path: Path) -> int:
    return LIKELY if any((path / name).is_file() for name in _TABLES) else UNLIKELY


AUDIO = SourceKind(AudioFolderSource, "DIR", looks_like=_looks_like)
