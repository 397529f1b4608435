"""A line's health over HTTP, for Prometheus to scrape."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from raygp.loopback import Answer, serving

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def serving_metrics(read: Callable[[], bytes], port: int, host: str = "127.0.0.1") -> AbstractContextManager[int]:
    """Answer at ``/metrics``, for the time of the block. Nothing but these numbers is answered, to anybody who asks.

    Args:
        read: what is answered; called once at a time, in other threads. A RaygpError of it is answered with status 503.
        port: where it listens; 0: one that is free.
        host: of which address of this machine.

    Returns:
        The port.

    Raises:
        InputError: the port is taken.
    """
    one_at_a_time = threading.Lock()

    def answer() -> Answer:
        with one_at_a_time:
            return Answer(read(), _TYPE)

    return serving({"/": answer, "/metrics": answer}, port, "metrics", host)
