"""Whole sweeps with a stand-in for Ray Tune: which trial wins, what is recorded and told, budgets, interruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from raygp.errors import InputError
from raygp.events import BudgetSpent, Event, Listener, Notice, SweepStarted, TrialEnded, WorkShared
from raygp.record import CostLedger, UpdateRecord
from raygp.report.sweep import sweep_line
from raygp.search.choice import TrialResult, read_trial
from raygp.search.layout import Layout
from raygp.search.outcome import SweepOutcome, keep_events
from raygp.search.settings import SweepSettings
from raygp.search.space import Point
from raygp.search.sweep import sweep
from raygp.search.watch import SweepWatch
from raygp.store import Location, Manifest, ShardInfo
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from raygp.update.plans import named_plan
from tests.store.helpers import MakeCard

PLAN = named_plan("default", "update", "lenet-300-100")
ALPHAS = {"alpha": {"grid_search": [0.1, 0.3, 0.5]}}


def outcome_of(accuracy: float, active: int) -> Outcome:
    record = UpdateRecord(
        phases=[], ledger=CostLedger(examples=1.0), val_accuracy=accuracy, mask_digest="", density=active / 1000,
        active_connections=active, total_connections=1000, densities={}, test_accuracy=None, parent_val_accuracy=0.9,
        by_arrival={},
    )  # fmt: skip
    return Outcome(Verdict(True, "no worse"), record, {"w": torch.zeros(1)})


class FakeTrials:
    """Runs the grid's points, or ``layout.points``, one after another; each ends as it was told to."""

    def __init__(self, ends: Sequence[Mapping[str, Any]], interrupt_after: int | None = None) -> None:
        self.ends, self.interrupt_after = list(ends), interrupt_after
        self.asked: list[str] = []
        self.layout: Layout | None = None

    def prepare(self, tell: Listener) -> None:
        self.asked.append("prepare")
        tell(Notice(text="waiting for room"))

    def share_work(self) -> CostLedger:
        self.asked.append("share")
        return CostLedger(examples=100.0)

    def run(self, layout: Layout, watch: SweepWatch) -> Sequence[TrialResult]:
        self.layout = layout
        points: list[Point] = [{"alpha": value} for value in layout.space["alpha"].arguments] or layout.points
        results = []
        for number, (point, end) in enumerate(zip(points, self.ends, strict=False)):
            if number == self.interrupt_after or watch.must_end():
                break
            metrics = {"trial_id": f"t{number}", "val_accuracy": 0.9, "ledger": {"examples": 50.0}, "epochs": 2, **end}
            watch.charge(metrics["trial_id"], metrics)
            watch.ended(point, number + 1, metrics)
            results.append(read_trial(point, metrics))
        else:
            watch.unfinished = False
        return [result for result in results if result is not None]

    def outcome(self, name: str) -> Outcome:
        self.asked.append(name)
        end = self.ends[int(name[1:])]
        return outcome_of(end["val_accuracy"], end["active_connections"])


def finished(accuracy: float, active: int) -> dict[str, Any]:
    return {"finished": True, "val_accuracy": accuracy, "active_connections": active}


@pytest.fixture
def job(location: Location, make_card: MakeCard) -> UpdateJob:
    def manifest(name: str, rows: int) -> Manifest:
        shard = ShardInfo(file="0.parquet", bytes=1, sha256="0" * 64, split="train", rows=rows)
        return Manifest.model_construct(arrival=name, shards=[shard], digest=name, labels={"cat": rows})

    return UpdateJob(
        location=location, task={"name": "lenet-300-100"}, parent=make_card(total_connections=1000),
        arrival=manifest("b", 100), seen=(manifest("a", 300),), plan=PLAN, seed=1, gate_tolerance=0.1,
        gate_confidence=0.9, version="v0001", sweep="{}",
    )  # fmt: skip


def run(
    job: UpdateJob, stand_in: FakeTrials, past: Sequence[Mapping[str, Any]] = (), **settings: Any
) -> tuple[SweepOutcome, list[Event]]:
    told: list[Event] = []
    wanted = {"space": ALPHAS, "trials": 3, "scheduler": "none", **settings}
    return sweep(job, SweepSettings.model_validate(wanted), past, told.append, stand_in), told


GOOD = [finished(0.95, 300), finished(0.9495, 200), finished(0.93, 100)]


def test_the_winner_is_recorded_with_its_plan_and_the_cost_of_the_whole_sweep(job: UpdateJob) -> None:
    trials = FakeTrials(GOOD)
    swept, _ = run(job, trials)
    assert swept.job == replace(job, plan=PLAN.model_copy(update={"alpha": 0.3}), sweep="")
    assert swept.outcome.record.val_accuracy == 0.9495
    assert swept.outcome.record.ledger.examples == 100.0 + 3 * 50.0
    record = swept.record
    assert record["winner"] == "t1" and record["why"].startswith("fewest connections of 2 trials")
    assert [trial["point"] for trial in record["trials"]] == [{"alpha": 0.1}, {"alpha": 0.3}, {"alpha": 0.5}]
    assert record["front"] == ["t0", "t1", "t2"] and record["shared"]["examples"] == 100.0
    assert record["objective"] == "connections" and record["seconds"] >= 0.0
    # Only the winner's tensors are read.
    assert trials.asked == ["prepare", "share", "t1"]


def test_what_happens_is_told_in_order_and_has_a_line_each(job: UpdateJob) -> None:
    ends = [GOOD[0], {"failed": "the training loss became nan" + "!" * 200}, {"epochs": 3}]
    swept, told = run(job, FakeTrials(ends))
    assert [type(event) for event in told] == [Notice, SweepStarted, WorkShared, TrialEnded, TrialEnded, TrialEnded]
    assert [event.state for event in told if isinstance(event, TrialEnded)] == ["finished", "failed", "stopped"]
    assert [sweep_line(event, "v0001") for event in told] == [
        "v0001: waiting for room",
        None,
        "v0001: losses and growth gradients computed once, 100 examples' worth; 3 trials save up to 200",
        "v0001  trial 1/3  alpha=0.1: validation 95.00%, 300 connections, 50 examples",
        "v0001  trial 2/3  alpha=0.3: failed: the training loss became nan" + "!" * 132,
        "v0001  trial 3/3  alpha=0.5: stopped after 3 epochs at 90.00%",
    ]
    assert swept.record["trials"][1]["error"].endswith("!" * 200)


def test_without_shared_work_none_is_computed(job: UpdateJob) -> None:
    trials = FakeTrials(GOOD)
    swept, told = run(job, trials, share_work=False)
    assert "share" not in trials.asked and not any(isinstance(event, WorkShared) for event in told)
    assert swept.record["shared"]["examples"] == 0.0 and swept.outcome.record.ledger.examples == 150.0


def test_a_spent_budget_ends_the_sweep_with_the_best_so_far_and_is_told_once(job: UpdateJob) -> None:
    swept, told = run(job, FakeTrials(GOOD), max_cost=200)
    assert [trial["name"] for trial in swept.record["trials"]] == ["t0", "t1"]
    (spent,) = [event for event in told if isinstance(event, BudgetSpent)]
    assert sweep_line(spent, "v0001") == "v0001: the sweep's budget of 200 examples is spent"
    assert not any(isinstance(event, Notice) and "interrupted" in event.text for event in told)


def test_a_budget_in_plain_updates_counts_what_the_plan_is_expected_to_cost(job: UpdateJob) -> None:
    trials = FakeTrials(GOOD)
    run(job, trials, max_cost="2x")
    assert trials.layout is not None and trials.layout.limit == 2 * trials.layout.cost.update


def test_a_budget_of_hours_is_spent_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("raygp.search.watch.time.monotonic", lambda: now)
    told: list[Event] = []
    watch = SweepWatch(version="v1", tell=told.append, max_hours=2.0, started=0.0)
    assert not watch.must_end()
    now = 7200.0
    assert watch.must_end() and watch.must_end()
    assert told == [BudgetSpent(version="v1", budget="2 hours")]


def test_an_interrupted_sweep_chooses_among_what_has_finished(job: UpdateJob) -> None:
    swept, told = run(job, FakeTrials(GOOD, interrupt_after=1))
    assert swept.record["winner"] == "t0"
    assert told[-1] == Notice(text="interrupted; choosing among the trials that have finished")


def test_a_sweep_interrupted_before_any_trial_finished_is_an_interrupt(job: UpdateJob) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(job, FakeTrials([{"epochs": 1}, *GOOD], interrupt_after=1))


def test_without_a_finished_trial_there_is_nothing_to_choose(job: UpdateJob) -> None:
    with pytest.raises(InputError, match="no trial of the sweep finished"):
        run(job, FakeTrials([{"failed": "x"}] * 3))


def test_a_space_that_does_not_fit_ends_a_sweep_before_anything_is_prepared(job: UpdateJob) -> None:
    trials = FakeTrials(GOOD)
    with pytest.raises(InputError, match="the grid has 3 points"):
        run(job, trials, trials=2)
    assert trials.asked == []


def test_earlier_sweeps_give_points_and_scores(job: UpdateJob) -> None:
    trials = FakeTrials([finished(0.9, 10)] * 9)
    past, _ = run(job, FakeTrials(GOOD))
    run(job, trials, [past.record], space={"alpha": {"choice": [0.1, 0.3, 0.5]}}, trials=3, scheduler="asha")
    layout = trials.layout
    assert layout is not None
    assert {point["alpha"] for point, _ in layout.known} == {0.1, 0.3, 0.5}
    assert layout.kept == layout.points[: len(layout.kept)] and layout.trials == layout.draws == 3


def test_a_lost_trial_is_tried_again_and_does_not_count() -> None:
    told: list[Event] = []
    watch = SweepWatch(version="v1", trials=4, tell=told.append)
    watch.lost({"alpha": 0.1}, 1, {"epochs": 2, "val_accuracy": 0.5})
    assert sweep_line(told[0], "v1") == "v1  alpha=0.1: lost, tried again from its last checkpoint"
    assert not watch.ended({"alpha": 0.1}, 2, {}, crashed=True)
    assert sweep_line(told[1], "v1") == "v1  trial 2/4  alpha=0.1: failed"
    assert watch.ended({"alpha": 0.1}, 3, {"epochs": 2})


def test_a_trial_that_never_reported_is_left_out_and_a_crash_keeps_its_error() -> None:
    assert read_trial({}, None) is None and read_trial({}, {"trial_id": "a"}) is None
    crashed = read_trial({"lr": 1.0}, {"trial_id": "a", "val_accuracy": 0.5}, "it broke")
    assert crashed is not None and (crashed.state, crashed.error) == ("failed", "it broke")


def test_what_tensorboard_reads_is_kept_by_trial(location: Location) -> None:
    location.write_bytes("updates/u/tune/trial_a/events.out.tfevents.1", b"a")
    location.write_bytes("updates/u/tune/trial_a/params.json", b"{}")
    keep_events(location, "updates/u", "v0001")
    assert [file.path for file in location.walk("reports")] == ["reports/v0001-sweep/trial_a/events.out.tfevents.1"]
