"""``raygp watch``: its lines and its exit codes."""

from __future__ import annotations

import io
import json
import re

import pytest

from raygp.cli import main, watch
from raygp.cli.watch_lines import WatchLines
from raygp.events import Event
from raygp.stopping import Terminated
from raygp.store import Location, create_line
from raygp.watch.loop import Watcher
from tests.checkout import PROJECT
from tests.line.fakes import publish
from tests.test_event_json import EVENTS, made
from tests.watch.rig import TASK


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_is_whole_lines_with_the_time_or_nothing(kind: type[Event]) -> None:
    out = io.StringIO()
    if kind.__name__ == "PausedUntil":
        event: Event = kind(until="2026-02-02T03:00:00.000000+00:00", kind="quiet", because="no update starts")
    else:
        event = made(kind)
    WatchLines(out)(event)
    for line in out.getvalue().splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S.*|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d    \S.*", line)


@pytest.fixture
def root(location: Location, monkeypatch: pytest.MonkeyPatch) -> str:
    """A line, and in place of what updates it a process that an arrival's name tells what to do."""
    create_line(location, TASK)
    monkeypatch.setattr(watch, "HANDS", "tests.watch.child")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return location.root


@pytest.mark.parametrize(("arrival", "code"), [("bad", 4), ("crash", 1)])
def test_cron_gets_a_code_that_says_what_went_wrong(
    arrival: str, code: int, root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "--once", "--root", root]) == 0
    publish(Location(root), arrival)
    assert main(["watch", "--once", "--root", root, "--json"]) == code
    said = capsys.readouterr()
    kinds = [json.loads(line)["type"] for line in said.out.splitlines() if line.startswith("{")]
    assert kinds[:3] == ["watch_begun", "arrival_seen", "notice"]
    assert said.err.splitlines()[-1].startswith("raygp: ")
    assert main(["watch", "--once", "--root", root]) == 0, "the next run has nothing to do, or it is too early"
    assert main(["watch", "--retry", "--root", root]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"tried again: {arrival}")


def test_a_service_that_is_stopped_has_not_failed(
    root: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(self: Watcher, once: bool = False) -> None:
        raise Terminated

    monkeypatch.setattr(Watcher, "run", stopped)
    assert main(["watch", "--root", root]) == 0
    assert capsys.readouterr().out.endswith("  stopped on request\n")
    assert main(["watch", "--root", root, "--once"]) == 143


def test_what_cannot_be_read_is_said_with_what_to_do(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    Location(root).write_bytes("watch.json", b'{"format": 1, "drops"')
    for options in (["--once"], ["--retry"]):
        assert main(["watch", "--root", root, *options]) == 2
        assert "watch.json is no JSON" in (said := capsys.readouterr().err) and "delete it" in said
    assert main(["watch", "--root", "~no-such-user/line", "--once"]) == 2
    assert "~no-such-user/line does not exist" in capsys.readouterr().err


def test_what_is_asked_for_must_fit(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--interval", "0"], ["--drop", "/nowhere"], ["watch.quiet=[8 to 9]"], ["watch.atempts=3"]):
        assert main(["watch", "--once", "--root", root, *options]) == 2
        assert "watch." in capsys.readouterr().err
