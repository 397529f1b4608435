"""A line's health over HTTP, for Prometheus to scrape."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from raygp.errors import InputError, RaygpError

_LAST_PORT = 65535
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], read: Callable[[], bytes]) -> None:
        super().__init__(address, _Handler)
        self._read, self._one_at_a_time = read, threading.Lock()

    def answer(self) -> tuple[int, bytes]:
        """Status and body."""
        try:
            with self._one_at_a_time:
                return 200, self._read()
        except RaygpError as error:
            return 503, f"{error}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, body = self.server.answer() if self.path.partition("?")[0] in ("/", "/metrics") else (404, b"")
        self.send_response(status)
        self.send_header("Content-Type", _TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # Whoever asked may be gone.
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A service prints nothing by request."""


@contextlib.contextmanager
def serving_metrics(read: Callable[[], bytes], port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Answer at ``/metrics``, for the time of the block. Nothing but these numbers is answered, to anybody who asks.

    Args:
        read: what is answered; called once at a time, in other threads. A RaygpError of it is answered with status 503.
        port: where it listens; 0: one that is free.
        host: of which address of this machine.

    Returns:
        The port.

    Raises:
        InputError: the port is taken, or is none.
    """
    if not 0 <= port <= _LAST_PORT:
        raise InputError(
            f"metrics cannot be served at port {port}: ports go from 1 to {_LAST_PORT}; 0: one that is free"
        )
    try:
        server = _Server((host, port), read)
    except OSError as error:
        raise InputError(f"metrics cannot be served at {host}:{port}: {error.strerror}: choose another port") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
