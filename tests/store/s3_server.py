"""As much of S3 as raygp uses, in memory: objects, listings, and conditional writes. One bucket, no authentication."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    lock: threading.Lock

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        bucket, key, query = self._target()
        if bucket != BUCKET:
            return self._fail(404, "NoSuchBucket")
        if not key:
            return self._list(query)
        data = self.objects.get(key)
        if data is None:
            return self._fail(404, "NoSuchKey")
        self._answer(200, data, {"ETag": _etag(data)})

    def do_PUT(self) -> None:
        bucket, key, _ = self._target()
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if bucket != BUCKET:
            return self._fail(404, "NoSuchBucket")
        with self.lock:
            present = self.objects.get(key)
            if "If-Match" in self.headers and present is None:
                return self._fail(404, "NoSuchKey")
            for header, refused in (
                ("If-None-Match", present is not None),
                ("If-Match", present is not None and self.headers.get("If-Match") != _etag(present)),
            ):
                if header in self.headers and refused:
                    return self._fail(412, "PreconditionFailed", f"<Condition>{header}</Condition>")
            self.objects[key] = data
        self._answer(200, b"", {"ETag": _etag(data)})

    def do_DELETE(self) -> None:
        self.objects.pop(self._target()[1], None)
        self._answer(204, b"", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        for part in body.split("<Key>")[1:]:
            self.objects.pop(part.split("</Key>")[0], None)
        self._answer(200, b"<DeleteResult/>", {})

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        found = sorted(key for key in self.objects if key.startswith(prefix))
        folders = set()
        if delimiter:
            folders = {prefix + k[len(prefix) :].split("/")[0] + "/" for k in found if "/" in k[len(prefix) :]}
            found = [key for key in found if "/" not in key[len(prefix) :]]
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            f"<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            for key in found
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        )
        count = f"<KeyCount>{len(found) + len(folders)}</KeyCount><IsTruncated>false</IsTruncated>"
        self._answer(200, f"<ListBucketResult>{count}{contents}{common}</ListBucketResult>".encode(), {})

    def _target(self) -> tuple[str, str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        return bucket, key, parse_qs(parts.query)

    def _fail(self, status: int, code: str, more: str = "") -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message>{more}</Error>".encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a fresh server, for as long as the block runs."""
    handler = type("Handler", (_Handler,), {"objects": {}, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
