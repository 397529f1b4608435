"""What a model is to answer, as people name it: files, folders, tables, tars, patterns, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from raygp.data.sources import SOURCES, FileSlice, PassedOver, SourceSample
from raygp.data.sources.kind import medium_of
from raygp.data.sources.texts import FILES as TEXT_FILES
from raygp.data.sources.texts import TextFile
from raygp.data.sources.walk import NO_SAMPLES, is_pattern, is_sample, matches, not_decoded, shown, walk
from raygp.errors import InputError
from raygp.tasks.protocol import Task

STDIN = "-"
"""Stands for standard input."""


_SHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
_MEDIA = {"image": "images", "audio": "recordings", "text": "texts", "row": "tables"}
"""What a folder is looked through for, by what a task's samples are."""


class Inputs:
    """The samples that some paths mean, in order, found while they are iterated over; each has a name for people as its
    key. They may be more than memory holds: neither names nor contents are kept.

    A path is a file of one sample; or a file of many, of a kind of source that says so
    (:attr:`raygp.data.sources.SourceKind.inputs`: tables, tars, idx files); or a folder, which is walked as sources
    are, without what they skip; or a pattern of such; or ``-``. What cannot be read gives a sample with a problem.

    Args:
        task: whose samples are wanted. An attribute ``medium`` says which files of a folder are some: "image", "audio",
            "text" or "row" (of a table, as a JSON object); without, all are that are not plainly something else.
        paths: what they mean.
        given: standard input, as an open file of bytes; None: that of the process.
    """

    def __init__(self, task: Task, paths: Sequence[str], given: BinaryIO | None = None) -> None:
        self.passed_over = PassedOver()
        """What lies in folders and files and gives no sample; filled while samples are found."""
        self._task, self._paths = task, list(paths)
        self._given, self._medium = given, medium_of(task)
        self._wanted = _MEDIA.get(self._medium or "", "samples")
        self._kinds = [SOURCES.get(name).inputs for name in SOURCES]

    def __iter__(self) -> Iterator[SourceSample]:
        for path in self._paths:
            found = self._stdin() if path == STDIN else _watched(path, self._of_argument(path))
            yield from found

    def _of_argument(self, path: str) -> Iterator[SourceSample]:
        if is_pattern(path):
            for match in matches(path):
                yield from _watched(match, self._of_path(match))
        else:
            yield from self._of_path(path)

    def _of_path(self, path: str) -> Iterator[SourceSample]:
        if os.path.isdir(path):
            yield from self._of_folder(path)
        elif not os.path.exists(path):
            raise InputError("it does not exist")
        else:
            many = self._many(path, path)
            yield from many if many is not None else [self._sample(path, path)]

    def _of_folder(self, path: str) -> Iterator[SourceSample]:
        count = 0
        for folder in walk(path, self.passed_over):
            for name in folder.files:
                file, key = f"{folder.path}/{name}", os.path.join(path, *folder.parts, name)
                many = self._many(file, key)
                for sample in many if many is not None else self._one(file, key, name):
                    count += 1
                    yield sample
        if not count:
            found = "; ".join(self.passed_over.lines)
            raise InputError(f"it holds no {self._wanted}" + (f" ({found})" if found else ""))

    def _many(self, file: str, key: str) -> Iterator[SourceSample] | None:
        """The samples of a file of many; None if it is none."""
        path = Path(file).absolute()
        if self._medium == "row" and file.lower().endswith(".jsonl"):
            return _watched(key, _below(key, _json_lines(file)))
        for inputs in self._kinds:
            if (found := inputs(path, self._task, self.passed_over)) is not None:
                return _watched(key, _below(key, found))
        return None

    def _one(self, file: str, key: str, name: str) -> Iterator[SourceSample]:
        """A file in a folder, if it is a sample."""
        try:
            if self._is_wanted(file, name):
                yield self._sample(file, key)
            else:
                plain = f"files that are no {self._wanted}"
                self.passed_over.add(not_decoded("image", name) if self._medium == "image" else plain, key)
        except InputError as error:
            yield _problem(key, str(error))

    def _sample(self, file: str, key: str) -> SourceSample:
        if self._medium in ("row", "text") and file.lower().endswith(_SHEETS):
            return _problem(key, "it is a spreadsheet: save it as CSV")
        path = os.path.abspath(file)
        return SourceSample(None, "", key, TextFile(path) if self._medium == "text" else FileSlice(path))

    def _is_wanted(self, file: str, name: str) -> bool:
        if self._medium == "image" or self._medium == "audio":
            return is_sample("image" if self._medium == "image" else "audio", name, FileSlice(file))
        if self._medium == "row":
            return name.lower().endswith(".json")
        return name.lower().endswith(TEXT_FILES) if self._medium == "text" else not name.lower().endswith(NO_SAMPLES)

    def _stdin(self) -> Iterator[SourceSample]:
        """One sample; or one in each line, where samples are text."""
        given = self._given or sys.stdin.buffer
        if self._medium in ("image", "audio"):
            yield SourceSample(None, "", STDIN, partial(bytes, given.read()))
            return
        for number, line in enumerate(given, 1):
            if line.strip():
                yield SourceSample(None, "", f"line {number:,}", partial(bytes, line.rstrip(b"\r\n")))


def _json_lines(file: str) -> Iterator[SourceSample]:
    """The rows of a file with a JSON object in each line."""
    some = False
    try:
        with open(file, "rb") as given:
            for number, line in enumerate(given, 1):
                if line.strip():
                    some = True
                    yield SourceSample(None, "", f"#{number:06d}", partial(bytes, line.rstrip(b"\r\n")))
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}") from error
    if not some:
        raise InputError("there are no rows in it")


def _below(key: str, samples: Iterator[SourceSample]) -> Iterator[SourceSample]:
    """Samples of a file, named after it."""
    for sample in samples:
        load: Callable[[], bytes] = partial(_refused, sample.problem) if sample.problem else sample.load
        yield SourceSample(None, "", f"{key}{sample.key}", load, sample.problem)


def _watched(key: str, samples: Iterator[SourceSample]) -> Iterator[SourceSample]:
    """Samples, and one with a problem in place of those that cannot be found any more."""
    last = ""
    try:
        for sample in samples:
            last = sample.key
            yield sample
    except InputError as error:
        rest = f"; everything after {printable(last)} was not answered" if last else ""
        yield _problem(key, _without_name(str(error), key) + rest)


def _without_name(message: str, key: str) -> str:
    """What is wrong with a file, without its name at the start: it is named already."""
    base = os.path.basename(key)
    for name in (os.path.abspath(key), key, base, f"table:{base}"):
        rest = message.removeprefix(name)
        if rest != message and rest.startswith((":", " ")):
            return f"it{rest}" if rest.startswith((" is ", " lacks ", " has ", " cannot ")) else rest.lstrip(": ")
    return message


def _problem(key: str, problem: str) -> SourceSample:
    return SourceSample(None, "", key, partial(_refused, problem), problem)


def _refused(problem: str) -> bytes:
    raise InputError(problem)


def printable(key: str) -> str:
    """A name as text that can be printed, whatever bytes a file is called by."""
    return shown(key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
