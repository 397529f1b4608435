"""Commands, webhooks and files of JSON lines: a real program, a real server, a real file."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raygp.errors import InputError
from raygp.events import Event, type_name
from raygp.settings import load_tell
from raygp.store import Location
from raygp.tell import Teller, listeners, queue, try_out
from raygp.tell.base import NotAgain, NotTold
from raygp.tell.command import CommandSettings
from raygp.tell.json_lines import JsonLinesSettings
from raygp.tell.webhook import WebhookSettings
from tests.tell.story import BEGIN, PROMOTED, REFUSED, Place, told
from tests.test_event_json import EVENTS

SECRET = "s3cret-of-ours"


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(str(tmp_path / "line"))


# -- commands ---------------------------------------------------------------------------------------------------------


def python(code: str, *arguments: str, **changes: Any) -> Teller:
    return CommandSettings(run=(sys.executable, "-S", "-c", code, *arguments), **changes).make()


def test_a_command_gets_the_event_on_standard_input(tmp_path: Path, location: Location) -> None:
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['RAYGP_EVENT'] + sys.stdin.read())"
    python(code, str(tmp_path / "got; rm -rf $HOME")).tell(told(PROMOTED, location))
    name, _, text = (tmp_path / "got; rm -rf $HOME").read_text().partition("{")
    content = json.loads("{" + text)
    assert name == "promoted" == content["type"] and content["line"] == location.root
    assert content["card"]["version"] == "v0001" and content["reason"] == PROMOTED.reason


def test_a_command_that_fails_says_why(location: Location) -> None:
    with pytest.raises(NotTold, match=r"^it ended with code 3: no room$"):
        python("import sys; print('first\\nno room', file=sys.stderr); sys.exit(3)").tell(told(PROMOTED, location))
    # One that does not read what it is given is no failure.
    python("pass").tell(told(PROMOTED, location))
    with pytest.raises(InputError, match="no program '/no/such'"):
        CommandSettings(run=("/no/such",)).check()


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, location: Location) -> None:
    pid = tmp_path / "pid"
    program = ("sh", "-c", 'sleep 60 & echo $! > "$0.new"; mv "$0.new" "$0"; wait', str(pid))
    begun = time.monotonic()
    with pytest.raises(NotAgain, match="did not end within 2 s"):
        CommandSettings(run=program, timeout_s=2.0).make().tell(told(PROMOTED, location))
    assert time.monotonic() - begun < 30
    status = Path(f"/proc/{pid.read_text()}/status")
    assert not status.exists() or "Z (zombie)" in status.read_text()


# -- webhooks ---------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Answers with the codes that it is given, one after the other, then 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.codes: list[tuple[int, str]] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/path-that-is-secret"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers.items()), body))
        self.server.hold.wait(30)
        code, where = self.server.codes.pop(0) if self.server.codes else (204, "")
        self.send_response(code)
        if where:
            self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.hold.set()
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_a_signed_request(
    server: Server, location: Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    for where in ({"secret_env": "HOOK_SECRET"}, {"secret_file": str(tmp_path / "secret")}):
        WebhookSettings(url=server.url, **where).make().tell(told(PROMOTED, location))
        path, headers, body = server.got.pop()
        assert path == "/hooks/path-that-is-secret" and json.loads(body)["type"] == "promoted"
        signed = headers["Raygp-Timestamp"].encode() + b"." + body
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["Raygp-Signature"] == f"sha256={expected}"
        assert abs(time.time() - int(headers["Raygp-Timestamp"])) < 60
        assert headers["Content-Type"].startswith("application/json") and headers["Raygp-Event"] == "promoted"
    monkeypatch.setenv("HOOK_URL", server.url)
    WebhookSettings(url_env="HOOK_URL").make().tell(told(PROMOTED, location))
    assert "Raygp-Signature" not in server.got.pop()[1]


def test_a_webhook_tries_again_with_growing_pauses_and_the_same_delivery(
    server: Server, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FIRST_PAUSE_S", 0.1)
    server.codes = [(503, ""), (429, ""), (500, "")]
    arrived: list[float] = []
    notices: list[Any] = []
    server.got = got = Timed(arrived)
    with listeners([WebhookSettings(url=server.url)], Place(location), notice=notices.append) as tell:
        for event in (*BEGIN, PROMOTED, REFUSED):
            tell(event)
    deliveries = [headers["Raygp-Delivery"] for _, headers, _ in got]
    assert len(got) == 5 and len(set(deliveries[:4])) == 1 and deliveries[4] != deliveries[0]
    assert [json.loads(body)["type"] for _, _, body in got] == ["promoted"] * 4 + ["refused"]
    pauses = [after - before for before, after in itertools.pairwise(arrived)]
    assert pauses[0] >= 0.1 and pauses[1] >= 0.2 and pauses[2] >= 0.4
    assert notices == []


class Timed(list[Any]):
    def __init__(self, arrived: list[float]) -> None:
        super().__init__()
        self._arrived = arrived

    def append(self, item: Any) -> None:
        self._arrived.append(time.monotonic())
        super().append(item)


def test_a_server_that_refuses_is_not_asked_again_and_messages_hold_no_secret(
    server: Server, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    server.codes = [(403, "")]
    notices: list[Any] = []
    hooks = [
        WebhookSettings(url=server.url, secret_env="HOOK_SECRET"),
        WebhookSettings(url="http://127.0.0.1:9/path-that-is-secret", retries=0),
    ]
    with listeners(hooks, Place(location), notice=notices.append) as tell:
        tell(PROMOTED)
    assert len(server.got) == 1
    texts = "\n".join(notice.text for notice in notices)
    assert f"webhook 127.0.0.1:{server.server_port}: promoted was not told: the server answered 403" in texts
    assert "webhook 127.0.0.1:9: promoted was not told: it cannot be reached" in texts
    assert "secret" not in texts and len(notices) == 2


def test_a_server_that_does_not_answer_in_time_is_a_failure(server: Server, location: Location) -> None:
    server.hold.clear()
    begun = time.monotonic()
    with pytest.raises(NotTold, match=r"cannot be reached: .*timed out"):
        WebhookSettings(url=server.url, timeout_s=0.2).make().tell(told(PROMOTED, location))
    assert time.monotonic() - begun < 10


def test_redirects_keep_the_method_and_stay_on_the_host(server: Server, location: Location) -> None:
    hook = WebhookSettings(url=server.url).make()
    server.codes = [(307, "/moved")]
    hook.tell(told(PROMOTED, location))
    assert [path for path, _, _ in server.got] == ["/hooks/path-that-is-secret", "/moved"]
    assert server.got[0][2] == server.got[1][2] != b""
    other = Server()  # Another port is another server.
    try:
        for code, where, why in (
            (307, other.url, f"on to 127.0.0.1:{other.server_port}, which is not followed"),
            (302, "/moved", "with code 302, which is no answer to a POST"),
        ):
            server.codes = [(code, where)]
            with pytest.raises(NotAgain, match=why):
                hook.tell(told(PROMOTED, location))
        assert other.got == []
    finally:
        other.server_close()


def test_a_secret_where_a_name_belongs_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    for wrong in (
        f"{{kind: webhook, url_env: 'https://a/{SECRET}'}}",
        f"{{kind: webhook, url: 'https://a', secret_env: '{SECRET}'}}",
        f"{{kind: webhook, url: 'https://me:{SECRET}@a'}}",
        f"{{kind: webhook, url: 'https://a', secret: '{SECRET}'}}",
        f"{{kind: webhook, url: ['https://a/{SECRET}']}}",
    ):
        file.write_text(f"tell: [{wrong}]\n")
        with pytest.raises(InputError) as caught:
            load_tell(str(file))
        assert SECRET not in str(caught.value), wrong


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_can_be_asked_for_by_its_name(kind: type[Event]) -> None:
    assert CommandSettings(run=("true",), events=(type_name(kind),)).wants(type_name(kind))


def test_settings_of_a_webhook_say_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMPTY", " ")
    for wrong, why in (
        ({}, "needs url or url_env"),
        ({"url": "http://a", "url_env": "B"}, "not both"),
        ({"url": "ftp://a/b"}, "begins with https"),
        ({"url": "https://me:pass@a/b"}, "no user and no password"),
        ({"url": "https://a/b c"}, "no space"),
        ({"url": "https://a", "secret": "x"}, "Extra inputs"),
        ({"url": "https://a", "secret_env": "A", "secret_file": "b"}, "not from both"),
        ({"url_env": "https://a/T0/s3cret"}, "url_env takes the name of an environment variable"),
        ({"url": "https://a", "secret_env": "s3cret-of-ours"}, "secret_env takes the name of an environment variable"),
        ({"url": "https://a", "events": ["promotd"]}, "no event is called 'promotd'"),
    ):
        with pytest.raises(ValidationError, match=why):
            WebhookSettings(**wrong)
    for missing, why in (
        ({"url": "https://a", "secret_env": "EMPTY"}, "there is no secret in EMPTY"),
        ({"url": "https://a", "secret_file": str(tmp_path / "none")}, "cannot be read"),
        ({"url_env": "NOT_SET_AT_ALL"}, "the environment has no NOT_SET_AT_ALL"),
        ({"url_env": "EMPTY"}, "EMPTY: a webhook's url"),
    ):
        with pytest.raises(InputError, match=why):
            WebhookSettings(**missing).check()


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_of_json_lines_grows_by_whole_lines(tmp_path: Path, location: Location) -> None:
    file = tmp_path / "new" / "events.jsonl"
    with listeners([JsonLinesSettings(file=str(file))], Place(location)) as tell:
        for event in (*BEGIN, PROMOTED):
            tell(event)
    with listeners([JsonLinesSettings(file=str(file), events=["refused"])], Place(location)) as tell:
        tell(PROMOTED)
        tell(REFUSED)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["type"] for line in lines] == [*(told(event, location).type for event in BEGIN), "promoted", "refused"]
    assert sorted(line["time"] for line in lines) == [line["time"] for line in lines]
    assert all(list(line)[:3] == ["type", "time", "line"] for line in lines)


def test_many_writers_of_one_file_do_not_mix_their_lines(tmp_path: Path, location: Location) -> None:
    file = tmp_path / "events.jsonl"
    tellers = [JsonLinesSettings(file=str(file)).make() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda teller: [teller.tell(told(PROMOTED, location)) for _ in range(50)], tellers))
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 200


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/dev/full"), reason="needs a full disk")
def test_a_full_disk_is_a_failure(location: Location) -> None:
    tried = try_out(JsonLinesSettings(file="/dev/full"), Place(location))
    assert "No space left" in tried.problem
