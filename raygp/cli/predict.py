"""``raygp predict``: what a version makes of files, folders and tables."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from raygp.cli.options import add_own_task, line_of
from raygp.errors import InputError, RaygpError
from raygp.line import Version
from raygp.loading import ending_on_ctrl_c

if TYPE_CHECKING:
    from raygp.data.sources import SourceSample
    from raygp.tasks import Answer
    from raygp.tasks.tabular_watch import RowWatch

NAME = "predict"
HELP = "what a version makes of files, folders and tables"
_TOLD_EVERY_S, _TOLD_EVERY_ON_TERMINAL_S = 20.0, 0.5
_LOOKED_AT = 8
"""So many answers are waited for before the widths of columns are chosen; they come in one batch."""
_ESCAPED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON leaves as it is and a terminal should not get; and halves of characters, by which Python keeps the bytes of
names that are not UTF-8."""
Named = tuple[str, "Answer"]
"""A sample's name, and its answer."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="files; folders, with all that is in them; files of many samples (.parquet, .tar, tables); patterns such "
        "as 'new/*.jpg'; - is standard input",
    )
    parser.add_argument("--version", default="head", metavar="VERSION", help="such as v0003 (default: the head)")
    add_own_task(parser)
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes that are listed, at most (default 5)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON value a line on standard output, as answers come; the rest goes to standard error",
    )


def run(options: argparse.Namespace) -> None:
    """Answer, and print answers as they come. What cannot be read is named in its place, and the rest goes on.

    Raises:
        InputError: there is no such version, or something could not be read.
        RaygpError: the answers cannot be written.
    """
    if options.top < 1:
        raise InputError(f"--top must be at least 1, not {options.top}")
    version = line_of(options).version(options.version)
    with ending_on_ctrl_c():
        import torch  # noqa: F401  # Takes seconds, in which Ctrl-C ends the process.
    from raygp.inference.inputs import Inputs, printable
    from raygp.tasks.tabular_watch import watch_of

    inputs = Inputs(version.task, options.paths)
    told, watch = _Progress(version.name), watch_of(version.task)
    answers = told.watched(_answered(version, inputs, watch))
    try:
        if options.json:
            _print_json(version, answers, options.top)
        else:
            _print_lines(version, answers, options.top)
    except BrokenPipeError:
        _write_nothing_more()  # Who reads has seen enough, as head does.
        return
    told.end([*(f"passed over: {line}" for line in inputs.passed_over.lines), *(watch.lines if watch else ())])
    if told.bad:
        name, problem = printable(told.first_bad[0]), told.first_bad[1]
        few = f"{told.bad:,} of {told.done:,} could not be read, such as {name}" if told.done > 1 else name
        raise InputError(f"predict: {few}: {problem}")


def _answered(version: Version, samples: Iterable[SourceSample], watch: RowWatch | None) -> Iterator[Named]:
    """Each sample's name with its answer. Names are kept only of the samples whose answers are awaited. Rows of tables
    are looked at on the way."""
    names: deque[str] = deque()

    def loads() -> Iterator[Callable[[], bytes]]:
        for sample in samples:
            names.append(sample.key)
            yield sample.load if watch is None else partial(_looked_at, sample.load, watch)

    for answer in version.predict(loads()):
        yield names.popleft(), answer


def _looked_at(load: Callable[[], bytes], watch: RowWatch) -> bytes:
    return watch.seen(load())


def _print_json(version: Version, answers: Iterator[Named], top: int) -> None:
    for name, answer in answers:
        said = {"file": name, "version": version.name} | answer.plain(top)
        _say(_ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(said, ensure_ascii=False)))


def _print_lines(version: Version, answers: Iterator[Named], top: int) -> None:
    from raygp.cli.answers import AnswerLines
    from raygp.inference.inputs import printable

    answers = ((printable(name), answer) for name, answer in answers)
    first = list(itertools.islice(answers, _LOOKED_AT))
    width = Console().width if sys.stdout.isatty() else None
    classes = version.classes if version.task.labels_are_classes else []
    lines = AnswerLines([name for name, _ in first], classes, width, top)
    if answered := [answer for _, answer in first if not answer.problem]:
        _say(lines.heading(answered[0]))
    for name, answer in itertools.chain(first, answers):
        _say(lines.line(name, answer))


def _say(line: str) -> None:
    with _writing():
        print(line, flush=sys.stdout.isatty())


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Turn what goes wrong with standard output into one line, but for a reader who has left."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _write_nothing_more()
        raise RaygpError(f"predict: answers cannot be written: {error.strerror or error}") from error


def _write_nothing_more() -> None:
    """What Python would write at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Progress:
    """Counts answers, and tells of them on standard error while they do not show themselves on a terminal.

    Args:
        version: name of what answers.
    """

    def __init__(self, version: str) -> None:
        self._version, self._last, self._shown = version, time.monotonic(), False
        self._first = 0.0
        self.done = self.bad = 0
        self.first_bad = ("", "")
        """Name and problem of the first sample that could not be read."""

    def watched(self, answers: Iterable[Named]) -> Iterator[Named]:
        """The same answers."""
        for name, answer in answers:
            self.done += 1
            self._first = self._first or time.monotonic()
            if answer.problem:
                self.first_bad = self.first_bad if self.bad else (name, answer.problem)
                self.bad += 1
            self._tell()
            yield name, answer

    def end(self, lines: list[str]) -> None:
        """Say what came of it, and what else there is to say."""
        try:
            with _writing():
                sys.stdout.flush()
        except BrokenPipeError:
            _write_nothing_more()
        clear = "\r\x1b[K" if self._shown else ""
        print(f"{clear}{self._version}: {self.done - self.bad:,} answered{self._rate()}", file=sys.stderr)
        for line in lines:
            print(line, file=sys.stderr)

    def _tell(self) -> None:
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if sys.stdout.isatty() or now - self._last < (_TOLD_EVERY_ON_TERMINAL_S if terminal else _TOLD_EVERY_S):
            return
        self._last, self._shown = now, terminal
        start, end = ("\r\x1b[K", "") if terminal else ("", "\n")
        bad = f", {self.bad:,} not read" if self.bad else ""
        print(f"{start}{self.done:,} done{bad}{self._rate()}", end=end, file=sys.stderr, flush=True)

    def _rate(self) -> str:
        # What was loaded before the first answer says nothing about those to come.
        seconds = time.monotonic() - self._first
        return f", {self.done / seconds:,.0f} a second" if self.done and seconds > 1.0 else ""
