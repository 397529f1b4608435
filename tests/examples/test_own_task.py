"""The example of a task of one's own runs as it stands, and so does the smallest one of the guide."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import raygp
from raygp.check import check_task, made_up_rows
from raygp.check.subject import Subject
from raygp.tasks import make_task
from tests.checkout import PROJECT
from tests.digits import FewDigits
from tests.own_tasks import code_of, spec_of

GUIDE = (PROJECT / "docs" / "guides" / "own-task.md").read_text()
SMALLEST, FUNCTIONS = re.findall(r"^```python\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


def folder_of(source: FewDigits, folder: Path) -> str:
    for sample in source.samples():
        file = folder / sample.label / f"{sample.key}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sample.load())
    return str(folder)


def test_a_model_and_a_loss_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = folder_of(FewDigits(0, 200, "01"), tmp_path / "first")
    second = folder_of(FewDigits(200, 400, "01"), tmp_path / "second")
    example = runpy.run_path(str(PROJECT / "examples" / "own_task.py"))
    example["main"](first, second, str(tmp_path / "line"), "synthesis.epochs=6", "plan.epochs=2")
    line = raygp.open(str(tmp_path / "line"), task=PROJECT / "examples" / "own_task.py")
    assert [version.name for version in line.versions()] == ["v0000", "v0001"]
    assert line.version().card.density < 0.2 and line.version().metrics["test accuracy"] > 0.8
    assert (line.task["file"], line.task["class"], line.task["dense"]) == ("own_task.py", "Photos", ["0.weight"])
    assert capsys.readouterr().out.splitlines()[-1].split(":")[-1].split()[0] in "01"


@pytest.mark.parametrize("text", [SMALLEST, SMALLEST + FUNCTIONS], ids=["smallest", "with loss and metric"])
def test_the_task_of_the_guide_passes_all_checks(text: str) -> None:
    assert len(SMALLEST.splitlines()) < 15
    code = code_of(text)
    spec = spec_of(code)
    task = make_task(spec, code)
    subject = Subject(task, spec, made_up_rows(task), code)
    found = list(check_task(subject, without=("workers", "update")))
    assert [finding for finding in found if finding.state != "ok"] == []
    assert task.metrics[0] == ("metric" if text != SMALLEST else "accuracy")
