"""``raygp adopt`` as a person sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import raygp
from raygp.cli import main
from raygp.data.ingest_settings import IngestSettings
from raygp.line.in_process import InProcessRunner
from raygp.store import read_head
from raygp.tasks import make_task
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner

TASK = {"name": "lenet-300-100"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a line that waits for its first version, and a checkpoint."""
    folder = tmp_path_factory.mktemp("adopt")
    line = raygp.open(str(folder / "line"))
    line.ingest(FewDigits(0, 150), IngestSettings(["monday"], val_share=0.3, test_share=0.1), task=TASK)
    torch.manual_seed(0)
    state = make_task(TASK).build_model(10).state_dict()
    torch.save({"state_dict": state | {"aux.weight": torch.ones(2)}, "classes": list("0123456789")}, folder / "w.pth")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the command runs."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "copy"))
    return tmp_path / "copy"


def test_what_it_found_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "--root", "line", "--weights", "w.pth"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("v0000: adopted from w.pth (1.1 MB, SHA-256 ") and lines[0].endswith("...)")
    assert lines[1:4] == [
        "6 of the model's 6 tensors loaded",
        "in the file and not in the model: aux.weight",
        "order of the classes from w.pth itself ('classes'): 0, 1, 2, 3, 4, 5 and 4 more",
    ]
    assert lines[4].startswith("v0000: dense, validation ") and lines[4].endswith("; it has seen no arrival")
    (warning,) = (line for line in lines if line.startswith("warning: "))
    assert "(--classes)" in warning and warning.endswith("the same command with --classes FILE")
    assert lines[-1] == "next: raygp update --root line" or lines[-1].startswith("next: raygp update --root /")
    assert main(["show", "--root", "line"]) == 0 and main(["versions", "--graph", "--root", "line"]) == 0
    shown = capsys.readouterr().out
    assert "v0000, adopted from w.pth" in shown and "has seen no arrival" in shown and "aux.weight" in shown
    assert "v0000  adopted  validation" in shown and "synthesis" not in shown
    assert main(["status", "--root", "line"]) == 0
    assert "arrivals in the head: 0" in capsys.readouterr().out


def test_json_has_all_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "--root", "line", "--weights", "w.pth", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["adopted"] == "v0000" and found["origin"]["left_over"] == ["aux.weight"]
    assert found["origin"]["loaded"] == 6 and len(found["origin"]["files"][0]["sha256"]) == 64
    assert (found["head_is_new"], found["without_rows"], found["new_classes"], found["promoted"]) == (False, [], [], [])
    assert [version["head"] for version in found["versions"]] == [True] and found["classes"] == list("0123456789")


def test_a_density_runs_an_update(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygp.cluster.runner.RayRunner", lambda verbose: InProcessRunner())
    assert main(["adopt", "--root", "line", "--weights", "w.pth", "--density", "0.3", "plan.epochs=1", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["promoted"] == ["v0001"]
    assert [round(version["density"], 2) for version in found["versions"]] == [1.0, 0.3]
    assert "v0001: monday, from v0000" in captured.err and "adopted from w.pth" in captured.err


def test_that_the_density_is_for_this_update_alone_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygp.cluster.runner.RayRunner", lambda verbose: FakeRunner())
    assert main(["adopt", "--root", "line", "--weights", "w.pth", "--density", "0.3"]) == 0
    said = "the density is not remembered: give later updates plan.density=0.3, too, or a --config that has it"
    assert capsys.readouterr().out.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "none.pth"], "raygp: none.pth: there is no such file of weights"),
        (["--weights", "w.pth", "plan.epochs=3"], "raygp: plan.epochs=3 is for the update that --density asks for"),
        (["--weights", "w.pth", "--workers", "3"], "raygp: --workers is for the update that --density asks for"),
        (["--weights", "w.pth", "--density", "7"], "raygp: plan.density: "),
        (["--weights", "w.pth", "--density", "0.1", "plan.lrr=3"], "raygp: plan.lrr: there is no setting 'lrr'"),
        (["--weights", "w.pth", "--classes", "c.txt"], "raygp: c.txt: cannot be read: No such file"),
    ],
)
def test_mistakes_leave_the_line_as_it_is(
    options: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adopt", "--root", "line", *options]) == 2
    assert capsys.readouterr().err.startswith(message)
    assert read_head(raygp.open("line").location) is None and not (folder / "line" / "versions").exists()
