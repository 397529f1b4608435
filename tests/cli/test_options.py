"""Options that every command has, and what commands print for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygp.cli import COMMANDS, main
from raygp.store import Location, create_line
from tests.conftest import line_of_two_versions


@pytest.fixture
def line(tmp_path: Path) -> Location:
    """Two versions, and an arrival that waits."""
    return line_of_two_versions(Location(str(tmp_path / "line")))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_the_root_may_come_from_the_environment(
    line: Location, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYGP_ROOT", line.root)
    assert "head v0001" in printed(capsys, "status")
    monkeypatch.setenv("RAYGP_ROOT", "/nowhere")
    assert "head v0001" in printed(capsys, "status", "--root", line.root), "the option counts for more"
    monkeypatch.delenv("RAYGP_ROOT")
    with pytest.raises(SystemExit) as stopped:
        main(["status"])
    assert stopped.value.code == 2
    assert "--root is missing: say where the model line lives, or set RAYGP_ROOT" in capsys.readouterr().err


def test_show_without_a_version_and_show_head_mean_the_head(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    named = printed(capsys, "show", "v0001", "--root", line.root)
    assert named.startswith("v0001, from v0000, folds in tue")
    assert printed(capsys, "show", "--root", line.root) == named
    assert printed(capsys, "show", "head", "--root", line.root) == named


def test_show_of_a_line_without_a_version_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    location = Location(str(tmp_path / "line"))
    create_line(location, {"name": "lenet-300-100"})
    assert main(["show", "--root", location.root]) == 2
    assert capsys.readouterr().err.endswith("has no version yet: raygp update makes the first\n")


def test_status_as_json(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "status", "--json", "--root", line.root))
    assert (found["head"], found["seen"], found["task"]) == ("v0001", ["mon", "tue"], {"name": "lenet-300-100"})
    assert [waiting["arrival"] for waiting in found["pending"]] == ["wed"]
    assert found["unfinished"] == []


def test_versions_and_show_as_json(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    versions = json.loads(printed(capsys, "versions", "--json", "--root", line.root))
    assert [(version["version"], version["head"]) for version in versions] == [("v0000", False), ("v0001", True)]
    assert versions[0]["ledger"]["examples"] == 1.0
    card = json.loads(printed(capsys, "show", "--json", "--root", line.root))
    assert (card["version"], card["parent"]) == ("v0001", "v0000")


def test_garbage_as_json(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    main(["rollback", "v0000", "--root", line.root])
    capsys.readouterr()
    found = json.loads(printed(capsys, "gc", "--json", "--dry-run", "--older-than", "0s", "--root", line.root))
    assert found["deleted"] is False
    assert [item["path"] for item in found["garbage"]] == ["versions/v0001"]
    assert found["garbage"][0]["files"] == 2 and line.exists("versions/v0001")


def test_status_says_that_an_update_is_half_done_and_how_to_go_on_or_drop_it(
    line: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "updates/v0002-wed-0123abcd"
    line.write_bytes(f"{folder}/checkpoint_2026-01-01_00-00-01.000000/state.json", b'{"cursor": {"epochs_total": 3}}')
    line.write_bytes(f"{folder}/checkpoint_2026-01-01_00-00-02.000000/tensors.safetensors", b"cut off")
    line.write_bytes("updates/v0002-wed-89abcdef/rejected.json", b"{}")
    out = printed(capsys, "status", "--root", line.root)
    assert "half done: an update of wed to v0002, 3 epochs done. The same command goes on with it" in out
    assert out.count("half done") == 1 and f"raygp gc --root {line.root} --older-than 0s drops it" in out
    found = json.loads(printed(capsys, "status", "--json", "--root", line.root))["unfinished"]
    assert found == [
        {
            "update": "v0002-wed-0123abcd",
            "version": "v0002",
            "arrival": "wed",
            "sweep": False,
            "epochs": 3,
            "beside": [],
        }
    ]
    printed(capsys, "gc", "--root", line.root, "--older-than", "0s")
    assert "half done" not in printed(capsys, "status", "--root", line.root)


def test_every_command_that_prints_a_table_has_json() -> None:
    from raygp.cli import make_parser

    commands = next(action for action in make_parser()._actions if action.dest not in ("help", "version"))
    with_json = {name for name, parser in commands.choices.items() if "--json" in parser._option_string_actions}
    assert with_json == {"adopt", "check", "update", "sweep", "status", "versions", "show", "predict", "withdraw", "gc"}
    assert set(commands.choices) == {name.replace("_", "-") for name in COMMANDS}
