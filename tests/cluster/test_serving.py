"""A line served by Ray Serve: over HTTP, through a promotion, to the end."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from raygp.errors import InputError
from raygp.line import Line
from raygp.serve.access import token_hash
from raygp.serve.limits import Limits
from tests.digits import FewDigits
from tests.serve.conftest import promote_child

pytest.importorskip("starlette")
from raygp.cluster.serving import ServeSettings, Serving, serving

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TOKEN = "a token for a test"
(SAMPLE,) = FewDigits(900, 901).samples()
IMAGE = SAMPLE.load()


def ask(served: Serving, path: str, body: bytes | None = None, token: str = TOKEN) -> tuple[int, Any]:
    """Status and decoded JSON (or text) of a reply."""
    asked = urllib.request.Request(served.address + path, body, {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            status, content = reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read().decode()
    return status, json.loads(content) if content.startswith("{") else content


def half_a_request(served: Serving) -> socket.socket:
    """A connection over which a request has begun: the replica waits for the rest of :data:`IMAGE`."""
    host, port = served.address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(IMAGE)}"
    connection.sendall(head.encode() + b"\r\n\r\n" + IMAGE[:100])
    deadline = time.monotonic() + 20
    while not any(figures.open for figures in served.figures().values()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return connection


def test_it_answers_follows_the_head_without_a_pause_refuses_and_ends(waiting_line: Path, tmp_path: Path) -> None:
    shutil.copytree(waiting_line, tmp_path / "digits")
    line = Line(str(tmp_path / "digits"))
    settings = ServeSettings(
        line.location, "digits", port=0, token=token_hash(TOKEN), poll_s=0.1, limits=Limits(max_bytes=100_000)
    )
    with serving(settings) as served:
        status, said = ask(served, "/predict", IMAGE)
        assert (status, said["version"], said["label"]) == (200, "v0000", SAMPLE.label)
        assert ask(served, "/v2/models/digits")[1]["versions"] == ["v0000"]

        ended = threading.Event()
        seen: list[tuple[int, str]] = []

        def keep_asking() -> None:
            while not ended.is_set():
                status, said = ask(served, "/predict", IMAGE)
                seen.append((status, said["version"]))

        client = threading.Thread(target=keep_asking)
        client.start()
        promote_child(line.location)
        deadline = time.monotonic() + 20
        while ("v0001" not in {version for _, version in seen}) and time.monotonic() < deadline:
            time.sleep(0.02)
        ended.set()
        client.join(30)
        versions = [version for _, version in seen]
        assert {status for status, _ in seen} == {200} and versions == sorted(versions)
        assert set(versions) == {"v0000", "v0001"}

        status, said = ask(served, "/predict", b"no image")
        assert status == 400 and "cannot be read" in said["error"]
        assert ask(served, "/predict", b"x" * 100_001)[0] == 413
        assert ask(served, "/predict", IMAGE, token="another")[0] == 401
        assert ask(served, "/v2/health/ready", token="")[1] == {"ready": True}
        text = ask(served, "/metrics")[1]
        assert 'version="v0001"' in text and 'route="predict",status="413"' in text
        ((_, figures),) = served.figures().items()
        assert (figures.standing.version, figures.standing.switches) == ("v0001", 1)
        with pytest.raises(InputError, match="Ray Serve runs on this cluster already"), serving(settings):
            pass
        begun = half_a_request(served)
        threading.Timer(1.0, begun.sendall, [IMAGE[100:]]).start()
    with begun:
        assert begun.recv(4000).startswith(b"HTTP/1.1 200"), "what has begun is answered"
    with pytest.raises(OSError):
        urllib.request.urlopen(served.address, timeout=5)
