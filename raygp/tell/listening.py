"""The listener that passes events on to everybody whom the settings name."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from raygp.errors import InputError, RaygpError, RejectedError, StoppedError
from raygp.events import Event, Failed, Listener, Notice, TriedOut, unheard
from raygp.store import Location
from raygp.tell.base import TellSettings, Told
from raygp.tell.queue import Queue, in_words

WAIT_S = 30.0
"""How long the end of the block waits for tellers that have not come to their end, all of them together."""


class HasLocation(Protocol):
    """A line, as far as it matters here."""

    @property
    def location(self) -> Location:
        """Where it lives."""
        ...


@contextlib.contextmanager
def listeners(
    settings: Sequence[TellSettings],
    line: HasLocation,
    *,
    notice: Listener = unheard,
    doing: str = "",
    wait_s: float = WAIT_S,
) -> Iterator[Listener]:
    """A listener that passes events on to everybody whom the settings name, for the time of the block.

    It returns at once; nothing that a teller does reaches whoever works on the line. What ends the block by an error is
    told as :class:`raygp.events.Failed`, except for a refusal, which :class:`raygp.events.Refused` has told, and for a
    stop that was asked for.

    Args:
        settings: whom.
        line: what the events are about.
        notice: is told of a teller that fails, once until it works again: a Notice with the reason. It is called when
            an event is told, in the thread that tells it, and at the end of the block.
        doing: what is done in the block, for :class:`raygp.events.Failed`: "raygp update".
        wait_s: how long the end of the block waits for tellers at most.
    """
    queues = [Queue(teller) for teller in settings if _can_work(teller, notice)]

    def tell(event: Event) -> None:
        told = Told(event, datetime.now(UTC), line.location)
        for queue in queues:
            queue.put(told)
        _tell_problems(queues, notice)

    try:
        yield tell if queues else unheard
    except Exception as error:
        if not isinstance(error, RejectedError | StoppedError):
            tell(_failed(error, doing))
        raise
    finally:
        deadline = time.monotonic() + wait_s
        for queue in queues:
            queue.close(deadline)
        _tell_problems(queues, notice)


def _can_work(teller: TellSettings, notice: Listener) -> bool:
    """Whether nothing is missing that a teller needs; else it is left out, as nobody may be kept from working on the
    line for that."""
    try:
        teller.check()
    except InputError as error:
        notice(Notice(text=f"warning: {teller.title} is not told: {error}"))
        return False
    return True


def _failed(error: Exception, doing: str) -> Failed:
    known = isinstance(error, RaygpError)
    text = " ".join(str(error).split()) if known else in_words(error)
    return Failed(doing=doing, error=text, exit_code=error.exit_code if isinstance(error, RaygpError) else 1)


def _tell_problems(queues: Sequence[Queue], notice: Listener) -> None:
    for queue in queues:
        if problem := queue.problem():
            notice(Notice(text=f"warning: {problem}; going on"))


@dataclass(frozen=True)
class Tried:
    """What came of trying a teller out."""

    title: str
    problem: str
    """Why it failed; empty if it did not."""
    seconds: float


def try_out(settings: TellSettings, line: HasLocation) -> Tried:
    """Tell one teller that it is tried out (:class:`raygp.events.TriedOut`), whatever events it wants, and wait for it.

    It is not tried again where it fails.
    """
    started, problem = time.monotonic(), ""
    try:
        settings.check()
        teller = settings.make()
        try:
            teller.tell(Told(TriedOut(text="raygp tell --test: this is only a test"), datetime.now(UTC), line.location))
        finally:
            teller.close()
    except Exception as error:
        problem = str(error) if isinstance(error, RaygpError) else in_words(error)
    return Tried(settings.title, problem, time.monotonic() - started)
