"""A line whose task is code of one's own: it is given, found, changed; updates know which code they run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import raygp
from raygp.data.ingest import IngestSettings
from raygp.errors import ConflictError, InputError
from raygp.line.jobs import next_job
from raygp.store import Location, line_lease, open_line
from tests.digits import FewDigits
from tests.own_tasks import SOUND, code_of

QUICK = ("synthesis.epochs=4", "plan.epochs=1", "synthesis.batch_size=16", "synthesis.lr=0.1", "gate_tolerance=1")
CHANGED = SOUND.replace("nn.AvgPool2d(2)", "nn.MaxPool2d(2)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("my_task.py").write_text(SOUND)
    return tmp_path


def ingest(line: raygp.line.Line, start: int = 0, arrival: str = "a", **task: object) -> None:
    split = IngestSettings([arrival], val_share=0.3, test_share=0.0)
    line.ingest(FewDigits(start, start + 120, "012"), split, task=task or None)


def test_a_line_is_made_updated_and_asked_with_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = raygp.open("line", task="my_task.py")
    ingest(line, image_size=16)
    assert line.task["given"] == {"image_size": 16} and "import" not in Path("line/line.json").read_text()
    (version,) = line.update(line.settings(None, *QUICK))
    sample = next(FewDigits(0, 9, "012").samples()).load()
    assert version.card.task["sha256"] == code_of(SOUND).sha256
    (answer,) = version.predict([sample])
    assert answer.label in "012" and not answer.problem
    # Found in the current folder, by its name and hash.
    (found,) = raygp.open("line").head.predict([sample])
    assert found == answer
    monkeypatch.chdir(folder / "elsewhere")
    there = raygp.open(str(folder / "work/line"))
    assert there.head is not None and there.head.metrics == version.metrics  # Nothing of the code is needed for that.
    with pytest.raises(InputError, match=r"Photos of my_task.py \(SHA-256 .*there is no my_task.py in this folder"):
        there.head.model()
    given = raygp.open(str(folder / "work/line"), task=folder / "work/my_task.py")
    assert given.head is not None and list(given.head.predict([sample])) == [answer]


def test_code_that_has_changed_is_refused_and_then_confirmed(folder: Path) -> None:
    ingest(raygp.open("line"), name="my_task.py", augment="none")
    line = raygp.open("line")
    line.update(line.settings(None, *QUICK))
    ingest(line, 200, "b")
    before, state = line.task, line.refresh()
    job, _ = next_job(line.location, state, state.pending[0], line.settings(), code=line.code)
    Path("my_task.py").write_text(CHANGED)
    old, new = code_of(SOUND).sha256, code_of(CHANGED).sha256
    for root in (raygp.open("line"), raygp.open("line", task="my_task.py")):
        with pytest.raises(InputError, match=f"made with SHA-256 {old}, this one has {new}.*--task-changed"):
            root.update()
    confirmed = raygp.open("line", task="my_task.py", task_changed=True)
    assert confirmed.code == code_of(CHANGED)
    there = open_line(Location("line"))
    assert there.task["sha256"] == new and there.task["given"] == {"augment": "none"} == before["given"]
    assert there.task["options"] == before["options"]
    state = confirmed.refresh()
    again, _ = next_job(confirmed.location, state, state.pending[0], confirmed.settings(), code=confirmed.code)
    assert again.update_id != job.update_id  # What was begun with the old code is not gone on with.
    # The version that the old code made answers with the new one, which has the same layers.
    assert confirmed.head is not None and confirmed.head.model()[2].__class__.__name__ == "MaxPool2d"
    (second,) = confirmed.update(confirmed.settings(None, *QUICK))
    assert second.card.task["sha256"] == new
    assert raygp.open("line").code == code_of(CHANGED)


@pytest.mark.usefixtures("quick_lease")
def test_a_line_at_work_keeps_its_code(folder: Path) -> None:
    ingest(raygp.open("line"), name="my_task.py")
    Path("my_task.py").write_text(CHANGED)
    before = Path("line/line.json").read_bytes()
    with (
        line_lease(Location("line"), "raygp update"),
        pytest.raises(ConflictError, match="raygp update is at work on this line"),
    ):
        _ = raygp.open("line", task="my_task.py", task_changed=True).code
    assert Path("line/line.json").read_bytes() == before


def test_what_does_not_go_together_is_said(folder: Path) -> None:
    ingest(raygp.open("line"), name="my_task.py")
    ingest(raygp.open("other"), name="lenet-5")
    with pytest.raises(InputError, match="this line's task is lenet-5, no code of your own"):
        _ = raygp.open("other", task="my_task.py").code
    with pytest.raises(InputError, match=r"this line's task is Photos of my_task.py, not lenet-5"):
        ingest(raygp.open("line"), name="lenet-5")
    with pytest.raises(InputError, match=r"another task \(given.image_size: not set there, 20 here; options"):
        ingest(raygp.open("line"), image_size=20)
    with pytest.raises(InputError, match="--task-changed without --task"):
        raygp.open("line", task_changed=True)
    with pytest.raises(InputError, match=r"nowhere.py cannot be read"):
        raygp.open("line", task="nowhere.py")


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("nn.Linear(4 * 16", "nn.Linear(4 * 15", "my_task.py: the model of Photos: RuntimeError: mat1 and mat2"),
        (
            "    augment =",
            "    def losses(self, outputs, targets):\n        return outputs.missing\n\n    augment =",
            "my_task.py, line 22, in losses: AttributeError: 'Tensor' object has no attribute 'missing'",
        ),
    ],
)  # fmt: skip
def test_errors_while_training_name_the_line(folder: Path, before: str, after: str, message: str) -> None:
    Path("my_task.py").write_text(SOUND.replace(before, after))
    line = raygp.open("line", task="my_task.py")
    ingest(line)
    with pytest.raises(InputError) as caught:
        line.update(line.settings(None, *QUICK))
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_errors_while_decoding_name_the_line(folder: Path) -> None:
    method = "    def decode(self, sample):\n        return sample.pixels\n\n    augment ="
    Path("my_task.py").write_text(SOUND.replace("    augment =", method))
    with pytest.raises(InputError, match=r"my_task.py, line 22, in decode: AttributeError: 'bytes' object"):
        ingest(raygp.open("line"), name="my_task.py")
    assert not os.path.exists("line/line.json")
