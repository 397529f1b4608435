"""Before a candidate becomes the head it is loaded as it lies in storage, and answers rows that it never saw."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import raygp
from raygp.errors import InputError, RejectedError
from raygp.events import Event, Notice, Refused, unheard
from raygp.line import Line, read_state, update
from raygp.line.in_process import InProcessRunner
from raygp.line.jobs import next_job
from raygp.settings import RunSettings, load_settings
from raygp.store import Card, Location, read_head, read_refusal, remove_version, write_version
from raygp.tasks import ImageTask
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from raygp.update.probe import ROWS, Probe, probe_rows, probe_shard
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner

SETTINGS = load_settings("lenet-300-100", overrides=["synthesis.epochs=3", "plan.epochs=1", "gate_tolerance=1.0"])


class Killed(BaseException):
    """Stands for the end of the process."""


class Ready(FakeRunner):
    """Gives a finished candidate."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome

    def update(self, job: UpdateJob, settings: RunSettings, tell: Callable[[Event], None]) -> Outcome:
        self.jobs.append(job)
        return self.outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line of real digits that waits for its first version."""
    root = tmp_path_factory.mktemp("made") / "line"
    raygp.open(str(root)).ingest(FewDigits(0, 150), task={"name": "lenet-300-100"})
    return root


@pytest.fixture(scope="module")
def outcome(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What its first update comes to."""
    location = Location(str(shutil.copytree(made, tmp_path_factory.mktemp("outcome") / "line")))
    return InProcessRunner().update(job_of(location), SETTINGS, unheard)


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Line:
    """A copy for each test."""
    return Line(str(shutil.copytree(made, tmp_path / "line")))


def job_of(location: Location) -> UpdateJob:
    state = read_state(location)
    return next_job(location, state, state.pending[0], SETTINGS)[0]


def changed(outcome: Outcome, change: Callable[[torch.Tensor], torch.Tensor]) -> Outcome:
    """The outcome of an update whose candidate is stored with another output layer than it was measured with."""
    (name,) = (name for name in outcome.tensors if name.endswith("bias") and len(outcome.tensors[name]) == 10)
    return replace(outcome, tensors={**outcome.tensors, name: change(outcome.tensors[name])})


def refused(line: Line, runner: FakeRunner) -> Refused:
    """The refusal that an update ends with; what it has to leave behind is looked at."""
    events: list[Event] = []
    stop, job = line.listen(events.append), job_of(line.location)
    with pytest.raises(RejectedError) as caught:
        line.update(SETTINGS, runner=runner)
    stop()
    told = events[-1]
    assert isinstance(told, Refused) and told.decided_by == "loading" and told.record is not None
    assert told.reason in str(caught.value)
    assert "nothing stays the head. Try a model that keeps all" in str(caught.value)
    assert read_head(line.location) is None and not list(line.location.walk("versions"))
    refusal = read_refusal(line.location, job.folder)
    assert refusal is not None and refusal.reason == told.reason
    with pytest.raises(RejectedError, match="was tried with this plan before: rejected: "):
        line.update(SETTINGS, runner=runner)
    return told


def test_one_that_answers_as_it_was_measured_is_promoted(line: Line, outcome: Outcome) -> None:
    assert outcome.probe is not None and 10 < len(outcome.probe.rows) <= ROWS
    assert min(outcome.probe.losses) > 0.0 and set(outcome.probe.points) <= {0.0, 1.0}
    (version,) = line.update(SETTINGS, runner=Ready(outcome))
    assert line.head is not None and line.head.name == version.name == "v0000"


def test_one_that_answers_otherwise_is_refused(line: Line, outcome: Outcome) -> None:
    told = refused(line, Ready(changed(outcome, lambda bias: bias + 30.0 * torch.arange(10) / 10)))
    assert "does not answer as the model did that was trained: on " in told.reason
    assert "such as arrivals/arrival-000/val-" in told.reason


def test_what_is_lost_in_rounding_is_not_refused(line: Line, outcome: Outcome) -> None:
    generator = torch.Generator().manual_seed(1)
    noisy = changed(outcome, lambda bias: bias + 1e-3 * torch.randn(10, generator=generator))
    assert line.update(SETTINGS, runner=Ready(noisy))


def test_one_whose_outputs_are_not_finite_is_refused(line: Line, outcome: Outcome) -> None:
    told = refused(line, Ready(changed(outcome, lambda bias: bias / 0.0)))
    assert "gives outputs that are not finite" in told.reason


def test_one_that_does_not_fit_the_model_is_refused(line: Line, outcome: Outcome) -> None:
    told = refused(line, Ready(changed(outcome, lambda bias: bias[:9])))
    assert "cannot be loaded: v0000 does not fit task lenet-300-100: " in told.reason


def test_one_that_cannot_answer_is_refused_and_nothing_crashes(
    line: Line, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: ImageTask, outputs: object, vocabulary: object) -> None:
        raise IndexError("no such class")

    monkeypatch.setattr(ImageTask, "answers", fail)
    assert refused(line, Ready(outcome)).reason == "rejected: cannot answer: IndexError: no such class"


def test_one_whose_file_is_damaged_is_refused(
    line: Line, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaging(location: Location, card: Card, tensors: dict[str, torch.Tensor]) -> Card:
        written = write_version(location, card, tensors)
        path = Path(location.local_path(f"versions/{written.version}/{written.files[0].file}"))
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        return written

    monkeypatch.setattr(update, "write_version", damaging)
    assert "SHA-256" in refused(line, Ready(outcome)).reason


def test_what_an_earlier_raygp_measured_is_loaded_all_the_same(line: Line, outcome: Outcome) -> None:
    assert line.update(SETTINGS, runner=Ready(replace(outcome, probe=None)))


def test_data_that_cannot_be_read_are_not_the_candidates_fault(line: Line, outcome: Outcome) -> None:
    ref = probe_shard(job_of(line.location).catalog(), "arrival-000")
    shard = Path(line.location.local_path(f"arrivals/arrival-000/{ref.shard.file}"))
    shard.rename(shard.with_suffix(".away"))
    with pytest.raises(InputError, match="is missing"):
        line.update(SETTINGS, runner=Ready(outcome))
    assert read_head(line.location) is None and line.location.exists("versions/v0000/card.json")
    shard.with_suffix(".away").rename(shard)
    assert line.update(SETTINGS, runner=Ready(outcome)) == []
    assert line.head is not None and line.head.name == "v0000", "it had been written"


def killed_before_promotion(line: Line, monkeypatch: pytest.MonkeyPatch) -> Card:
    """Update in this process until the version is written."""

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(update, "promote", kill)
        line.update(SETTINGS)
    (version,) = line.versions()
    assert line.refresh().head is None
    return version.card


def test_one_that_waits_since_a_kill_is_tried_before_it_becomes_the_head(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_promotion(line, monkeypatch)
    events: list[Event] = []
    line.listen(events.append)
    assert line.update(SETTINGS) == []
    assert events == [Notice(text="v0000 had passed the gate and was not promoted yet: it is the head now")]


def test_one_that_waits_since_a_kill_and_answers_otherwise_is_refused(
    line: Line, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the trained model made of the rows is still known from the update's last checkpoint."""
    card = killed_before_promotion(line, monkeypatch)
    remove_version(line.location, card)
    other = changed(outcome, lambda bias: bias + 30.0 * torch.arange(10) / 10)
    write_version(line.location, card.model_copy(update={"files": []}), other.tensors)
    assert "does not answer as the model did that was trained" in refused(line, Ready(outcome)).reason


def test_rows_are_spread_over_the_smallest_shard_of_the_arrival(line: Line) -> None:
    line.ingest(FewDigits(150, 400))
    line.update(SETTINGS, runner=FakeRunner())
    catalog = job_of_second(line).catalog()
    ref = probe_shard(catalog, "arrival-001")
    rows = probe_rows(catalog, "arrival-001")
    assert ref.arrival == "arrival-001" and len(rows) == ROWS
    assert (rows[0], rows[-1]) == (ref.first, ref.stop - 1) and (np.diff(rows) > 0).all()
    assert probe_shard(catalog, "another").arrival in ("arrival-000", "arrival-001")


def job_of_second(line: Line) -> UpdateJob:
    line.roll_back("v0000")
    return job_of(line.location)


def test_an_answer_is_another_where_points_and_loss_are() -> None:
    measured = Probe((0, 1, 2, 3), (1.0, 1.0, 0.0, 1.0), (0.1, 0.69, 0.70, 0.2))
    assert measured.differing(measured) == []
    assert measured.differing(Probe((0, 1, 2, 3), (1.0, 0.0, 1.0, 0.0), (3.0, 0.70, 0.69, 2.0))) == [3]
    assert measured.differing(Probe((0, 1, 2, 3), (0.0,) * 4, (float("nan"),) * 4)) == [0, 1, 3]


def test_one_that_was_measured_in_bfloat16_is_not_refused_for_that(line: Line) -> None:
    rough = load_settings(
        "lenet-300-100", overrides=["synthesis.epochs=3", "synthesis.precision=bf16", "gate_tolerance=1.0"]
    )
    (version,) = line.update(rough)
    assert version.card.plan["precision"] == "bf16"
