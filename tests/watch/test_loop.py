"""What a watcher does about arrivals, refusals, failures and answers."""

from __future__ import annotations

import json
import time

import pytest

from raygp.cli import main
from raygp.errors import ConflictError, RaygpError, RejectedError, TrainingError
from raygp.events import (
    ArrivalSeen,
    AttemptFailed,
    GaveUp,
    PausedUntil,
    Promoted,
    SetAside,
    UpdateStarted,
    WatchBegun,
    WatchIdle,
)
from raygp.line import Line
from raygp.store import Location
from raygp.store.documents import seconds
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from tests.line.fakes import FakeRunner, publish
from tests.watch.rig import Rig


def refuses(*names: str) -> FakeRunner:
    """A runner whose gate refuses whatever has one of these arrivals in it."""

    def judge(job: UpdateJob) -> Verdict:
        new = {manifest.arrival for manifest in (*job.beside, job.arrival)}
        return Verdict(not new & set(names), "rejected: worse" if new & set(names) else "as good")

    return FakeRunner(judge)


def fails(*names: str, error: type[Exception] = TrainingError) -> FakeRunner:
    """A runner that fails over whatever has one of these arrivals in it."""

    def meanwhile(job: UpdateJob) -> None:
        if {manifest.arrival for manifest in (*job.beside, job.arrival)} & set(names):
            raise error("the loss is not finite")

    return FakeRunner(meanwhile=meanwhile)


def test_an_arrival_becomes_a_version_and_then_nothing_is_said(location: Location) -> None:
    rig = Rig(location)
    publish(location, "mon")
    rig.meanwhile[3] = lambda: publish(location, "tue")
    rig.watch(8)
    assert rig.head == "v0001" and rig.slept == [60.0] * 8
    kinds = [type(event) for event in rig.events]
    assert kinds.count(WatchBegun) == 1 and kinds.count(Promoted) == 2
    assert [event.arrival for event in rig.told(ArrivalSeen)] == ["mon", "tue"]
    assert [event.head for event in rig.told(WatchIdle)] == ["v0000", "v0001"]
    assert not rig.told(PausedUntil) and not location.exists("watch.json")


def test_a_refused_arrival_goes_with_the_next(location: Location) -> None:
    rig = Rig(location, refuses("tue"))
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    rig.watch(3)
    assert (rig.head, list(rig.notes.left)) == ("v0000", ["tue"])
    tried = len(rig.runner.jobs)
    rig.watch(4)
    assert len(rig.runner.jobs) == tried, "it is not tried again as it was, by no other watcher either"
    rig.runner = FakeRunner()
    publish(location, "wed")
    rig.watch(2)
    assert Line(location).head.card.arrivals == ["mon", "tue", "wed"]
    assert rig.notes.left == {}


def test_a_refused_arrival_is_set_aside(location: Location, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig(location, refuses("tue"), "watch.refused=aside")
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    rig.watch(2)
    (aside,) = rig.told(SetAside)
    assert aside.arrivals == ("tue",) and "worse" in aside.reason
    publish(location, "wed")
    rig.watch(2)
    assert Line(location).head.card.arrivals == ["mon", "wed"]
    assert rig.told(WatchIdle)[-1].left == {"tue": aside.reason}
    assert main(["status", "--root", location.root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_alone"] == {"tue": aside.reason}
    assert main(["status", "--root", location.root]) == 0
    assert f"raygp watch leaves tue alone: {aside.reason}" in capsys.readouterr().out


def test_a_refused_arrival_may_wait_for_a_person(location: Location) -> None:
    rig = Rig(location, refuses("tue"), "watch.refused=wait")
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    rig.meanwhile[len(rig.slept) + 2] = lambda: publish(location, "wed")
    rig.watch(6)
    assert rig.head == "v0000"
    assert [event.kind for event in rig.told(PausedUntil)] == ["refused"], "said once"
    rig.meanwhile[len(rig.slept) + 1] = lambda: Line(location).withdraw("tue")
    rig.watch(6)
    assert Line(location).head.card.arrivals == ["mon", "wed"]


def test_pauses_grow_and_then_it_gives_up_until_something_new_comes(location: Location) -> None:
    rig = Rig(location, fails("tue"), "watch.attempts=4", "watch.pause_s=100", "watch.max_pause_s=350")
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    started = rig.now
    rig.watch(14)
    assert [event.attempt for event in rig.told(AttemptFailed)] == [1, 2, 3, 4]
    waited = [event.until for event in rig.told(PausedUntil)]
    assert len(waited) == 3 and rig.now > started + 100 + 200 + 350
    (gave_up,) = rig.told(GaveUp)
    assert (gave_up.arrivals, gave_up.reason) == (("tue",), "the loss is not finite")
    tried = len(rig.runner.jobs)
    rig.watch(3)
    assert len(rig.runner.jobs) == tried
    publish(location, "wed")
    rig.watch(3)
    assert Line(location).head.card.arrivals == ["mon", "wed"], "it holds nothing up"
    assert len(rig.told(GaveUp)) == 2, "on the new head it was tried once more, by itself"
    rig.runner = FakeRunner()
    rig.watcher().retry()
    rig.watch(2)
    assert Line(location).head.card.arrivals == ["mon", "wed", "tue"] and rig.notes.left == {}


def test_somebody_else_at_work_is_waited_for(location: Location) -> None:
    busy = [True] * 3

    def meanwhile(job: UpdateJob) -> None:
        if busy and busy.pop():
            raise ConflictError("raygp update is at work on this line")

    rig = Rig(location, FakeRunner(meanwhile=meanwhile))
    publish(location, "mon")
    rig.watch(6)
    assert rig.head == "v0000" and not rig.told(AttemptFailed)
    assert [event.kind for event in rig.told(PausedUntil)] == ["others"], "said once"


def test_what_a_person_goes_back_from_is_not_made_again_at_once(location: Location) -> None:
    rig = Rig(location)
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    rig.watch(1)
    rig.meanwhile[len(rig.slept)] = lambda: Line(location).roll_back("v0000")
    rig.watch(4)
    assert rig.head == "v0000" and "went back" in rig.notes.left["tue"].reason
    publish(location, "wed")
    rig.watch(2)
    assert Line(location).head.card.arrivals == ["mon", "tue", "wed"]


def test_other_settings_try_what_was_refused_again(location: Location) -> None:
    rig = Rig(location, refuses("tue"))
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    rig.watch(2)
    tried = len(rig.runner.jobs)
    rig.watch(2)
    assert len(rig.runner.jobs) == tried
    rig.overrides = ("plan.lr=0.001",)
    rig.watch(2)
    assert len(rig.runner.jobs) == tried + 1


def test_no_update_starts_in_a_window_and_one_does_after_it(location: Location) -> None:
    rig = Rig(location, None, "watch.quiet=[02:00-03:00]", "watch.timezone=UTC")
    publish(location, "mon")
    rig.watch(10)
    assert rig.head is None
    (pause,) = rig.told(PausedUntil)
    assert (pause.kind, pause.until) == ("quiet", "2026-02-02T03:00:00.000000+00:00")
    rig.watch(20)
    assert rig.head == "v0000" and rig.now < seconds(pause.until) + 600


def test_no_update_starts_once_the_budget_is_spent(location: Location) -> None:
    """Each of the fake runner's updates costs 100 examples; cards have the time of this machine."""
    rig = Rig(location, refuses("tue"), "watch.budget.examples=150", "watch.refused=aside")
    rig.now = time.time()
    for name in ("mon", "tue"):
        publish(location, name)
        rig.watch(2)
    assert [spent.examples for spent in rig.notes.spent.values()] == [100.0], "a refused one has its cost, too"
    publish(location, "wed")
    rig.watch(2)
    assert rig.head == "v0000"
    (pause,) = rig.told(PausedUntil)
    assert pause.kind == "budget" and pause.because == "200 of 150 examples of this week are spent"
    assert abs(seconds(pause.until) - rig.now - 7 * 86_400) < 600
    rig.now += 7 * 86_400
    rig.watch(1)
    assert rig.head == "v0001"


def test_what_two_updates_of_one_arrival_cost_is_added_up(location: Location) -> None:
    first = Rig(location)
    publish(location, "mon")
    first.watch(2)
    publish(location, "tue")
    for more in ("plan.alpha=0.3", "plan.alpha=0.4"):
        rig = Rig(location, refuses("tue"), "watch.refused=wait", more)
        rig.watch(2)
    assert [spent.examples for spent in rig.notes.spent.values()] == [100.0, 100.0]


def test_storage_that_fails_is_waited_for(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(location, None, "watch.pause_s=10")
    publish(location, "mon")
    rig.watch(1)
    names = Location.list
    broken = [True] * 6

    def listing(self: Location, path: str = "") -> list[str]:
        if broken:
            broken.pop()
            raise RaygpError("the connection broke")
        return names(self, path)

    rig.meanwhile[1] = lambda: monkeypatch.setattr(Location, "list", listing)
    publish(location, "tue")
    rig.meanwhile[2] = lambda: publish(location, "wed")
    rig.watch(9)
    pauses = [event for event in rig.told(PausedUntil) if event.kind == "storage"]
    assert [event.because for event in pauses] == ["the connection broke"] * 6
    assert rig.slept[2:8] == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0] and rig.head == "v0002"


def test_cron_gets_what_went_wrong(location: Location) -> None:
    rig = Rig(location, refuses("tue"))
    publish(location, "mon")
    assert rig.once().problem is None
    publish(location, "tue")
    assert isinstance(rig.once().problem, RejectedError)
    assert rig.once().problem is None, "the next run has nothing to do"
    rig.runner = fails("wed")
    publish(location, "wed")
    assert isinstance(rig.once().problem, TrainingError)
    assert rig.once().problem is None and rig.told(PausedUntil), "it is too early"
    rig.now += 61
    rig.runner = FakeRunner()
    assert rig.once().problem is None and rig.head == "v0001" and rig.slept == []


def test_no_update_starts_while_a_candidate_waits_for_a_person(location: Location) -> None:
    rig = Rig(location, None, "promote=approve")
    publish(location, "mon")
    rig.watch(2)
    publish(location, "tue")
    rig.watch(3)
    assert rig.head is None and len(rig.runner.jobs) == 1
    pauses = [event for event in rig.told(PausedUntil)]
    assert [(event.kind, event.until) for event in pauses] == [("approval", "")] * 2, "each watcher says it once"
    rig.meanwhile[len(rig.slept) + 1] = lambda: Line(location).approve("v0000")
    rig.watch(6)
    assert rig.head == "v0000" and len(rig.runner.jobs) == 2
    rig.meanwhile[len(rig.slept) + 1] = lambda: Line(location).reject("v0001", because="not this one")
    rig.watch(6)
    assert rig.head == "v0000" and "not this one" in rig.notes.left["tue"].reason


def test_what_comes_faster_than_updates_is_folded_in_together(location: Location) -> None:
    def meanwhile(job: UpdateJob) -> None:
        if job.version == "v0000":
            for name in ("tue", "wed", "thu"):
                publish(location, name)

    rig = Rig(location, FakeRunner(meanwhile=meanwhile))
    publish(location, "mon")
    rig.watch(1)
    assert rig.head == "v0001" and [event.beside for event in rig.told(UpdateStarted)] == [(), ("tue", "wed")]
    assert Line(location).head.card.beside == ["tue", "wed"]  # type: ignore[union-attr]


def test_of_several_that_are_refused_together_each_is_tried_by_itself(location: Location) -> None:
    rig = Rig(location, refuses("wed"), "watch.refused=aside")
    publish(location, "mon")
    rig.watch(1)
    for name in ("tue", "wed", "thu"):
        publish(location, name)
    rig.watch(2)
    assert Line(location).head.card.arrivals == ["mon", "tue", "thu"]  # type: ignore[union-attr]
    assert [event.arrivals for event in rig.told(SetAside)] == [("wed",)] and rig.notes.apart == []


def test_of_several_that_fail_together_each_is_tried_by_itself(location: Location) -> None:
    rig = Rig(location, fails("wed"), "watch.attempts=2")
    publish(location, "mon")
    rig.watch(1)
    for name in ("tue", "wed", "thu"):
        publish(location, name)
    rig.watch(5)
    assert Line(location).head.card.arrivals == ["mon", "tue", "thu"]  # type: ignore[union-attr]
    assert {event.arrivals for event in rig.told(GaveUp)} == {("wed",)}


def test_what_came_since_is_not_to_blame_for_an_update_that_was_begun_before(location: Location) -> None:
    """An update over tue is interrupted; wed comes; the update goes on first, and is refused."""

    def meanwhile(job: UpdateJob) -> None:
        if job.version == "v0001" and not interrupted:
            interrupted.append(True)
            location.write_bytes(f"{job.folder}/checkpoint_x", b"")
            raise KeyboardInterrupt

    interrupted: list[bool] = []
    judge = refuses("tue")
    judge._meanwhile = meanwhile
    rig = Rig(location, judge, "watch.refused=aside")
    publish(location, "mon")
    rig.watch(1)
    publish(location, "tue")
    with pytest.raises(KeyboardInterrupt):
        rig.watch(1)
    publish(location, "wed")
    rig.watch(2)
    assert Line(location).head.card.arrivals == ["mon", "wed"]  # type: ignore[union-attr]
    assert list(rig.notes.left) == ["tue"]
