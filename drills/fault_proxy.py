"""A bad network between a client and an HTTP server: some requests fail, break off or dawdle, drawn from a seed."""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


@dataclass(frozen=True)
class Faults:
    """Shares of requests, 0 to 1."""

    refused: float = 0.0
    """Answered 503 SlowDown, and not passed on."""
    denied: float = 0.0
    """Answered 403 AccessDenied, and not passed on."""
    cut: float = 0.0
    """Passed on, but the connection breaks in the middle of the answer's body, or before an answer without one."""
    slow: float = 0.0
    """Held for ``latency_s`` first."""
    latency_s: float = 0.2
    only: str = ""
    """A pattern: only requests (method and path) in which it is found have faults."""
    at_most: int = 1_000_000
    """So many requests have faults; all others pass."""


class FaultProxy:
    """Passes requests on to ``upstream``, faults apart. Counts what it did.

    Attributes:
        address: where it listens.
        requests: method and path of everything that came, in order.
        done: how often each fault was made.
    """

    def __init__(self, upstream: str, faults: Faults, seed: int) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.requests: list[str] = []
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        # A store checks the condition of a write and writes in one step. moto, which stands in for one, does it in two,
        # between which another's write may come: then both are told that they won.
        self.one_write = threading.Lock()
        self.make(faults)
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def make(self, faults: Faults) -> None:
        """From now on, these faults."""
        self.faults, self._faulty = faults, 0

    @contextlib.contextmanager
    def running(self) -> Iterator[FaultProxy]:
        """Serve for as long as the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def draw(self, request: str) -> set[str]:
        """The faults of one request."""
        with self._lock:
            self.requests.append(request)
            shares = (("refused", self.faults.refused), ("denied", self.faults.denied), ("cut", self.faults.cut))
            chosen = {name for name, share in (*shares, ("slow", self.faults.slow)) if self._random.random() < share}
            if not re.search(self.faults.only, request) or self._faulty >= self.faults.at_most:
                return set()
            self._faulty += bool(chosen)
            self.done.update(chosen)
            return chosen


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self._body()
        chosen = self.proxy.draw(f"{self.command} {self.path}")
        if "slow" in chosen:
            time.sleep(self.proxy.faults.latency_s)
        if "refused" in chosen or "denied" in chosen:
            status, content = (503, _SLOW_DOWN) if "refused" in chosen else (403, _DENIED)
            return self._answer(status, {"Content-Type": "application/xml"}, content, False)
        upstream = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        conditional = "If-Match" in self.headers or "If-None-Match" in self.headers
        try:
            with self.proxy.one_write if conditional else contextlib.nullcontext():
                upstream.request(self.command, self.path, body, dict(self.headers.items()))
                answer = upstream.getresponse()
                content = answer.read()
        finally:
            upstream.close()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        if self.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length", "0")
        self._answer(answer.status, headers, content, "cut" in chosen)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        del self.headers["Transfer-Encoding"]
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.headers["Content-Length"] = str(len(body))
        return body

    def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: bool) -> None:
        if cut and not content:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True
