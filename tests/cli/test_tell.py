"""Who is told of what commands do: --config, --events, RAYGP_CONFIG, raygp tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygp.cli import main
from raygp.store import Location
from tests.conftest import line_of_two_versions


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYGP_CONFIG", raising=False)
    return line_of_two_versions(Location(str(tmp_path / "line"))).root


def lines(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def test_every_command_that_changes_a_line_tells(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("line.yaml").write_text("tell:\n  - {kind: jsonl, file: told.jsonl, events: outcomes}\nplan: {lr: 0.1}\n")
    assert main(["rollback", "v0000", "--root", root, "--config", "line.yaml"]) == 0
    monkeypatch.setenv("RAYGP_CONFIG", "line.yaml")
    assert main(["withdraw", "wed", "--root", root, "--events", "all.jsonl"]) == 0
    assert main(["withdraw", "nosuch", "--root", root]) == 2
    assert [event["type"] for event in lines("told.jsonl")] == ["rolled_back", "withdrawn", "failed"]
    rolled_back, withdrawn, failed = lines("told.jsonl")
    assert (rolled_back["version"], rolled_back["before"]) == ("v0000", "v0001") and rolled_back["line"] == root
    assert withdrawn["manifest"]["arrival"] == "wed"
    assert failed["doing"] == "raygp withdraw" and failed["exit_code"] == 2 and "nosuch" in failed["error"]
    assert [event["type"] for event in lines("all.jsonl")] == ["withdrawn"]


def test_a_hook_that_fails_changes_neither_what_is_done_nor_the_exit_code(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("line.yaml").write_text('tell: [{kind: command, run: [sh, -c, "echo no room >&2; exit 1"]}]')
    assert main(["rollback", "v0000", "--root", root, "--config", "line.yaml"]) == 0
    out = capsys.readouterr().out
    assert "head: v0001 -> v0000" in out
    assert "warning: command sh: rolled_back was not told: it ended with code 1: no room; going on" in out


def test_a_settings_file_that_does_not_fit_stops_a_command_before_it_begins(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("line.yaml").write_text("tell: [{kind: jsnl, file: a}]")
    assert main(["rollback", "v0000", "--root", root, "--config", "line.yaml"]) == 2
    assert "line.yaml: tell.0: no teller is called 'jsnl' (did you mean 'jsonl'?)" in capsys.readouterr().err
    assert json.loads(Path(root, "head.json").read_text())["version"] == "v0001"


def test_everybody_can_be_tried_out(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tell", "--root", root]) == 2
    assert "nobody is told" in capsys.readouterr().err
    Path("line.yaml").write_text("tell: [{kind: command, run: [/no/such]}, {kind: webhook, url_env: NOT_SET_AT_ALL}]")
    assert main(["tell", "--root", root, "--config", "line.yaml", "--events", "e.jsonl", "--test"]) == 1
    out, err = capsys.readouterr()
    assert "command /no/such: failed: there is no program" in out and "events in e.jsonl: told in" in out
    assert err == "raygp: 2 of 3 could not be told: command /no/such, webhook $NOT_SET_AT_ALL\n"
    assert [event["type"] for event in lines("e.jsonl")] == ["tried_out"]
    assert main(["tell", "--root", root, "--events", "e.jsonl", "--test", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["told"] is True and row["kind"] == "jsonl" and row["events"] == "all"
    assert main(["tell", "--root", root, "--events", "e.jsonl"]) == 0
    assert capsys.readouterr().out == "events in e.jsonl: all\n" and len(lines("e.jsonl")) == 2
