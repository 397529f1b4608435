"""A line as one object: what it reads, what it tells, what it does with candidates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import raygp
from raygp.errors import ConflictError, InputError, RejectedError
from raygp.events import (
    CheckpointStored,
    Event,
    NothingNew,
    Notice,
    Promoted,
    Published,
    Refused,
    RolledBack,
    SamplesChecked,
    UpdateStarted,
    UpdatesWaiting,
)
from raygp.line import Line
from raygp.store import Location, create_line, line_lease, read_head, write_version
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner, publish
from tests.store.helpers import MakeCard

TASK = {"name": "lenet-300-100"}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A line without a version, with two arrivals that wait."""
    line = Line(str(tmp_path / "line"))
    create_line(line.location, TASK)
    publish(line.location, "mon")
    publish(line.location, "tue")
    return line


def told(line: Line) -> list[Event]:
    """Everything that the line tells from now on."""
    events: list[Event] = []
    line.listen(events.append)
    return events


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def refuse_from(version: str) -> Callable[[UpdateJob], Verdict]:
    return lambda job: Verdict(job.version < version, "rejected: validation 10.00%, parent 90.00%")


def test_opening_reads_nothing_and_needs_no_line(tmp_path: Path) -> None:
    line = raygp.open(str(tmp_path / "nothing"))
    assert not line.exists and not (tmp_path / "nothing").exists()
    with pytest.raises(InputError, match="does not exist"):
        _ = line.state


def test_ingest_makes_the_line_and_tells_of_samples_and_arrivals(tmp_path: Path) -> None:
    line = raygp.open(str(tmp_path / "line"))
    events = told(line)
    (first,) = line.ingest(FewDigits(0, 100), task=TASK)
    assert first.arrival == "arrival-000" and line.exists and line.task["name"] == "lenet-300-100"
    published = [event for event in events if isinstance(event, Published)]
    assert [event.manifest.arrival for event in published] == ["arrival-000"] and published[0].quarantine == ""
    checked = [event for event in events if isinstance(event, SamplesChecked)]
    assert checked[-1].done == checked[-1].total == 100
    (second,) = line.ingest(FewDigits(100, 200))
    assert second.arrival == "arrival-001"
    assert [manifest.arrival for manifest in line.pending] == ["arrival-000", "arrival-001"]


def test_an_update_folds_in_what_waits_and_tells_of_it(line: Line) -> None:
    events, runner = told(line), FakeRunner()
    promoted = [version.card for version in line.update(runner=runner)]
    assert [(card.version, card.arrival) for card in promoted] == [("v0000", "mon"), ("v0001", "tue")]
    assert kinds(events) == ["UpdatesWaiting", *["UpdateStarted", "CheckpointStored", "Promoted"] * 2]
    assert isinstance(events[0], UpdatesWaiting) and events[0].arrivals == 2
    assert isinstance(events[4], UpdateStarted) and (events[4].version, events[4].parent) == ("v0001", "v0000")
    assert runner.sessions == 1 and [job.version for job in runner.jobs] == ["v0000", "v0001"]
    assert [card.workers for card in promoted] == [3, 3], "as the runner says"
    assert line.head is not None and line.head.name == "v0001" and line.pending == ()
    summary = json.loads(line.location.read_bytes("reports/summary.json"))
    assert [version["version"] for version in summary["versions"]] == ["v0000", "v0001"]
    assert line.location.list("updates") == [] and not line.location.exists("lease.json")


def test_nothing_new_starts_nothing(line: Line) -> None:
    line.update(runner=FakeRunner())
    events, runner = told(line), FakeRunner()
    assert line.update(runner=runner) == []
    assert runner.sessions == 0
    assert events == [NothingNew(root=line.root, head="v0001", arrivals=2)]


def test_each_document_of_a_line_is_read_once_in_an_update(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.update(runner=FakeRunner())
    publish(line.location, "wed")
    publish(line.location, "thu")
    reads: Counter[str] = Counter()
    read = Location.read_if_exists

    def counted(self: Location, path: str) -> bytes | None:
        reads[path] += 1
        return read(self, path)

    monkeypatch.setattr(Location, "read_if_exists", counted)
    line.update(line.settings(), runner=FakeRunner())
    # Once for the settings' task, once when the update begins.
    assert reads["line.json"] <= 2
    manifests = {path: count for path, count in reads.items() if path.endswith("manifest.json")}
    assert set(manifests.values()) <= {1, 2} and len(manifests) == 4
    # The card of the head is known from then on, however many arrivals follow.
    assert reads["versions/v0001/card.json"] <= 4


def test_what_is_published_meanwhile_is_folded_in_too(line: Line) -> None:
    def publish_another(job: UpdateJob) -> None:
        if job.version == "v0001":
            publish(line.location, "wed")

    promoted = line.update(runner=FakeRunner(meanwhile=publish_another))
    assert [version.card.arrival for version in promoted] == ["mon", "tue", "wed"]


def test_a_refused_candidate_is_told_and_not_tried_again(line: Line) -> None:
    events = told(line)
    runner = FakeRunner(refuse_from("v0001"))
    with pytest.raises(RejectedError, match=r"v0001 from tue rejected: .*: v0000 stays the head"):
        line.update(runner=runner)
    refused = events[-1]
    assert isinstance(refused, Refused)
    assert (refused.version, refused.arrival, refused.head) == ("v0001", "tue", "v0000")
    with pytest.raises(RejectedError, match=r"tue was tried with this plan before: rejected: validation 10\.00%"):
        line.update(runner=runner)
    assert [job.version for job in runner.jobs] == ["v0000", "v0001"] and runner.sessions == 1
    other = line.settings(None, "plan.alpha=0.123")
    assert [version.name for version in line.update(other, runner=FakeRunner())] == ["v0001"]


def test_a_head_that_moved_meanwhile_is_left_alone(line: Line, make_card: MakeCard) -> None:
    line.update(runner=FakeRunner())
    publish(line.location, "wed")

    def roll_back(job: UpdateJob) -> None:
        Line(line.root).roll_back("v0000")

    with pytest.raises(ConflictError, match="v0002 cannot be promoted: the head is v0000 now"):
        line.update(runner=FakeRunner(meanwhile=roll_back))
    assert line.head is not None and line.head.name == "v0000"


def test_a_version_that_was_never_promoted_becomes_the_head_first(line: Line) -> None:
    runner = FakeRunner()
    line.update(runner=runner)
    publish(line.location, "wed")
    state = line.refresh()
    from raygp.line.jobs import next_job

    job, _ = next_job(line.location, state, state.pending[0], line.settings())
    outcome = runner.update(job, line.settings(), lambda event: None)
    write_version(line.location, job.card(outcome, 2), outcome.tensors)  # Killed here, before the promotion.
    events = told(line)
    assert line.update(runner=FakeRunner()) == []
    assert line.head is not None and line.head.name == "v0002"
    assert events == [Notice(text="v0002 had passed the gate and was not promoted yet: it is the head now")]


@pytest.mark.usefixtures("quick_lease")
def test_a_line_at_work_is_left_alone(line: Line) -> None:
    runner = FakeRunner()
    with line_lease(line.location, "raygp update"), pytest.raises(ConflictError, match="is at work on this line"):
        line.update(runner=runner)
    assert runner.sessions == 0 and read_head(line.location) is None


def test_a_rollback_is_told_and_can_be_looked_at(line: Line) -> None:
    line.update(runner=FakeRunner())
    events = told(line)
    done = line.roll_back("v0000")
    assert (done.moved, done.before, done.unfolded, done.folded) == (True, "v0001", ("tue",), ())
    assert events == [RolledBack(version="v0000", before="v0001")]
    assert [manifest.arrival for manifest in line.pending] == ["tue"]
    assert not line.roll_back("v0000").moved and len(events) == 1


def test_a_listener_can_stop_listening(line: Line) -> None:
    events: list[Event] = []
    stop = line.listen(events.append)
    stop()
    stop()
    line.update(runner=FakeRunner())
    assert events == []


def test_versions_can_be_asked_for_by_name(line: Line) -> None:
    with pytest.raises(InputError, match="has no version yet: raygp update makes the first"):
        line.version()
    line.update(runner=FakeRunner())
    assert line.version().name == line.version("head").name == "v0001"
    assert line.version("v0000").name == "v0000"
    assert [version.name for version in line.versions()] == ["v0000", "v0001"]
    with pytest.raises(InputError, match=r"has no version v0009 \(versions: v0000, v0001\)"):
        line.version("v0009")


def test_the_events_of_a_whole_update_are_of_the_documented_kinds(line: Line) -> None:
    events = told(line)
    line.update(runner=FakeRunner())
    assert {type(event) for event in events} == {UpdatesWaiting, UpdateStarted, CheckpointStored, Promoted}
