"""``raygp report``, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygp.cli import main
from raygp.page import Story
from raygp.page.render import GENERATOR


def test_json_is_what_the_page_says(root: str, story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--root", root, "--json"]) == 0
    out, errors = capsys.readouterr()
    told = json.loads(out)
    wanted = story.model_dump(mode="json")
    assert {**told, "made": ""} == {**wanted, "made": ""}
    assert "v0003 and v0002 answer 24 validation rows" in errors


def test_it_writes_a_page_over_its_own_and_over_nothing_else(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vl_convert")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--root", root, "--no-examples"]) == 0
    said = capsys.readouterr().out
    assert "report.html: 5 versions" in said and "MB; open it in a browser" in said
    page = Path("report.html").read_text()
    assert f'content="{GENERATOR}"' in page and "examples: --no-examples" in page
    assert main(["report", "--root", root, "--no-examples"]) == 0
    Path("data.csv").write_text("a,b\n")
    assert main(["report", "--root", root, "--out", "data.csv"]) == 2
    assert "data.csv is there and was not written by raygp report" in capsys.readouterr().err
    assert Path("data.csv").read_text() == "a,b\n"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["data.csv", "report.html"]


@pytest.mark.parametrize(
    ("out", "wanted"),
    [
        (".", "is a folder: name a file in it"),
        ("nowhere/report.html", "does not exist: make it first"),
        (f"{'r' * 300}.html", "cannot be written: File name too long: give another name"),
        ("/dev/null", "is no plain file"),
        ("/proc/report.html", "/proc/report.html cannot be written: "),
        ("", "--out is"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_first(
    root: str, out: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("vl_convert")
    assert main(["report", "--root", root, "--out", out]) == 2
    assert wanted in capsys.readouterr().err


def test_there_must_be_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--root", str(tmp_path / "no"), "--json"]) == 2
    assert "does not exist" in capsys.readouterr().err
