"""What SIGTERM does: ``ray job stop``, a cluster manager or ``kill`` asks for the end.

Between updates the command leaves at once; while an update trains, it goes on to the next checkpoint first.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn


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
