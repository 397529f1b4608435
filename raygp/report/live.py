"""The live view of an update on a terminal. It is redrawn in place; a line for each phase stays."""

from __future__ import annotations

import sys
import threading

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from raygp.events import EpochEnded, Event, PhaseEnded, RungStarted, StepsDone, UpdateStarted
from raygp.report.live_drawing import ASCII, BLOCKS, draw
from raygp.report.live_state import LiveState
from raygp.report.progress import PhaseLine

_FRAMES_PER_S = 4
_ABOVE = 4
"""Lines of the terminal that are left to what was printed before."""


class LiveView:
    """Draws where an update or a sweep stands (:class:`raygp.report.progress.Progress`).

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._marks = ASCII if console.options.ascii_only else BLOCKS
        self._state = LiveState()
        # Events come from one thread, frames are drawn by another.
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._title = ""
        self._line = PhaseLine("")
        self._last: Text | None = None
        self._phase = -1

    def follow(self, event: Event) -> None:
        """See :class:`raygp.report.progress.Progress`."""
        if isinstance(event, UpdateStarted):
            self.end_line()
            with self._lock:
                self._state = LiveState()
            self._title, self._line = event.version, PhaseLine(event.version, event.metric)
        if isinstance(event, RungStarted):
            self.end_line()
        with self._lock:
            self._state.follow(event)
        if isinstance(event, StepsDone | EpochEnded):
            if event.phase != self._phase:
                self.end_line()
                self._phase = event.phase
            self._last = self._line.of(event, self._console.width)
        elif isinstance(event, PhaseEnded):
            self.end_line()
        self._start()

    def interrupt(self, text: str) -> None:
        """See :class:`raygp.report.progress.Progress`."""
        self._console.print(Text(f"{self._title}  {text}" if self._title else text), soft_wrap=True)

    def end_line(self) -> None:
        """The line of the phase that is over goes above the view, where it stays."""
        if self._last is not None:
            self._console.print(self._last, soft_wrap=True)
        self._last, self._phase = None, -1

    def close(self) -> None:
        """Take the view away. The lines above it stay."""
        self.end_line()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _start(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console,
                get_renderable=self._frame,
                refresh_per_second=_FRAMES_PER_S,
                transient=True,
                vertical_overflow="crop",
                # Where people read standard error, standard output is for programs.
                redirect_stdout=self._console.file is sys.stdout,
            )
            self._live.start(refresh=True)

    def _frame(self) -> RenderableType:
        size = self._console.size
        with self._lock:
            return Group(*draw(self._state, size.width, max(1, size.height - _ABOVE), self._marks))
