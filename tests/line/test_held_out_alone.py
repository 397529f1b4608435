"""Arrivals without training rows: what they hold out counts from the next update on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raygp.cli import main
from raygp.cli.printer import Printer
from raygp.cli.running import make_console
from raygp.data.sources import SourceSample
from raygp.errors import InputError
from raygp.events import Event, NothingNew, Notice, UpdateStarted, UpdatesWaiting
from raygp.line import Line, read_state
from raygp.line.jobs import next_job
from raygp.settings import load_settings
from raygp.store import Location, list_arrivals
from tests.data.test_admission import Shape, rows
from tests.data.test_duplicates import SETTINGS
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner

TASK = {"name": "lenet-300-100"}
WEEK: Shape = {("cat", None): 10, ("dog", None): 10}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """One arrival with training rows, called a0."""
    return weeks(Line(str(tmp_path / "line")), WEEK)


def weeks(line: Line, *shapes: Shape) -> Line:
    """More arrivals, called a1, a2, ... by their place in the line."""
    for shape in shapes:
        number = len(list_arrivals(line.location))
        settings = replace(SETTINGS, arrivals=[f"a{number}"], new_classes=True)
        line.ingest(rows(shape, 1000 * number), settings, task=TASK)
    return line


def told(line: Line) -> list[Event]:
    events: list[Event] = []
    line.listen(events.append)
    return events


VAL: Shape = {("cat", "val"): 4, ("dog", "val"): 2}
TEST: Shape = {("cat", "test"): 3}


def test_they_wait_and_go_with_the_next_that_has_training_rows(line: Line) -> None:
    line.update(runner=FakeRunner())
    weeks(line, VAL, TEST)
    events, runner = told(line), FakeRunner()
    assert line.update(runner=runner) == [] and runner.sessions == 0
    assert events == [NothingNew(root=line.root, head="v0000", arrivals=1, waiting=("a1", "a2"))]
    assert [manifest.arrival for manifest in line.pending] == ["a1", "a2"]
    weeks(line, WEEK, VAL)
    events.clear()
    (version,) = line.update(runner=runner)
    card = version.card
    assert (card.version, card.arrival, card.arrivals) == ("v0001", "a3", ["a0", "a1", "a2", "a3"])
    assert card.manifests == {m.arrival: m.digest for m in list_arrivals(line.location)[:4]}
    (job,) = runner.jobs
    catalog, seen = job.catalog(), list_arrivals(line.location)
    assert {ref.arrival for ref in catalog.train} <= {"a0", "a3"}
    assert list(catalog.groups("val")) == ["a0", "a1", "a3"] and list(catalog.groups("test")) == ["a0", "a2", "a3"]
    assert catalog.groups("val")["a1"] == slice(seen[0].rows("val"), seen[0].rows("val") + 6)
    assert isinstance(events[0], UpdatesWaiting) and events[0].arrivals == 1
    assert isinstance(events[1], Notice) and events[1].text == "v0001: the held-out rows of a1, a2 count from now on"
    assert isinstance(events[2], UpdateStarted) and events[2].arrival == "a3"
    assert [manifest.arrival for manifest in line.pending] == ["a4"], "it came later"


def test_a_first_update_goes_as_ever_and_what_is_held_out_after_it_waits(line: Line) -> None:
    weeks(line, VAL, WEEK)
    runner = FakeRunner()
    promoted = [version.card for version in line.update(runner=runner)]
    assert [(card.arrival, card.arrivals) for card in promoted] == [("a0", ["a0"]), ("a2", ["a0", "a1", "a2"])]
    assert [[manifest.arrival for manifest in job.seen] for job in runner.jobs] == [[], ["a0", "a1"]]


def test_after_a_rollback_they_wait_again(line: Line) -> None:
    weeks(line, VAL, WEEK)
    line.update(runner=FakeRunner())
    assert line.roll_back("v0000").unfolded == ("a1", "a2")
    (version,) = line.update(runner=FakeRunner())
    card = version.card
    assert card.arrivals == ["a0", "a1", "a2"] and card.version == "v0002"


def test_the_id_of_an_update_says_what_goes_with_it(line: Line) -> None:
    """So that a half-done one is not gone on with where other rows judge it; and what earlier ones began is known."""
    settings = load_settings("lenet-300-100")
    line.update(runner=FakeRunner())
    weeks(line, WEEK)
    state = read_state(line.location)
    alone, _ = next_job(line.location, state, state.pending[0], settings)
    assert alone.beside == () and "beside" not in str(replace(alone, parent=None))
    weeks(line, VAL, WEEK)
    state = read_state(line.location)
    (first, _, third) = state.pending
    assert next_job(line.location, state, first, settings)[0].update_id == alone.update_id
    both, _ = next_job(line.location, state, third, settings)
    assert [manifest.arrival for manifest in both.beside] == ["a2"]
    assert both.update_id != replace(both, seen=both.seen[:1]).update_id


def test_classes_that_they_bring_have_an_id(line: Line) -> None:
    """Symbols of texts, which are admitted without a training row."""
    line.update(runner=FakeRunner())
    weeks(line, VAL, WEEK)
    state = read_state(line.location)
    job, _ = next_job(line.location, state, state.pending[1], load_settings("lenet-300-100"))
    (held,) = job.beside
    with_owl = held.model_copy(update={"labels": {**held.labels, "owl": 0}})
    assert job.classes == ["cat", "dog"]
    assert replace(job, seen=(*job.seen[:1], with_owl)).classes == ["cat", "dog", "owl"]


def test_rows_that_another_trains_on_are_refused_in_them_too(line: Line, tmp_path: Path) -> None:
    """Storage that keeps no two publishers apart: the arrival comes from another line."""
    line.update(runner=FakeRunner())
    other = Line(str(tmp_path / "other"))
    other.ingest(rows(WEEK, 500), replace(SETTINGS, arrivals=["a0"]), task=TASK)
    other.ingest(rows({("cat", "val"): 10}), replace(SETTINGS, arrivals=["b1"]))
    for file in other.location.walk("arrivals/b1"):
        line.location.write_bytes(file.path, other.location.read_bytes(file.path))
    weeks(line, {("cat", "train"): 30})
    with pytest.raises(InputError, match=r"arrivals a0 and b1 share \d samples that one trains on and the other holds"):
        line.update(runner=FakeRunner())
    line.withdraw("b1")
    line.update(runner=FakeRunner())


def test_a_sweep_looks_at_the_next_that_has_training_rows(line: Line) -> None:
    line.update(runner=FakeRunner())
    weeks(line, VAL)
    with pytest.raises(InputError, match="nothing is waiting"):
        line.forecast_sweep()


def test_it_is_said_why_nothing_is_done(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(make_console(), Location(line.root))
    printer(NothingNew(root="x", head="v0000", arrivals=1, waiting=("a1", "a2")))
    assert capsys.readouterr().out == (
        "nothing to train on: v0000 has seen every arrival that has training rows (1); what a1, a2 holds out counts "
        "from the next update on\n"
    )
    line.update(runner=FakeRunner())
    weeks(line, VAL)
    assert main(["status", "--root", line.root]) == 0
    out = capsys.readouterr().out
    assert "a1" in out and "waiting" in out


class Held:
    """Digits that are all held out for validation."""

    name = "held"

    def samples(self) -> Iterator[SourceSample]:
        return (replace(sample, split="val") for sample in FewDigits(300, 340).samples())


def test_an_update_in_this_process_judges_by_them(tmp_path: Path) -> None:
    """With a model and its gate: the rows of the arrival that has nothing else are compared like all others."""
    line = Line(str(tmp_path / "line"))
    line.ingest(FewDigits(0, 300), task=TASK)
    line.ingest(Held())
    line.ingest(FewDigits(340, 341))
    settings = load_settings(
        "lenet-300-100", overrides=["synthesis.epochs=3", "gate_tolerance=1.0", "plan.epochs=1", "ladder=false"]
    )
    first, second = (version.card for version in line.update(settings))
    assert (first.arrivals, second.arrivals) == (
        ["arrival-000"],
        ["arrival-000", "arrival-001", "arrival-002"],
    )
    assert set(second.by_arrival) == {"arrival-000", "arrival-001"}
    held = second.by_arrival["arrival-001"]
    assert held.rows == 40 and held.parent_accuracy is not None and held.accuracy > 0.3
    assert len(second.classes) == 10 and line.pending == ()
