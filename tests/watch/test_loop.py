"""What a watcher does about arrivals, refusals, failures and answers."""

from __future__ import annotations

from raygp.errors import ConflictError, TrainingError
from raygp.events import ArrivalSeen, AttemptFailed, GaveUp, PausedUntil, Promoted, SetAside, WatchBegun, WatchIdle
from raygp.line import Line
from raygp.store import Location
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


def test_a_refused_arrival_is_set_aside(location: Location) -> None:
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
    publish(location, "tue")
    rig.watch(2)
    tried = len(rig.runner.jobs)
    rig.watch(2)
    assert len(rig.runner.jobs) == tried
    rig.overrides = ("plan.lr=0.001",)
    rig.watch(2)
    assert len(rig.runner.jobs) == tried + 1
