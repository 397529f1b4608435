"""Something small over HTTP, for whoever sits at this machine: a page, or figures for a scraper."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from raygp.errors import InputError, RaygpError

_LOCAL = {"localhost", "127.0.0.1", "::1"}
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    body: bytes
    kind: str = PLAIN
    """Its content type."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """More of them."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], answers: Mapping[str, Callable[[], Answer]], names: set[str]) -> None:
        super().__init__(address, _Handler)
        self._answers, self._names = answers, names

    def answer(self, path: str, host: str) -> Answer:
        """To a request, which calls this machine so."""
        if self._names and _name_of(host) not in self._names:
            return Answer(b"this is for this machine alone: ask for http://localhost\n", status=403)
        read = self._answers.get(path)
        if read is None:
            return Answer(b"", status=404)
        try:
            return read()
        except RaygpError as error:
            return Answer(f"{error}\n".encode(), status=503)


def _name_of(host: str) -> str | None:
    """Without the port; None for what is no name."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """What stands at the path."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """What would be answered, without it."""
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        found = self.server.answer(self.path.partition("?")[0], self.headers.get("Host", ""))
        with contextlib.suppress(OSError):  # Whoever asked may be gone.
            self.send_response(found.status)
            for name, value in {"Content-Type": found.kind, **found.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if with_body:
                self.wfile.write(found.body)

    def log_message(self, format: str, *args: object) -> None:
        """A service prints nothing by request."""


@contextlib.contextmanager
def serving(
    answers: Mapping[str, Callable[[], Answer]],
    port: int,
    what: str,
    host: str = "127.0.0.1",
    is_private: bool = False,
) -> Iterator[int]:
    """Answer requests for the time of the block; to anybody who asks, and nothing but this.

    Args:
        answers: by path: gives the answer, in other threads. A RaygpError of it is answered with status 503.
        port: where it listens; 0: one that is free.
        what: is served, for messages: "metrics".
        host: of which address of this machine.
        is_private: whether a page of somebody else, open in a browser here, must not read it: that could call this
            machine by a name of its own, so only the usual names are answered.

    Returns:
        The port.

    Raises:
        InputError: the port is taken, or there is no such port.
    """
    try:
        server = _Server((host, port), answers, _LOCAL if is_private else set())
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "ports are 0 to 65535"
        raise InputError(f"{what} cannot be served at {host}:{port}: {why}: choose another port") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
