"""Progress of an update: where there is a terminal, a view that is redrawn in place (:mod:`raygp.report.live`); else
plain lines now and then, and never half a minute without one while nothing is trained."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, Self

from rich.console import Console
from rich.text import Text

from raygp.events import EpochEnded, Event, InPhase, StepsDone, UpdateStarted, UpdatesWaiting, Working
from raygp.record import called

_PLAIN_INTERVAL_S = 5.0
"""Between two lines where there is no terminal."""
_PLAIN_STEP_INTERVAL_S = 60.0
"""The same within a long epoch."""
_SILENCE_S = 20.0
"""After so long without a line, one says what is still being done."""
_ROOM = 160
"""Where there is no terminal, lines are as long as they need to be."""


class Progress(Protocol):
    """Shows one command's updates while they run."""

    def follow(self, event: Event) -> None:
        """Take up what has happened. Events that say nothing of progress are passed over."""
        ...

    def interrupt(self, text: str) -> None:
        """Print a line of text about the update, that stays."""
        ...

    def end_line(self) -> None:
        """End the line that is being made: what is printed next stands below it."""
        ...

    def close(self) -> None:
        """Leave on the screen what is to stay there."""
        ...


def progress_on(console: Console) -> Progress:
    """The view that suits a console: what is redrawn in place needs a terminal that can do so."""
    from raygp.report.live import LiveView

    return LiveView(console) if console.is_interactive else PhaseLines(console)


class PhaseLine:
    """Makes the line of a phase out of its events.

    Args:
        title: what it begins with, such as the version's name.
        metric: what accuracies are called where they are no shares of right answers.
    """

    def __init__(self, title: str, metric: str = "") -> None:
        self._title, self._metric = title, metric
        self._rate: float | None = None
        self._loss = float("nan")

    def of(self, event: InPhase, width: int) -> Text:
        """The line after ``event``, without the parts that there is no room for."""
        if isinstance(event, StepsDone):
            self._rate, self._loss = event.examples_per_s, event.loss
        running = isinstance(event, StepsDone)
        epoch = f"epoch {event.epoch + (1 if running else 0)}/{event.epochs}"
        if isinstance(event, StepsDone) and event.step < event.steps:
            epoch += f" step {event.step}/{event.steps}"
        val = f"validation {called(event.record.val_accuracy, self._metric)}" if isinstance(event, EpochEnded) else ""
        # Each with its importance: what matters least goes first.
        parts = [
            (9, f"{self._title}  {event.phase + 1}/{event.phases} {event.kind:<17}"),
            (8, epoch),
            (1, "" if self._rate is None else f"{self._rate:,.0f} examples/s"),
            (5, f"loss {self._loss:.3f}"),
            (4, f"density {event.density:.3f}"),
            (7, val),
        ]
        shown = [part for part in parts if part[1]]
        while len("  ".join(text for _, text in shown)) > width and len(shown) > 2:
            shown.remove(min(shown))
        return Text("  ".join(text for _, text in shown))


class PhaseLines:
    """Plain lines: some epochs of each phase, its last one in any case, and what else takes long.

    Args:
        console: what to print on.
        title: what each line begins with, until an update says its own.
    """

    def __init__(self, console: Console, title: str = "", metric: str = "") -> None:
        self._console, self._title = console, title
        self._line = PhaseLine(title, metric)
        self._phase = -1
        self._printed = time.monotonic()
        # The first line of an update comes at once.
        self._shown = -_PLAIN_STEP_INTERVAL_S
        self._unprinted: Text | None = None
        self._busy = ""
        self._lock = threading.Lock()
        self._clock: _Clock | None = None

    def follow(self, event: Event) -> None:
        """See :class:`Progress`."""
        match event:
            case UpdatesWaiting():
                self._be_busy("starting Ray")
            case UpdateStarted():
                self._title, self._line = event.version, PhaseLine(event.version, event.metric)
                self._phase, self._shown = -1, -_PLAIN_STEP_INTERVAL_S
                self._be_busy("reading what the update needs")
            case Working():
                amount = f": {event.done:,} of {event.total:,}" if event.total else ""
                self._be_busy(f"{event.what}{amount}")
            case StepsDone() | EpochEnded():
                self.show(event)

    def show(self, event: InPhase) -> None:
        """Show where the update stands: after some steps, or at the end of an epoch."""
        if event.phase != self._phase:
            self.end_line()
            self._phase = event.phase
        self._busy = ""
        line, waited = self._line.of(event, _ROOM), time.monotonic() - self._shown
        if isinstance(event, StepsDone):
            due = waited >= _PLAIN_STEP_INTERVAL_S
        else:
            # What is not printed now is printed at the end of the phase if nothing follows it.
            self._unprinted = line
            due = waited >= _PLAIN_INTERVAL_S or event.epoch == event.epochs
        if due:
            self._unprinted = line
            self.end_line()

    def interrupt(self, text: str) -> None:
        """See :class:`Progress`."""
        self.end_line()
        self._put(Text(f"{self._title}  {text}" if self._title else text))

    def end_line(self) -> None:
        """See :class:`Progress`."""
        if self._unprinted is not None:
            line, self._unprinted, self._shown = self._unprinted, None, time.monotonic()
            self._put(line)

    def close(self) -> None:
        """See :class:`Progress`."""
        self.end_line()
        if self._clock is not None:
            self._clock.end()
            self._clock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _be_busy(self, what: str) -> None:
        with self._lock:
            self._busy = what
        if self._clock is None:
            self._clock = _Clock(self._break_the_silence)

    def _break_the_silence(self) -> None:
        """Called every second, by a thread: an update that starts workers, say, has nothing to tell meanwhile."""
        with self._lock:
            waited = time.monotonic() - self._printed
            if not self._busy or waited < _SILENCE_S:
                return
            text = f"{self._title}  {self._busy}" if self._title else self._busy
            self._printed = time.monotonic()
            self._console.print(Text(f"{text} ..."), soft_wrap=True)

    def _put(self, line: Text) -> None:
        with self._lock:
            self._printed = time.monotonic()
            # Soft wrapping: rich would cut the line at the width that it assumes where there is no terminal.
            self._console.print(line, soft_wrap=True)


class _Clock:
    """A thread that calls something every second."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._ended = threading.Event()

        def run() -> None:
            while not self._ended.wait(1.0):
                act()

        self._thread = threading.Thread(target=run, name="raygp-clock", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Call it no more."""
        self._ended.set()
        self._thread.join(timeout=5)
