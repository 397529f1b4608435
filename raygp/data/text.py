"""Text as people have it: bytes into characters, one spelling for labels and transcripts, and tables of text.

Every source uses these, so a text means the same wherever it comes from.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from raygp.errors import InputError
from raygp.tasks.plaintext import INVISIBLE

TABLES = (".tsv", ".csv", ".jsonl")
"""Suffixes of the tables that :func:`parse_table` reads, in lower case, with the dot."""

_MARKS = (
    # UTF-32's mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_PIECE = 1 << 20
"""Bytes of a file that are read at once."""
_WHITE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_ISOLATED = re.compile(rb"(?<![\x80-\xff])[\x80-\xff]{1,2}(?![\x80-\xff])")
_ESCAPED = re.compile("[\udc80-\udcff]")
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


def decode_text(content: bytes, first: int = 1) -> str:
    """The characters of a text file: as its byte order mark says, and UTF-8 where it has none. The mark is left out.

    Args:
        content: of the file, or some lines of it.
        first: number of its first line, for messages.

    Raises:
        ValueError: it is no such text; the message has the reason, the line and what to do.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    content = content[len(mark) :]
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = first - 1 + _line_at(content[: error.start].decode(encoding))
        if b"\0" in content and not mark:
            raise ValueError(_without_mark(content, line)) from error
        name = encoding.removesuffix("-le").removesuffix("-be").upper()
        if error.end == len(content) and error.reason in ("unexpected end of data", "truncated data"):
            cut = f"line {line} ends in the middle of a character"
            raise ValueError(f"{cut}: the file is incomplete, or it is not {name}") from error
        raise ValueError(f"line {line} is not {name}: save the file as UTF-8{_looks(content, mark)}") from error
    if "\0" in text:
        raise ValueError(_without_mark(content, first - 1 + _line_at(text[: text.index("\0")])))
    return text


def _without_mark(content: bytes, line: int) -> str:
    """What bytes of zero mean: many of them are UTF-16, one is damage."""
    if max(content[::2].count(0), content[1::2].count(0)) * 5 > len(content) // 2:
        return "it is UTF-16 without a byte order mark: save the file as UTF-8"
    return f"line {line} holds a NUL character: the file is damaged, or it is no text"


def _looks(content: bytes, mark: bytes) -> str:
    """`` (it looks like ...)`` where letters beyond ASCII stand alone among others, as in western languages."""
    high = sum(byte >= 0x80 for byte in content[:1_000_000])
    alone = sum(len(found[0]) for found in _ISOLATED.finditer(content[:1_000_000]))
    return " (it looks like Latin-1/Windows-1252)" if not mark and alone * 2 > high else ""


def _line_at(before: str) -> int:
    return len(_lines(before))


def _lines(text: str) -> list[str]:
    """Without their ends, whichever system wrote them. Other separators, such as U+2028, are part of the text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _decoded(content: bytes, first: int, keep_bad: bool) -> str:
    """As :func:`decode_text`. With ``keep_bad``, a line that is no text is there with what :func:`_no_text` finds."""
    try:
        return decode_text(content, first)
    except ValueError:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape") if keep_bad else ""
        # Where the heading is no text, nothing is.
        if not keep_bad or (first == 1 and _no_text(next(filter(tidy, _lines(text)), ""))):
            raise
        return text


def _no_text(line: str) -> str:
    """Why a line is no text; empty if it is."""
    if "\0" in line:
        return "it holds a NUL character: the file is damaged, or it is no text"
    return "it is not UTF-8: save the file as UTF-8" if _ESCAPED.search(line) else ""


def _lines_of_file(path: Path, name: str, keep_bad: bool = False) -> Iterator[str]:
    """The lines of a text file as :func:`_decoded` and :func:`_lines` give them, of which few are in memory at a
    time. UTF-16 and UTF-32 are read whole.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    done, rest = 0, b""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            wide = any(head.startswith(mark) for mark, encoding in _MARKS if encoding != "utf-8")
            file.seek(0)
            while piece := file.read(-1 if wide else _PIECE):
                rest += piece
                cut = 0 if wide else rest.rfind(b"\n") + 1
                if cut:
                    found = _lines(_decoded(rest[:cut], done + 1, keep_bad))[:-1]
                    done, rest = done + len(found), rest[cut:]
                    yield from found
        yield from _lines(_decoded(rest, done + 1, keep_bad))
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def tidy(text: str, compose: bool = True) -> str:
    """The one spelling of a label or a transcript, whatever source it comes from.

    Every run of blanks, tabs and line ends inside becomes one blank. Outer ones, byte order marks and zero-width
    blanks at the ends go. Letters are composed (Unicode's NFC).

    Args:
        text: as the source has it.
        compose: False: letters are left as they are.
    """
    found = " ".join(text.strip(_WHITE + INVISIBLE).split())
    return unicodedata.normalize("NFC", found) if compose else found


def code_points(text: str) -> str:
    """``U+0065 U+0301``: what tells apart texts that look alike."""
    return " ".join(f"U+{ord(character):04X}" for character in text)


def quoted(text: str, known: Collection[str] = ()) -> str:
    """A label for messages: ``'caf\u00e9'``, with the code points beyond ASCII where the eye may not tell what it is:
    in a single letter, where letters are not composed or not visible, and where a known label looks the same.

    Args:
        text: the label.
        known: labels that it must be told apart from.
    """
    strange = "".join(character for character in text if not character.isascii() or not character.isprintable())
    doubtful = len(text) == 1 or not text.isprintable() or not unicodedata.is_normalized("NFC", text)
    if strange and (doubtful or _look(text) in {_look(other) for other in known}):
        shown = text if text.isprintable() else ascii(text)[1:-1]
        return f"'{shown}' ({code_points(strange)})"
    return f"'{text}'"


def _look(text: str) -> str:
    return unicodedata.normalize("NFKC", "".join(c for c in text if unicodedata.category(c) != "Cf")).casefold()


class Nested(str):
    """The JSON of a list or an object that stands where a table has one value."""

    __slots__ = ()


class Row(NamedTuple):
    """A row of a table."""

    line: int
    """The line of the file where it begins, from 1."""
    values: dict[str, str]
    """By column; as they are in the file. Empty where there is a problem."""
    problem: str = ""
    """Why it cannot be read, where bad rows are kept."""


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    columns: tuple[str, ...]
    """Their names in lower case, without blanks around them. Columns without a name are left out."""
    rows: Iterator[Row]
    """In the order of the file, read once. Rows that are empty altogether are left out. Raises InputError, with the
    line, for one that does not fit the heading."""
    unnamed: int = 0
    """How many columns have no name."""


def parse_table(content: bytes, name: str, long_texts: bool = False, keep_bad: bool = False) -> Table:
    """A table of one of the kinds in :data:`TABLES`, with the names of its columns in its first line.

    - ``.tsv``: tabs between the fields, no quoting. A quotation mark is part of the text.
    - ``.csv``: commas, and quoting as in RFC 4180. A heading without commas, but with semicolons or tabs, says that
      these are between the fields; so does a line ``sep=;`` before it.
    - ``.jsonl``: an object in each line.

    Args:
        content: of the file.
        name: of the file, with its suffix; messages begin with it.
        long_texts: a quoted text may have several lines with commas in them. Without, such a one is taken for a
            quotation mark that is not closed.
        keep_bad: a row that cannot be read is there with its problem, and the rest goes on. A quotation mark that is
            not closed as it should be ends the table with such a row: nothing after it can be trusted.

    Raises:
        InputError: it is no text, or no such table; the message gives the line and what to do.
    """
    try:
        lines = _lines(_decoded(content, 1, keep_bad))
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    return _table(iter(lines), name, long_texts, keep_bad)


def read_table(path: Path, name: str, keep_bad: bool = False) -> Table:
    """As :func:`parse_table`, of a file of which few rows are in memory at a time. What is wrong further down is raised
    when its rows are read. A .jsonl is read whole.

    Args:
        path: of the file, which is not compressed.
        name: with its suffix; messages begin with it.
        keep_bad: as for :func:`parse_table`.
    """
    return _table(_lines_of_file(path, name, keep_bad), name, keep_bad=keep_bad)


def _table(lines: Iterator[str], name: str, long_texts: bool = False, keep_bad: bool = False) -> Table:
    suffix = PurePath(name).suffix.lower()
    if suffix not in TABLES:
        raise InputError(f"{name} is no table that is read: expected {', '.join(TABLES)}")
    if suffix == ".jsonl":
        return _objects(list(lines), name, keep_bad)
    records = _unquoted(lines, name) if suffix == ".tsv" else _quoted(lines, name, long_texts)
    heading = next((fields for _, fields in records if any(map(tidy, fields))), None)
    if heading is None:
        raise InputError(f"{name} is empty: expected a heading with the names of columns")
    columns = [tidy(field).lower() for field in heading]
    named = [column for column in columns if column]
    _check_once(named, name)
    return Table(tuple(named), _rows(records, columns, name, keep_bad), len(columns) - len(named))


def _check_once(columns: Sequence[str], where: str) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"{where}: column '{column}' is there {columns.count(column)} times")


def _rows(records: Iterator[tuple[int, list[str]]], columns: Sequence[str], name: str, keep_bad: bool) -> Iterator[Row]:
    try:
        for line, fields in records:
            if not any(map(tidy, fields)):
                continue
            problem = _misfit(len(fields), len(columns), name)
            if problem and not keep_bad:
                raise InputError(f"{name} line {line} {problem}")
            if keep_bad and (problem := _no_text("\n".join(fields)) or (problem and f"it {problem}")):
                yield Row(line, {}, problem)
            else:
                yield Row(line, {column: field for column, field in zip(columns, fields, strict=True) if column})
    except _BadQuote as error:
        if not keep_bad:
            raise
        yield Row(error.line, {}, f"{_BAD_QUOTE} Everything after line {error.line - 1} is left out.")


def _misfit(fields: int, columns: int, name: str) -> str:
    """What is wrong with the number of fields of a row; empty if nothing is."""
    if fields == columns:
        return ""
    hint = "; a text with commas in it stands between quotation marks" if name.lower().endswith(".csv") else ""
    few = f"has {fields} field{'s' * (fields != 1)}, but the heading has {columns}"
    return few + (hint if fields > columns else "")


def _from_heading(lines: Iterator[str]) -> tuple[str, int, Iterator[str]]:
    """The first line with anything in it, how many stand before it, and that line and all after it."""
    before = 0
    for line in lines:
        if tidy(line):
            return line, before, itertools.chain([line], lines)
        before += 1
    return "", before, iter(())


def _unquoted(lines: Iterator[str], name: str) -> Iterator[tuple[int, list[str]]]:
    heading, before, lines = _from_heading(lines)
    if "\t" not in heading and (other := next((mark for mark in ",;|" if mark in heading), None)):
        raise InputError(f"{name}: the heading holds '{other}' and no tab: call the file .csv, or put tabs in it")
    if re.match(r'\s*"[^"\t]*"\t', heading):
        raise InputError(f"{name}: the heading is quoted, but a .tsv is read without quoting: call the file .csv")
    return ((number, line.split("\t")) for number, line in enumerate(lines, before + 1))


def _quoted(lines: Iterator[str], name: str, long_texts: bool) -> Iterator[tuple[int, list[str]]]:
    heading, before, lines = _from_heading(lines)
    if given := _SEPARATOR.fullmatch(heading.strip()):
        next(lines)
        return _records(lines, given[1], name, before + 1, long_texts)
    delimiter = next((mark for mark in ",;\t" if mark in heading), ",")
    if delimiter not in heading and "|" in heading:
        raise InputError(f"{name}: the heading holds '|': put commas, semicolons or tabs between the fields")
    return _records(lines, delimiter, name, before, long_texts)


def _records(
    lines: Iterator[str], delimiter: str, name: str, skip: int, long_texts: bool
) -> Iterator[tuple[int, list[str]]]:
    # A blank before a quotation mark is no part of the field: without this, the marks would be.
    quoted = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        line = skip + quoted.line_num + 1
        try:
            fields = next(quoted)
        except StopIteration:
            return
        except csv.Error as error:
            raise _BadQuote(name, line) from error
        for field in fields:
            _, *more = field.split("\n")
            # A text may have line ends. But a mark that is not closed swallows the rows after it, and these hold
            # what stands between fields.
            if not long_texts and any(delimiter in part for part in more):
                raise _BadQuote(name, line)
            line += len(more)
        yield skip + quoted.line_num - sum(field.count("\n") for field in fields), fields


_BAD_QUOTE = (
    "a quotation mark opens a text and is not closed as it should be. In a .csv, a text with quotation marks stands "
    'between two more, and each of its own is written twice: "say ""yes"" now". In a .tsv they are ordinary characters.'
)


class _BadQuote(InputError):
    def __init__(self, name: str, line: int) -> None:
        super().__init__(f"{name} line {line}: {_BAD_QUOTE}")
        self.line = line


def _objects(lines: list[str], name: str, keep_bad: bool) -> Table:
    rows = []
    for number, line in enumerate(lines, 1):
        if not tidy(line):
            continue
        if keep_bad and (problem := _no_text(line)):
            rows.append(Row(number, {}, problem))
            continue
        try:
            rows.append(Row(number, _object(line, f"{name} line {number}")))
        except InputError as error:
            if not keep_bad:
                raise
            reason = str(error).removeprefix(f"{name} line {number}")
            rows.append(Row(number, {}, f"it{reason}" if reason.startswith(" ") else reason.lstrip(": ")))
    columns = tuple(dict.fromkeys(column for row in rows for column in row.values))
    return Table(columns, iter(row._replace(values=dict.fromkeys(columns, "") | row.values) for row in rows))


def _object(line: str, where: str) -> dict[str, str]:
    pairs: list[tuple[str, Any]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal pairs
        pairs = found  # The last call is for the outermost object.
        return dict(found)

    try:
        whole = json.loads(line, object_pairs_hook=keep)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if not isinstance(whole, dict):
        raise InputError(f'{where}: expected an object such as {{"file_name": "a.wav", "text": "yes"}}')
    columns = [tidy(key).lower() for key, _ in pairs]
    _check_once(columns, where)
    return {column: _cell(value) for column, (_, value) in zip(columns, pairs, strict=True) if column}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return Nested(text) if isinstance(value, list | dict) else text
