"""Several arrivals in one update."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raygp.cli import main
from raygp.cli.printer import Printer
from raygp.cli.running import make_console
from raygp.errors import InputError, RejectedError
from raygp.events import CheckpointStored, Event, Notice, Promoted, Refused, UpdateStarted, UpdatesWaiting
from raygp.line import Line, read_state
from raygp.line.jobs import next_job
from raygp.settings import load_settings
from raygp.store import Location, create_line, read_card, read_tensors
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner, publish
from tests.line.test_held_out_alone import TEST, VAL, WEEK, told, weeks
from tests.line.test_line import kinds

TASK = {"name": "lenet-300-100"}
SETTINGS = load_settings("lenet-300-100", overrides=["on_drift=off"])


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A line with a version of mon, and three arrivals that wait."""
    line = Line(str(tmp_path / "line"))
    create_line(line.location, TASK)
    publish(line.location, "mon")
    line.update(SETTINGS, runner=FakeRunner())
    for arrival in ("tue", "wed", "thu"):
        publish(line.location, arrival)
    return line


def killed_while(line: Line, folded: bool = True, when: Callable[[Event], bool] | None = None) -> None:
    """An update that is cut off when its first checkpoint is there, or at another event."""

    def end(event: Event) -> None:
        if when(event) if when else isinstance(event, CheckpointStored):
            raise Killed

    stop = line.listen(end)
    with pytest.raises(Killed):
        line.update(SETTINGS, runner=FakeRunner(), fold=folded)
    stop()


# -- what it does -----------------------------------------------------------------------------------------------------


def test_all_that_waits_goes_into_one_update(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    events, runner = told(line), FakeRunner()
    line.listen(Printer(make_console(), line.location))
    (version,) = line.update(SETTINGS, runner=runner, fold=True)
    card = version.card
    assert (card.version, card.parent, card.arrival, card.beside) == ("v0001", "v0000", "thu", ["tue", "wed"])
    assert card.arrivals == ["mon", "tue", "wed", "thu"] and card.folded_in == ["tue", "wed", "thu"]
    assert set(card.manifests) == set(card.arrivals) and line.pending == ()
    assert kinds(events) == ["UpdatesWaiting", "UpdateStarted", "CheckpointStored", "Promoted"]
    waiting, started, _, promoted = events
    assert isinstance(waiting, UpdatesWaiting) and (waiting.arrivals, waiting.fold) == (3, True)
    assert isinstance(started, UpdateStarted) and (started.arrival, started.beside) == ("thu", ("tue", "wed"))
    assert isinstance(promoted, Promoted) and promoted.card == card
    out = capsys.readouterr().out
    assert "3 new arrivals for" in out and ", folded into one update; starting Ray" in out
    assert "v0001: tue, wed, thu in one update, from v0000, plan 'default'" in out
    (job,) = runner.jobs
    catalog = job.catalog()
    manifests = {manifest.arrival: manifest for manifest in line.arrivals()}
    new = [manifests[name].rows("train") for name in ("tue", "wed", "thu")]
    assert catalog.train_rows - catalog.old_rows == sum(new) > 0
    assert [manifest.arrival for manifest in job.before] == ["mon"]
    assert line.location.list("updates") == []


def test_rows_of_the_others_are_new_ones_and_none_is_replayed(line: Line) -> None:
    state = read_state(line.location)
    job, _ = next_job(line.location, state, state.pending[-1], SETTINGS, fold=True)
    replayed = replace(
        job, plan=job.plan.model_copy(update={"replay": job.plan.replay.model_copy(update={"share": 1})})
    )
    catalog, mon = replayed.catalog(), line.arrivals()[0]
    assert catalog.old_rows == mon.rows("train")
    assert [ref.arrival for ref in catalog.train if ref.first >= catalog.old_rows] == ["tue", "wed", "thu"]
    alone = replace(job, plan=job.plan.model_copy(update={"replay": job.plan.replay.model_copy(update={"share": 0})}))
    assert alone.catalog().old_rows == 0
    assert [ref.arrival for ref in alone.catalog().train] == ["tue", "wed", "thu"]
    assert list(catalog.groups("val")) == ["mon", "tue", "wed", "thu"]


def test_a_first_version_may_be_of_several(tmp_path: Path) -> None:
    line = weeks(Line(str(tmp_path / "line")), WEEK, VAL, {**WEEK, ("owl", None): 10}, TEST)
    events = told(line)
    (version,) = line.update(SETTINGS, runner=FakeRunner(), fold=True)
    card = version.card
    assert (card.version, card.arrival, card.beside) == ("v0000", "a2", ["a0", "a1"])
    assert card.classes == ["cat", "dog", "owl"], "classes of all of them"
    assert any(isinstance(event, Notice) and "held-out rows of a1 count" in event.text for event in events)
    assert [manifest.arrival for manifest in line.pending] == ["a3"], "held out alone, and newer: it waits as ever"


def test_new_classes_in_any_of_them_are_new(tmp_path: Path) -> None:
    line = weeks(Line(str(tmp_path / "line")), WEEK)
    line.update(SETTINGS, runner=FakeRunner())
    weeks(line, {**WEEK, ("owl", None): 10}, WEEK)
    (version,) = line.update(SETTINGS, runner=FakeRunner(), fold=True)
    card = version.card
    assert card.classes == ["cat", "dog", "owl"] and card.arrival == "a2"


def test_one_alone_is_the_plain_update(line: Line) -> None:
    line.withdraw("wed")
    line.withdraw("thu")
    other = Line(shutil.copytree(line.root, f"{line.root}-plain"))
    (plain,) = other.update(SETTINGS, runner=FakeRunner())
    events = told(line)
    (folded,) = line.update(SETTINGS, runner=FakeRunner(), fold=True)
    assert folded.card.update == plain.card.update and folded.card.beside == []
    apart = {"created": "", "files": [], "ledger": plain.card.ledger}
    assert folded.card.model_copy(update=apart) == plain.card.model_copy(update=apart)
    assert not any(isinstance(event, Notice) for event in events)


def test_what_goes_along_names_the_update_as_ever(line: Line) -> None:
    state = read_state(line.location)
    tue, wed, thu = state.pending
    jobs = [next_job(line.location, state, arrival, SETTINGS, fold=True)[0] for arrival in (tue, wed, thu)]
    assert len({job.update_id for job in jobs}) == 3
    assert jobs[0] == next_job(line.location, state, tue, SETTINGS)[0]
    alone = next_job(line.location, state, thu, SETTINGS)[0]
    assert alone.beside == () and alone.update_id != jobs[2].update_id


def test_what_is_published_meanwhile_gets_the_next(line: Line) -> None:
    def publish_two(job: UpdateJob) -> None:
        if job.version == "v0001":
            publish(line.location, "fri")
            publish(line.location, "sat")

    promoted = line.update(SETTINGS, runner=FakeRunner(meanwhile=publish_two), fold=True)
    assert [version.card.folded_in for version in promoted] == [["tue", "wed", "thu"], ["fri", "sat"]]


# -- refused ----------------------------------------------------------------------------------------------------------


def refuse(job: UpdateJob) -> Verdict:
    return Verdict(False, "rejected: validation 10.00%, parent 90.00%")


def test_a_refusal_is_of_these_together(line: Line) -> None:
    events = told(line)
    with pytest.raises(RejectedError, match=r"v0001 from tue, wed, thu rejected: validation 10\.00%, .*: v0000 stays"):
        line.update(SETTINGS, runner=FakeRunner(refuse), fold=True)
    refused = events[-1]
    assert isinstance(refused, Refused) and (refused.arrival, refused.beside) == ("thu", ("tue", "wed"))
    with pytest.raises(RejectedError, match="tue, wed, thu were tried together with this plan before: rejected: valid"):
        line.update(SETTINGS, runner=FakeRunner(), fold=True)
    assert line.unfinished() == []
    # With another one it is another update.
    publish(line.location, "fri")
    (version,) = line.update(SETTINGS, runner=FakeRunner(), fold=True)
    assert version.card.folded_in == ["tue", "wed", "thu", "fri"]


def test_each_for_itself_is_another_update_than_all_that_were_refused(line: Line) -> None:
    with pytest.raises(RejectedError):
        line.update(SETTINGS, runner=FakeRunner(refuse), fold=True)
    promoted = line.update(SETTINGS, runner=FakeRunner())
    assert [version.card.folded_in for version in promoted] == [["tue"], ["wed"], ["thu"]]


# -- interrupted ------------------------------------------------------------------------------------------------------


def test_one_that_was_begun_goes_on_with_what_it_began_with(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    killed_while(line)
    publish(line.location, "fri")
    (unfinished,) = line.unfinished()
    assert (unfinished.arrival, unfinished.beside, unfinished.epochs) == ("thu", ("tue", "wed"), None)
    assert main(["status", "--root", line.root]) == 0
    assert "half done: an update of tue, wed, thu to v0001, no checkpoint yet" in capsys.readouterr().out
    events = told(line)
    promoted = [version.card for version in line.update(SETTINGS, runner=FakeRunner(), fold=True)]
    assert [(card.folded_in, card.beside) for card in promoted] == [
        (["tue", "wed", "thu"], ["tue", "wed"]),
        (["fri"], []),
    ]
    assert promoted[0].update == unfinished.update and line.location.list("updates") == []
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == ["v0001: goes on without fri, which came after it was begun"]


def test_one_that_was_begun_of_a_single_arrival_goes_on_with_it(line: Line) -> None:
    line.withdraw("wed")
    line.withdraw("thu")
    killed_while(line)
    publish(line.location, "fri")
    promoted = line.update(SETTINGS, runner=FakeRunner(), fold=True)
    assert [version.card.folded_in for version in promoted] == [["tue"], ["fri"]]


def test_with_other_settings_it_is_begun_anew(line: Line) -> None:
    killed_while(line)
    publish(line.location, "fri")
    other = line.settings(None, "plan.alpha=0.123", "on_drift=off")
    (version,) = line.update(other, runner=FakeRunner(), fold=True)
    assert version.card.folded_in == ["tue", "wed", "thu", "fri"]


def test_nothing_is_withdrawn_that_a_half_done_update_folds_in(line: Line) -> None:
    killed_while(line)
    publish(line.location, "fri")
    for arrival in ("tue", "wed", "thu"):
        with pytest.raises(InputError, match=f"arrival '{arrival}' cannot be withdrawn while update v0001-thu-"):
            line.withdraw(arrival)
    line.withdraw("fri")


def test_one_killed_before_the_head_moved_is_promoted_with_all_its_arrivals(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raygp.line import update

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(update, "promote", kill)
        line.update(SETTINGS, runner=FakeRunner(), fold=True)
    assert line.update(SETTINGS, runner=FakeRunner(), fold=True) == []
    assert line.head is not None and line.head.card.folded_in == ["tue", "wed", "thu"]


REAL = load_settings(
    "lenet-300-100",
    overrides=[
        "synthesis.epochs=1",
        "plan.epochs=2",
        "plan.batch_size=32",
        "gate_tolerance=1.0",
        "ladder=false",
        "on_drift=off",
    ],
)


def test_killed_and_resumed_it_ends_in_the_same_bits(tmp_path: Path) -> None:
    """With a model: the three arrivals are all trained on, and each is compared with the parent by itself."""
    line = Line(str(tmp_path / "line"))
    line.ingest(FewDigits(0, 120), task=TASK)
    line.update(REAL)
    for number in range(3):
        line.ingest(FewDigits(120 + 60 * number, 180 + 60 * number))
    cut = Line(shutil.copytree(line.root, tmp_path / "cut"))
    (whole,) = line.update(REAL, fold=True)
    assert set(whole.card.by_arrival) == {f"arrival-00{number}" for number in range(4)}
    assert all(part.parent_accuracy is not None for part in whole.card.by_arrival.values())
    seen: list[Event] = []

    def end(event: Event) -> None:
        seen.extend([event] if isinstance(event, CheckpointStored) else [])
        if len(seen) == 2:
            raise Killed

    stop = cut.listen(end)
    with pytest.raises(Killed):
        cut.update(REAL, fold=True)
    stop()
    cut.ingest(FewDigits(300, 340))
    resumed, last = cut.update(REAL, fold=True)
    assert resumed.card.update == whole.card.update and last.card.folded_in == ["arrival-004"]
    tensors, expected = (read_tensors(found.location, found.card) for found in (resumed, whole))
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    assert resumed.card.mask_digest == whole.card.mask_digest and resumed.card.by_arrival == whole.card.by_arrival


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_show_versions_and_the_graph_name_them(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.update(SETTINGS, runner=FakeRunner(), fold=True)
    assert main(["show", "--root", line.root]) == 0
    assert "v0001, from v0000, folds in tue, wed, thu (" in capsys.readouterr().out
    assert main(["versions", "--graph", "--root", line.root]) == 0
    assert "v0001  thu (and 2 more)  validation" in capsys.readouterr().out
    assert main(["versions", "--json", "--root", line.root]) == 0
    assert '"beside": [\n   "tue",\n   "wed"\n  ]' in capsys.readouterr().out


def test_a_sweep_may_be_of_all_that_waits(line: Line) -> None:
    one, all_of_them = line.forecast_sweep(SETTINGS), line.forecast_sweep(SETTINGS, fold=True)
    assert (one.arrival, one.beside) == ("tue", ())
    assert (all_of_them.arrival, all_of_them.beside) == ("thu", ("tue", "wed"))
    assert all_of_them.layout.cost.low > one.layout.cost.low


def test_a_card_of_an_earlier_raygp_folded_in_one(tmp_path: Path) -> None:
    from tests.formats.archives import unpack

    card = read_card(Location(unpack("line", tmp_path, "card_5").root), "v0001")
    assert (card.format, card.beside, card.folded_in) == (6, [], ["tue"])
