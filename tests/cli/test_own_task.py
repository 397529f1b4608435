"""``raygp init-task`` writes files that work, and ``raygp check`` says in a line each what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import raygp.check.run as run
from raygp.cli import main
from raygp.cli.init_task import KINDS
from tests.own_tasks import SOUND


def csv_of_numbers(file: Path) -> str:
    draw = np.random.default_rng(0)
    rows = ["size,kind,price,class"]
    for _ in range(60):
        size, kind = draw.normal(), draw.choice(["flat", "house"])
        price = 2 * size + (kind == "house") + 0.1 * draw.normal()
        rows.append(f"{size:.3f},{kind},{price:.3f},{'big' if size > 0 else 'small'}")
    text = "\n".join(rows)
    file.write_text(text.replace(",price,class", ",label,other") if "regression" in file.name else text)
    return f"table:{file}"


def csv_of_texts(file: Path) -> str:
    words = {"good": ["fine", "great", "lovely"], "bad": ["poor", "awful", "dull"]}
    draw, rows = np.random.default_rng(0), ["text,label"]
    for number in range(60):
        label = ("good", "bad")[number % 2]
        rows.append(f"it was {' and '.join(draw.choice(words[label], 3))} number {number},{label}")
    file.write_text("\n".join(rows))
    return f"texts:{file}"


def source_of(kind: str, folder: Path) -> str:
    if kind == "speech":
        pytest.importorskip("torchaudio")
        return "tones"
    if kind == "text":
        return csv_of_texts(folder / "texts.csv")
    return "digits" if kind == "image" else csv_of_numbers(folder / f"{kind}.csv")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYGP_ROOT", raising=False)
    # A process of its own for each file would take seconds; it has tests of its own.
    monkeypatch.setattr(run, "CHECKS", tuple(check for check in run.CHECKS if check.name != "workers"))
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_that_is_written_passes_all_checks(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = source_of(kind, here)
    assert main(["init-task", "--kind", kind, "mine.py"]) == 0
    assert "try it out with raygp check mine.py" in capsys.readouterr().out
    text = (here / "mine.py").read_text()
    assert "--task mine.py" in text and "my_task.py" not in text
    assert main(["check", "mine.py", "--source", source]) == 0, capsys.readouterr().out
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["ok"] * len(run.CHECKS)
    assert "two versions of these rows" in lines[-1]


def test_a_file_is_never_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my_task.py").write_text("mine")
    assert main(["init-task"]) == 2
    assert capsys.readouterr().err == "raygp: my_task.py exists already: give another name\n"
    assert (here / "my_task.py").read_text() == "mine"
    assert main(["init-task", "task.txt"]) == 2
    assert "a task is a Python file, such as task.py" in capsys.readouterr().err
    assert main(["init-task", "nowhere/task.py"]) == 2
    assert "nowhere/task.py cannot be written: No such file or directory" in capsys.readouterr().err


def test_what_is_wrong_ends_with_code_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my_task.py").write_text(SOUND + "def loss(outputs, targets):\n    return outputs.sum()\n")
    assert main(["check", "my_task.py"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "raygp: my_task.py: loss is not right, see above\n"
    assert "problem       loss          my_task.py, line 24: loss must give a tensor" in printed.out
    assert "not looked at  gradient" in printed.out.replace("not looked at ", "not looked at ")
    assert "rows that are made up" in printed.out
    assert main(["check", "my_task.py", "--json"]) == 2
    found = {row["check"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert found["loss"] == "problem" and found["samples"] == "ok" and found["update"] == "not looked at"


def test_what_cannot_be_checked_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "lenet-5"]) == 2
    assert "lenet-5: give your task's file (my_task.py)" in capsys.readouterr().err
    (here / "my_task.py").write_text(SOUND.replace("nn.Sequential", "nn.Sequentiel"))
    assert main(["check", "my_task.py"]) == 2
    assert "raygp: my_task.py, line 13, in build_model: AttributeError" in capsys.readouterr().err


AT_ONCE = {
    "a layer without a size": (
        SOUND.replace("nn.Linear(4 * 16,", "nn.LazyLinear("),
        "build_model: the size of layer 4 (LazyLinear) is not known before a first input: write nn.Linear with its",
    ),
    "a setting of another name": (
        SOUND.replace('"batch_size": 32', '"learning_rate": 0.1'),
        "my_task.py: settings of Photos: learning_rate: there is no setting 'learning_rate' (did you mean 'lr'?)",
    ),
    "a setting that does not fit": (
        SOUND.replace('"batch_size": 32', '"lr": "high"'), "my_task.py: settings of Photos: lr: input should be",
    ),
    "an optimizer's setting": (
        SOUND.replace('"batch_size": 32', '"optimizer": {"name": "sgd", "momentun": 0.9}'),
        "my_task.py: settings of Photos: optimizer.momentun: there is no setting 'momentun' (did you mean 'momentum'?)",
    ),
    "settings that are none": (SOUND.replace('{"batch_size": 32}', '["lr"]'), "settings of Photos must be like"),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_no_update_could_use_is_refused_at_once(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = AT_ONCE[name]
    assert text != SOUND
    (here / "my_task.py").write_text(text)
    for command in (["check"], ["ingest", "--root", "line", "--source", "digits", "--task"]):
        assert main([*command, "my_task.py"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"raygp: {message}") and "pydantic" not in said and said.count("\n") == 1
    assert not (here / "line").exists()


def test_misspelt_names_are_told_at_ingest(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my_task.py").write_text(SOUND.replace("settings", "setting"))
    assert main(["ingest", "--root", "line", "--source", "digits", "--task", "my_task.py"]) == 0
    assert "Photos.setting is ignored: nothing reads it. Is settings meant?" in capsys.readouterr().out
