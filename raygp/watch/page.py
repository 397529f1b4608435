"""The line's report as a watcher serves it: made by another process, and made anew when the line has changed.

Why another process: a report loads torch and the line's models, which a watcher that lives for months does without.
And why only when somebody asks, or this watcher did something: an idle watcher asks the storage for next to nothing.
"""

from __future__ import annotations

import contextlib
import html
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

from raygp.errors import RaygpError
from raygp.loopback import Answer
from raygp.store import Location, arrival_names, read_head
from raygp.store.refusals import kept_updates
from raygp.store.waiting import WAITING_FILE

_HTML = "text/html; charset=utf-8"
_PATIENCE_S = 900.0
"""How long a report may take: it reads models and rows over a network."""
_NICE = 10
_FRESH = {"Cache-Control": "no-store"}
"""Of every answer: a browser that kept the page would show yesterday's."""
_SOON = {"Refresh": "3", "Retry-After": "3", **_FRESH}


def standing_of(location: Location) -> Hashable:
    """What a report depends on: head, refusals, arrivals and the candidate that waits for a person."""
    refused = tuple(update.update for update in kept_updates(location) if update.refusal is not None)
    waiting = location.read_if_exists(WAITING_FILE)
    return repr(read_head(location)), refused, tuple(arrival_names(location)), waiting


class ServedReport:
    """Keeps the newest page of a line in memory.

    Args:
        command: makes a page; the file to write is its last argument, and comes after these.
        look: what the page depends on (:func:`standing_of`); it is made anew when that differs.
        say: told in one line when it cannot be made.
        every_s: a request looks at the line if nobody has for so many seconds.
        clock: seconds, of any beginning.
    """

    def __init__(
        self,
        command: Sequence[str],
        look: Callable[[], Hashable],
        say: Callable[[str], None],
        every_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command, self._look, self._say = list(command), look, say
        self._every_s, self._clock = every_s, clock
        self._page: bytes | None = None
        self._made_of: Hashable = None
        self._problem = ""
        self._looked = -every_s
        self._wanted, self._closed = threading.Event(), False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        """Between closing and starting a process."""

    def answer(self) -> Answer:
        """The newest page that there is. Does not wait: one that is being made is for the next request."""
        if self._clock() - self._looked >= self._every_s:
            self.look()
        if self._page is not None:
            return Answer(self._page, _HTML, headers=_FRESH)
        if self._problem:
            return Answer(_notice("There is no report", self._problem), _HTML, 503, _FRESH)
        return Answer(_notice("The report is being made", "This page looks again by itself."), _HTML, 503, _SOON)

    def look(self) -> None:
        """Look at the line soon, and make the page anew if something has changed."""
        self._wanted.set()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Make pages for the time of the block, beginning with one."""
        thread = threading.Thread(target=self._work, name="raygp-report", daemon=True)
        self.look()
        thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._closed = True
                if self._process is not None:
                    self._process.kill()
            self._wanted.set()
            thread.join()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closed:
                return
            self._looked = self._clock()
            try:
                self._make_if_changed()
            except (RaygpError, OSError) as error:
                self._fail(str(error))

    def _make_if_changed(self) -> None:
        # Looked at first: what changes while the page is made is seen by the next look.
        now = self._look()
        if self._page is not None and now == self._made_of and not self._problem:
            return
        with tempfile.TemporaryDirectory(prefix="raygp-report-") as folder:
            out = Path(folder) / "report.html"
            self._run(out)
            if self._closed:
                return
            self._page, self._made_of, self._problem = out.read_bytes(), now, ""

    def _run(self, out: Path) -> None:
        """Make the page. Raises RaygpError if it cannot be made."""
        with self._lock:
            if self._closed:
                return
            process = self._process = subprocess.Popen(
                [*self._command, str(out)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Ctrl-C in a terminal is for the watcher.
                start_new_session=True,
            )
        with contextlib.suppress(OSError, AttributeError):  # An update comes first; not every system can say so.
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        try:
            _, errors = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise RaygpError(f"it was not made within {_PATIENCE_S:,.0f} s") from None
        finally:
            with self._lock:
                self._process = None
        if process.returncode and not self._closed:
            said = errors.decode(errors="replace").strip().splitlines()
            reason = said[-1].removeprefix("raygp: ") if said else f"its process ended with {process.returncode}"
            raise RaygpError(reason)

    def _fail(self, reason: str) -> None:
        """The page that there is stays; the next look tries again."""
        if reason != self._problem:
            self._say(f"the report could not be made: {reason}")
        self._problem = reason


def _notice(title: str, text: str) -> bytes:
    """A page in place of a report."""
    title, text = html.escape(title), html.escape(text)
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f'<body style="font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">'
        f"<h1>{title}</h1><p>{text}</p>"
    ).encode()
