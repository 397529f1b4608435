"""Arrivals that are unlike what the line has seen: what is found, kept, told and done. No model is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raygp.data.ingest_settings import IngestSettings
from raygp.errors import DriftedError, RaygpError, RejectedError, StoppedError
from raygp.events import Drifted, Event, Notice
from raygp.line import Line, drift
from raygp.line.drift import known_drift
from raygp.line.in_process import InProcessRunner
from raygp.report.drift import told_line
from raygp.settings import RunSettings, load_settings
from raygp.store import Location, find_garbage, read_head
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner

TASK = {"name": "lenet-300-100"}
WAITS = r"arrival-001 differs from what v0000 has seen: labels .*on_drift=note goes on"


def settings(on_drift: str = "note", *more: str) -> RunSettings:
    return load_settings("lenet-300-100", overrides=[f"on_drift={on_drift}", *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with a version."""
    root = tmp_path_factory.mktemp("made") / "line"
    line = Line(str(root))
    line.ingest(FewDigits(0, 250), task=TASK)
    line.update(settings(), runner=FakeRunner())
    return root


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Line:
    import shutil

    return Line(str(shutil.copytree(made, tmp_path / "line")))


@pytest.fixture
def other(line: Line) -> Line:
    """With an arrival of two of the ten classes."""
    line.ingest(FewDigits(600, 1000, "01"))
    return line


def told(line: Line) -> list[Event]:
    events: list[Event] = []
    line.listen(events.append)
    return events


def drifts(events: list[Event]) -> list[Drifted]:
    return [event for event in events if isinstance(event, Drifted)]


def test_a_first_version_is_compared_with_nothing_and_more_of_the_same_is_alike(tmp_path: Path) -> None:
    line = Line(str(tmp_path / "line"))
    # Divided at random: other people wrote the digits that come later in the source.
    line.ingest(FewDigits(0, 500), IngestSettings(["arrival-000", "arrival-001"], [0.5, 0.5], 0.2, 0.1), task=TASK)
    events = told(line)
    torch.manual_seed(0)
    first, version = line.update(settings(), runner=FakeRunner())
    assert first.card.drift is None and first.card.backward_transfer is None
    found = version.card.drift
    assert found is not None and drifts(events) == [], "nothing is told of what is alike"
    assert (found.level, found.parent, found.arrivals, found.then) == ("none", "v0000", ["arrival-001"], "note")
    assert list(found.parts) == ["labels", "features", "together", "outputs"] and found.new_labels == []
    # LeNet-300-100 has 100 inputs of its output layer, and knows ten classes.
    assert found.features is not None and found.outputs is not None
    assert (found.features.tested, found.outputs.tested) == (100, 10)
    assert told_line(found) == "", "nothing is printed of what is alike"
    assert not line.location.list("drift"), "what is on the card is not kept twice"


def test_other_shares_of_classes_are_found_and_said(other: Line) -> None:
    events = told(other)
    [version] = other.update(settings("warn"), runner=FakeRunner())
    found = version.card.drift
    assert found is not None and found.labels is not None and found.then == "warn"
    assert found.labels.level == found.level == "large" and found.labels.effect > 0.6
    assert told_line(found).startswith("warning: arrival arrival-001 differs from what v0000 has seen: labels 0.")
    [event] = drifts(events)
    assert event.drift == found and (event.version, event.arrival) == ("v0001", "arrival-001")
    from raygp.line.summary import summary

    [_, last] = summary([one.card for one in other.versions()], 0.0)["versions"]
    assert last["drift"]["labels"]["level"] == "large" and last["backward_transfer"] is None


def test_the_forward_passes_are_charged(other: Line) -> None:
    [version] = other.update(settings(), runner=FakeRunner())
    found = version.card.drift
    assert found is not None and found.rows > 40 and found.seen_rows > 20
    assert found.ledger.examples == pytest.approx((found.rows + found.seen_rows) / 3)
    assert version.card.ledger.examples == pytest.approx(100.0 + found.ledger.examples), "100 are the fake update's"
    # The fake's connections are all active: an example costs three forward passes over 266,200 of them.
    assert found.ledger.dense_flops == pytest.approx(found.ledger.examples * 3 * 2 * 266_200)
    assert 0 < found.ledger.sparse_flops <= found.ledger.dense_flops


def test_with_wait_no_update_starts_until_it_is_allowed(other: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, events = FakeRunner(), told(other)
    for _ in range(2):
        with pytest.raises(DriftedError, match=WAITS):
            other.update(settings("wait"), runner=runner)
        # The second time it is known: nothing is loaded or answered.
        monkeypatch.setattr("raygp.drift.looking.look", None)
    assert (runner.jobs, runner.sessions) == ([], 0) and other.refresh().version == "v0000"
    assert issubclass(DriftedError, RejectedError) and DriftedError.exit_code == 4
    first, second = drifts(events)
    assert first.drift == second.drift and first.drift.then == "wait" and told_line(first.drift) == ""
    # Who asks where the line stands is told, and gc leaves it.
    assert known_drift(other.location, other.state)["arrival-001"].level == "large"
    assert find_garbage(other.location, -1.0)[1] == []
    [version] = other.update(settings("note"), runner=runner)
    assert version.card.drift is not None and version.card.drift.ledger == first.drift.ledger
    assert known_drift(other.location, other.refresh()) == {}


def test_only_what_is_large_waits_if_so_chosen(other: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DriftedError):
        other.update(settings("{then: wait, at: large}"), runner=FakeRunner())
    path = f"drift/{other.location.list('drift')[0]}"
    content = json.loads(other.location.read_bytes(path))
    for part in ("labels", "features", "together", "outputs"):
        content["drift"][part]["level"] = "moderate"
    other.location.write_bytes(path, json.dumps(content).encode())
    with pytest.raises(DriftedError):
        other.update(settings("wait"), runner=FakeRunner())
    [version] = other.update(settings("{then: wait, at: large}"), runner=FakeRunner())
    assert version.card.drift is not None and version.card.drift.then == "note"


class Sweeping(FakeRunner):
    """Notes the jobs that are to be sweeps."""

    sweeps = True

    def sweep(self, job: UpdateJob, *others: Any) -> Any:
        self.jobs.append(job)
        raise KeyboardInterrupt


def test_with_sweep_the_update_becomes_one_where_the_runner_can(other: Line) -> None:
    runner = Sweeping()
    with pytest.raises(KeyboardInterrupt):
        other.update(settings("sweep", "sweep.trials=3"), runner=runner)
    [job] = runner.jobs
    assert json.loads(job.sweep)["trials"] == 3 and job.drift is not None and job.drift.then == "sweep"
    events = told(other)
    [version] = other.update(settings("sweep"), runner=FakeRunner())
    assert version.card.drift is not None and version.card.drift.then == "warn" and version.card.sweep is None
    assert any(isinstance(event, Notice) and "cannot sweep" in event.text for event in events)


def test_a_refused_candidate_keeps_what_was_found(other: Line) -> None:
    events = told(other)
    runner = FakeRunner(lambda job: Verdict(False, "rejected: too bad"))
    with pytest.raises(RejectedError, match="too bad"):
        other.update(settings(), runner=runner)
    record = next(event.record for event in events if type(event).__name__ == "Refused")  # type: ignore[attr-defined]
    assert record.drift is not None and record.drift.level == "large" and record.ledger.examples > 100
    assert known_drift(other.location, other.refresh())["arrival-001"] == record.drift
    other.location.write_bytes("drift/v0007-other-00.json", b"{}")
    assert [item.what for item in find_garbage(other.location, -1.0)[1]] == ["drift/v0007-other-00.json"]


def test_what_cannot_be_compared_is_said_and_updated_all_the_same(other: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise ZeroDivisionError("division by zero in my_model.py")

    monkeypatch.setattr("raygp.drift.looking.look", broken)
    events = told(other)
    [version] = other.update(settings("wait"), runner=FakeRunner())
    assert version.card.drift is None and drifts(events) == []
    [said] = [event.text for event in events if isinstance(event, Notice) and "compared" in event.text]
    assert said.endswith("arrival-001 could not be compared with earlier arrivals: division by zero in my_model.py")


def test_a_tiny_arrival_is_compared_by_its_labels_alone(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.inference.Predictor.of", None)
    line.ingest(FewDigits(250, 266))
    [version] = line.update(settings("note", "gate_tolerance=1.0"), runner=TrustedRunner())
    found = version.card.drift
    assert found is not None and list(found.parts) == ["labels"] and (found.rows, found.ledger.examples) == (0, 0.0)


class TrustedRunner(FakeRunner):
    """For a test in which no model may be loaded."""


@pytest.fixture(autouse=True)
def no_blessing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates of that test are not tried before they are promoted."""
    if "tiny" in request.node.name:
        monkeypatch.setattr("raygp.line.blessing.unfit", lambda *arguments: "")


def test_an_update_is_the_same_to_the_bit_with_and_without(other: Line, tmp_path: Path) -> None:
    import shutil

    plain = Line(str(shutil.copytree(other.location.local_path(), tmp_path / "plain")))
    # Of a real update two steps are enough to differ.
    phases = "plan.phases=[{kind: grow-all}, {kind: prune-permanent}]"
    few = [phases, "plan.epochs=1", "plan.fit=null", "gate_tolerance=1.0"]
    made = []
    for place, on_drift in ((other, "note"), (plain, "off")):
        np.random.seed(0)
        torch.manual_seed(0)
        [version] = place.update(settings(on_drift, *few), runner=InProcessRunner())
        made.append((version.card, torch.get_rng_state(), np.random.get_state()[1].tolist()))
    (with_drift, torch_with, numpy_with), (without, torch_without, numpy_without) = made
    assert with_drift.drift is not None and without.drift is None
    assert with_drift.update == without.update, "what is done about drift is no part of an update's name"
    assert with_drift.mask_digest == without.mask_digest
    assert [file.sha256 for file in with_drift.files] == [file.sha256 for file in without.files]
    assert with_drift.ledger.examples == pytest.approx(without.ledger.examples + with_drift.drift.ledger.examples)
    assert torch.equal(torch_with, torch_without) and numpy_with == numpy_without
    assert without.backward_transfer is not None and without.backward_transfer.arrivals == 1


def test_the_same_comparison_is_found_again_and_another_is_not(other: Line) -> None:
    """Its name holds what it depends on: parent, arrivals, seed."""
    for seed in (0, 1, 0):
        with pytest.raises(DriftedError):
            other.update(settings("wait", f"seed={seed}"), runner=FakeRunner())
    assert len(other.location.list("drift")) == 2 and read_head(Location(other.root)) is not None
    assert drift._METHOD == 1


def test_what_is_kept_and_cannot_be_read_is_found_again(other: Line) -> None:
    with pytest.raises(DriftedError):
        other.update(settings("wait"), runner=FakeRunner())
    path = f"drift/{other.location.list('drift')[0]}"
    other.location.write_bytes(path, b"{")
    with pytest.raises(DriftedError):
        other.update(settings("wait"), runner=FakeRunner())
    assert known_drift(other.location, other.refresh())["arrival-001"].level == "large"


@pytest.mark.parametrize("error", [RaygpError("storage failed: timed out"), StoppedError("stopped on request")])
def test_a_storage_that_fails_lets_nothing_through_unseen(
    other: Line, monkeypatch: pytest.MonkeyPatch, error: RaygpError
) -> None:
    def failing(*arguments: Any) -> Any:
        raise error

    runner = FakeRunner()
    with monkeypatch.context() as patch:
        patch.setattr("raygp.drift.looking.look", failing)
        with pytest.raises(type(error), match=str(error)):
            other.update(settings("wait"), runner=runner)
    with pytest.raises(DriftedError):
        other.update(settings("wait"), runner=runner)
    assert runner.jobs == []


def test_what_was_found_goes_with_an_arrival_that_is_withdrawn(other: Line) -> None:
    with pytest.raises(DriftedError):
        other.update(settings("wait"), runner=FakeRunner())
    other.location.write_bytes("drift/v0000-arrival-001-00000000.json", b"{")
    other.withdraw("arrival-001")
    assert other.location.list("drift") == ["v0000-arrival-001-00000000.json"], "what cannot be read is left to gc"


def test_what_was_found_goes_when_a_person_approves(other: Line) -> None:
    assert other.update(settings("note", "promote=approve"), runner=FakeRunner()) == []
    assert len(other.location.list("drift")) == 1, "it is kept until somebody has decided"
    other.approve("v0001")
    assert other.location.list("drift") == [] and other.head is not None and other.head.card.drift is not None
