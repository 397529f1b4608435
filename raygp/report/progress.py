"""Progress of one update: a line a phase, rewritten in place on a terminal; plain lines now and then elsewhere."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from raygp.events import EpochEnded, InPhase, StepsDone
from raygp.record import called

_PLAIN_INTERVAL_S = 5.0
"""Between two lines where there is no terminal."""
_PLAIN_STEP_INTERVAL_S = 60.0
"""The same within a long epoch."""
_ROOM = 160
"""Where there is no terminal, lines are as long as they need to be."""


class PhaseLines:
    """Shows the steps and epochs of one update.

    Args:
        console: what to print on.
        title: what each line begins with, such as the version's name.
    """

    def __init__(self, console: Console, title: str, metric: str = "") -> None:
        self._console, self._title, self._metric = console, title, metric
        self._live: Live | None = None
        self._phase = -1
        self._rate: float | None = None
        self._loss = float("nan")
        self._printed = -_PLAIN_STEP_INTERVAL_S
        self._unprinted: Text | None = None

    def show(self, event: InPhase) -> None:
        """Show where the update stands: after some steps, or at the end of an epoch."""
        if event.phase != self._phase:
            self.end_line()
            self._phase = event.phase
        if isinstance(event, StepsDone):
            self._rate, self._loss = event.examples_per_s, event.loss
        if self._console.is_terminal:
            self._rewrite(self._line(event, self._console.width))
        else:
            self._print_now_and_then(event, self._line(event, _ROOM))

    def interrupt(self, text: str) -> None:
        """Print a line of text between the others."""
        self._print()
        self._console.print(Text(f"{self._title}  {text}"), soft_wrap=True)

    def end_line(self) -> None:
        """Leave the line that is being rewritten as it is: the next one begins below it."""
        self._print()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end_line()

    def _rewrite(self, line: Text) -> None:
        if self._live is None:
            self._live = Live(line, console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        self._live.update(line)

    def _print_now_and_then(self, event: InPhase, line: Text) -> None:
        waited = time.monotonic() - self._printed
        if isinstance(event, StepsDone):
            due = waited >= _PLAIN_STEP_INTERVAL_S
        else:
            # What is not printed now is printed at the end of the phase if nothing follows it.
            self._unprinted = line
            due = waited >= _PLAIN_INTERVAL_S or event.epoch == event.epochs
        if due:
            self._unprinted = line
            self._print()

    def _line(self, event: InPhase, width: int) -> Text:
        """The line, without the parts that there is no room for."""
        running = isinstance(event, StepsDone)
        epoch = f"epoch {event.epoch + (1 if running else 0)}/{event.epochs}"
        if isinstance(event, StepsDone) and event.step < event.steps:
            epoch += f" step {event.step}/{event.steps}"
        # Each with its importance: what matters least goes first.
        parts = [
            (9, f"{self._title}  {event.phase + 1}/{event.phases} {event.kind:<17}"),
            (8, epoch),
            (1, "" if self._rate is None else f"{self._rate:,.0f} examples/s"),
            (5, f"loss {self._loss:.3f}"),
            (4, f"density {event.density:.3f}"),
            (7, f"validation {self._val(event)}" if isinstance(event, EpochEnded) else ""),
        ]
        shown = [part for part in parts if part[1]]
        while len("  ".join(text for _, text in shown)) > width and len(shown) > 2:
            shown.remove(min(shown))
        return Text("  ".join(text for _, text in shown))

    def _val(self, event: EpochEnded) -> str:
        return called(event.record.val_accuracy, self._metric)

    def _print(self) -> None:
        if self._unprinted is not None:
            # Soft wrapping: rich would cut the line at the width that it assumes where there is no terminal.
            self._console.print(self._unprinted, soft_wrap=True)
            self._unprinted, self._printed = None, time.monotonic()
