"""What a watcher does about arrivals, refusals, failures and answers."""

from __future__ import annotations

from raygp.errors import ConflictError, RejectedError, TrainingError
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
