"""One progress line per phase: rewritten in place on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from raygp.update.observer import Progress

_PLAIN_INTERVAL_S = 5.0
_PLAIN_STEP_INTERVAL_S = 60.0
"""Within a long epoch, where there is no terminal."""


class PhaseLines:
    """Shows the progress of one update."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._live: Live | None = None
        self._phase = -1
        self._rate, self._loss = 0.0, float("nan")
        self._printed = -_PLAIN_STEP_INTERVAL_S
        self._unprinted: Text | None = None

    def __call__(self, progress: Progress) -> None:
        """Show one event."""
        if progress.notice:
            self._print()
            self._console.print(Text(f"{self._title}  {progress.notice}"), soft_wrap=True)
            return
        if progress.phase != self._phase:
            self._end_line()
            self._phase = progress.phase
        if progress.step is not None:
            self._rate, self._loss = progress.step.examples_per_s, progress.step.loss
        line = self._line(progress)
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(line, console=self._console, refresh_per_second=4, transient=False)
                self._live.start()
            self._live.update(line)
        elif progress.step is None:
            self._unprinted = line
            if time.monotonic() - self._printed >= _PLAIN_INTERVAL_S or progress.epoch == progress.epochs:
                self._print()
        elif time.monotonic() - self._printed >= _PLAIN_STEP_INTERVAL_S:
            self._unprinted = line
            self._print()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end_line()

    def _line(self, progress: Progress) -> Text:
        epoch = progress.epoch + (1 if progress.step is not None else 0)
        parts = [
            f"{self._title}  {progress.phase + 1}/{progress.phases} {progress.kind:<17}",
            f"epoch {epoch}/{progress.epochs}",
            f"{self._rate:,.0f} examples/s",
            f"loss {self._loss:.3f}",
            f"density {progress.density:.3f}",
        ]
        if progress.step is not None and progress.step.step < progress.step.steps:
            parts[1] += f" step {progress.step.step}/{progress.step.steps}"
        if progress.val_accuracy is not None:
            parts.append(f"validation {progress.val_accuracy:.2%}")
        return Text("  ".join(parts))

    def _print(self) -> None:
        if self._unprinted is not None:
            # Soft wrapping would cut the line at the width that rich assumes where there is no terminal.
            self._console.print(self._unprinted, soft_wrap=True)
            self._unprinted, self._printed = None, time.monotonic()

    def _end_line(self) -> None:
        self._print()
        if self._live is not None:
            self._live.stop()
            self._live = None
