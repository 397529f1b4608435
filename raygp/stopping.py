"""What a signal does that asks for the end: SIGTERM (``ray job stop``, a cluster manager, ``kill``) and Ctrl-C.

Between updates the command leaves at once. While an update trains, the first signal lets it go on to its next
checkpoint, and a second one ends it at once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from raygp.errors import StoppedError

_SAME_S = 5.0
"""SIGTERMs so close together are one request: a service manager sends one to every process of a service, and a parent
among these passes its own on."""


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, no handler of errors may swallow it."""


def leave() -> NoReturn:
    """What SIGTERM does where nothing has to be finished.

    Raises:
        Terminated: always.
    """
    raise Terminated


@contextlib.contextmanager
def on_sigterm(act: Callable[[], None]) -> Iterator[None]:
    """SIGTERM calls ``act`` for the time of the block. Outside the main thread this does nothing, since Python lets
    only the main thread set handlers."""
    if not _in_main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Asked:
    """Whether somebody has asked for the end, and by which signal. True once that is so."""

    def __init__(self) -> None:
        # No threading.Event: its lock may be held by the very code that a signal's handler interrupts.
        self._number: int | None = None
        self._since = 0.0

    def ask(self, number: int = signal.SIGTERM) -> None:
        """Ask for it. A handler of signals may call it."""
        if self._number is None:
            self._number, self._since = number, time.monotonic()

    def __bool__(self) -> bool:
        return self._number is not None

    @property
    def name(self) -> str:
        """Name of the signal."""
        return signal.Signals(self._number or signal.SIGTERM).name

    def asks_again(self, number: int) -> bool:
        """Whether a signal that comes after the first is a request of its own. A second Ctrl-C always is."""
        return number == signal.SIGINT or time.monotonic() - self._since >= _SAME_S

    def error(self, message: str) -> StoppedError:
        """What an update ends with that has stored its checkpoint; the exit code is what shells make of the signal."""
        stopped = StoppedError(message)
        stopped.exit_code = 128 + (self._number or signal.SIGTERM)
        return stopped


@contextlib.contextmanager
def asking(asked: Asked, at_once: Callable[[], None] = lambda: None) -> Iterator[None]:
    """For the time of the block, the first SIGTERM or Ctrl-C asks for the end, and the next one takes it. Outside the
    main thread this does nothing, as :func:`on_sigterm`.

    A signal that is ignored stays so: a shell ignores Ctrl-C for what it starts in the background.

    Args:
        asked: is asked.
        at_once: called at the second signal, before KeyboardInterrupt or :class:`Terminated` is raised.
    """
    if not _in_main_thread():
        yield
        return

    def act(number: int, _: object) -> None:
        if not asked:
            return asked.ask(number)
        if not asked.asks_again(number):
            return
        at_once()
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in taken:
        signal.signal(number, act)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


@contextlib.contextmanager
def keeping_handler(number: signal.Signals) -> Iterator[None]:
    """Put back, after the block, the handler of a signal that was there before it."""
    before = signal.getsignal(number)
    try:
        yield
    finally:
        if callable(before) and _in_main_thread():
            signal.signal(number, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
