"""What Ctrl-C does while torch loads, which takes seconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_on_ctrl_c() -> Iterator[None]:
    """Around imports: Ctrl-C ends the process at once, with a line and code 130. Nothing is held yet.

    An exception would not do: modules that try out what there is swallow a KeyboardInterrupt that hits them meanwhile.
    Where SIGINT is ignored or handled already, that stays.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(signum: int, frame: FrameType | None) -> None:
    os.write(2, b"raygp: interrupted\n")
    os._exit(130)
