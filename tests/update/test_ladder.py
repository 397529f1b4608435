"""The ladder: a refused plan is followed by a safer one from the same parent, and all are charged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from raygp.data.resident import Examples, ResidentData
from raygp.errors import TrainingError
from raygp.events import Event, RungStarted
from raygp.record import Look, RungRecord
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import load, save_checkpoint
from raygp.update.engine import Update
from raygp.update.examples import ExampleChoice, choose_examples
from raygp.update.fitting import Sizes, surprises
from raygp.update.ladder import Ladder
from raygp.update.outcome import Outcome
from raygp.update.plan import FitSettings, Plan, ReplaySettings, SelectionSettings
from raygp.update.plans import named_plan
from raygp.update.rungs import Rung, differences, falls_away, first_rung, next_rung, rungs_of
from raygp.update.state import Checkpoint
from tests.update.records import figures
from tests.update.test_resume import ALL_KINDS, DATA

# Shrunk to almost nothing and hardly trained, it cannot hold; the safer rungs do not shrink.
RUINOUS = Plan.model_validate(
    {
        "phases": [{"kind": "grow-new", "epochs": 0}, {"kind": "prune-permanent", "gradual": True}],
        "epochs": 2,
        "batch_size": 16,
        "lr": 0.0001,
        "shrink": 0.05,
        "replay": {"share": 0.2, "hard": 0.0},
    }
)
TASK = make_task({"name": "lenet-300-100"})
"""Without augmentation: shifted noise cannot be learnt."""
SIZES = Sizes(DATA.old_rows, DATA.new_rows, 10, 0)


def run(plan: Plan, parent: Outcome | None) -> Outcome:
    """A plan alone."""
    learner = make_learner(TASK, DATA, plan, num_classes=10, seed=5, parent=parent.tensors if parent else None)
    return Update(plan, learner, DATA, seed=5, has_parent=parent is not None).run()


class Watcher:
    """Keeps every checkpoint, and what is told of rungs."""

    def __init__(self) -> None:
        self.checkpoints: list[Checkpoint] = []
        self.rungs: list[RungStarted] = []

    def event(self, event: Event) -> None:
        if isinstance(event, RungStarted):
            self.rungs.append(event)

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        self.checkpoints.append(make())

    def leaving(self) -> bool:
        return False


@pytest.fixture(scope="module")
def parent() -> Outcome:
    phase = {"kind": "prune-permanent", "gradual": True, "epochs": 12}
    outcome = run(Plan.model_validate({"phases": [phase], "batch_size": 16, "lr": 0.05}), None)
    assert outcome.record.val_accuracy > 0.6
    return outcome


def climb(
    plan: Plan, parent: Outcome, start: Checkpoint | None = None, rungs: list[Rung] | None = None
) -> tuple[Outcome, Watcher]:
    watcher = Watcher()

    def make(plan: Plan, may_give_up: bool) -> Update:
        learner = make_learner(TASK, DATA, plan, num_classes=10, seed=5, parent=parent.tensors)
        return Update(plan, learner, DATA, seed=5, has_parent=True, observer=watcher, may_give_up=may_give_up)

    ladder = Ladder(lambda look: rungs or rungs_of(plan, SIZES, ladder=True), make, watcher)
    if start is not None:
        ladder.resume(start)
    return ladder.run(), watcher


def test_a_refused_plan_is_followed_by_one_that_holds_as_if_it_had_been_asked_for(parent: Outcome) -> None:
    outcome, watcher = climb(RUINOUS, parent)
    assert outcome.verdict.promoted
    refused, held = outcome.record.rungs
    assert (refused.name, refused.promoted, held.name, held.promoted) == ("plan", False, "replay", True)
    assert refused.reason.startswith("rejected") and held.changes["replay.share"] == 1.0
    [started] = watcher.rungs
    assert (started.name, started.rung, started.because) == ("replay", 1, refused.reason)
    # It starts from the parent: nothing of the first rung is left in it.
    plan = rungs_of(RUINOUS, SIZES, ladder=True)[1].plan
    alone = run(plan, parent)
    assert outcome.record.mask_digest == alone.record.mask_digest
    assert all(torch.equal(outcome.tensors[key], value) for key, value in alone.tensors.items())
    assert figures(outcome.record, "examples") == figures(alone.record, "examples")
    # Both rungs are charged.
    assert held.examples == pytest.approx(alone.record.ledger.examples)
    assert outcome.record.ledger.examples == pytest.approx(refused.examples + held.examples)
    assert refused.examples > 0 and refused.sparse_flops > 0


def test_a_kill_at_any_rung_changes_no_bit(parent: Outcome, tmp_path: Path) -> None:
    whole, watcher = climb(RUINOUS, parent)
    at = [len(checkpoint.state.record.rungs) for checkpoint in watcher.checkpoints]
    assert set(at) == {0, 1}
    for number, checkpoint in enumerate(watcher.checkpoints):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_checkpoint(folder, checkpoint)
        kept = load(folder)
        assert isinstance(kept, Checkpoint)
        resumed, _ = climb(RUINOUS, parent, kept)
        assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
        assert figures(resumed.record) == figures(whole.record)
        assert resumed.record.rungs == whole.record.rungs
        assert replace(resumed.record.ledger, worker_seconds=0) == replace(whole.record.ledger, worker_seconds=0)
        assert resumed.verdict == whole.verdict


def test_when_no_rung_holds_the_refusal_names_them_all(parent: Outcome) -> None:
    ruinous = rungs_of(RUINOUS, SIZES, ladder=False)[0]
    twins = [replace(ruinous, name=name) for name in ("plan", "replay", "longer")]
    outcome, _ = climb(RUINOUS, parent, rungs=twins)
    assert not outcome.verdict.promoted
    assert "3 plans were tried: plan " in outcome.verdict.reason and ", longer " in outcome.verdict.reason
    assert [rung.name for rung in outcome.record.rungs] == ["plan", "replay", "longer"]


def test_without_the_ladder_a_refusal_is_the_end(parent: Outcome) -> None:
    outcome, watcher = climb(RUINOUS, parent, rungs=rungs_of(RUINOUS, SIZES, ladder=False))
    assert not outcome.verdict.promoted and not watcher.rungs
    assert "plans were tried" not in outcome.verdict.reason


def test_a_fitted_plan_goes_on_after_a_kill_as_it_was_fitted(parent: Outcome, tmp_path: Path) -> None:
    plan = FITTING.model_copy(update={"batch_size": 16})

    def fitted(start: Checkpoint | None = None) -> tuple[Outcome, Watcher, list[Look | None]]:
        watcher, looks = Watcher(), []

        def make(plan: Plan, may_give_up: bool) -> Update:
            learner = make_learner(TASK, DATA, plan, num_classes=10, seed=5, parent=parent.tensors)
            return Update(plan, learner, DATA, seed=5, has_parent=True, observer=watcher)

        def rungs(look: Look | None) -> list[Rung]:
            looks.append(look)
            return rungs_of(plan, SIZES.seen(look), ladder=False)

        ladder = Ladder(rungs, make, watcher)
        if start is not None:
            ladder.resume(start)
        return ladder.run(), watcher, looks

    whole, watcher, _ = fitted()
    look = whole.record.look
    assert look is not None and look.error == pytest.approx(1.0 - (whole.record.parent_val_accuracy or 0.0))
    # The parent errs enough for all to be replayed: nothing but the look says so.
    assert whole.record.rungs[0].changes.get("replay.share", 1.0) == 1.0
    assert [event.name for event in watcher.rungs] == ["plan"]
    resumed, again, looks = fitted(watcher.checkpoints[1])
    assert looks[-1] == look and not again.rungs
    assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
    assert resumed.record.rungs == whole.record.rungs and figures(resumed.record) == figures(whole.record)


def test_a_checkpoint_of_another_ladder_is_refused(parent: Outcome) -> None:
    _, watcher = climb(RUINOUS, parent)
    with pytest.raises(TrainingError, match="other rungs"):
        climb(RUINOUS, parent, watcher.checkpoints[-1], rungs=rungs_of(RUINOUS, SIZES, ladder=False))


# -- which rungs there are, and which comes next ------------------------------------------------------------------


def test_rungs_get_safer_and_say_what_they_change() -> None:
    by_loss = RUINOUS.model_copy(update={"replay": ReplaySettings(share=0.2, hard=1.0)})
    assert [rung.name for rung in rungs_of(by_loss, SIZES, ladder=True)] == ["plan", "uniform", "replay", "longer"]
    plan, replay, longer = rungs_of(RUINOUS, SIZES, ladder=True)
    assert plan.changes == {}
    assert replay.changes == {
        "replay.share": 1.0, "arrival.hard": 0.0, "shrink": 1.0, "distillation.weight": 0.5,
        "distillation.replay_only": True,
    }  # fmt: skip
    assert longer.changes == replay.changes | {"epochs": 4}


def test_new_classes_are_not_taught_by_a_parent_that_does_not_know_them() -> None:
    plan, longer = rungs_of(RUINOUS, Sizes(600, 300, known_classes=8, new_classes=2), ladder=True)
    assert (plan.name, longer.name) == ("plan", "longer")
    assert longer.plan.distillation.weight == 0.0 and longer.plan.epochs == 4 and longer.plan.replay.share == 1.0


def test_without_earlier_examples_the_parent_speaks_of_the_arrival() -> None:
    rungs = rungs_of(RUINOUS, Sizes(0, 300, known_classes=10), ladder=True)
    assert [rung.plan.distillation.replay_only for rung in rungs] == [False, False, False]
    assert rungs[1].plan.distillation.weight == 0.5


def test_a_rung_that_would_repeat_an_earlier_one_is_left_out() -> None:
    safe = rungs_of(RUINOUS, SIZES, ladder=True)[1].plan
    assert [rung.name for rung in rungs_of(safe, SIZES, ladder=True)] == ["plan", "longer"]


def tried(name: str, decided_by: str = "validation") -> RungRecord:
    return RungRecord(name=name, changes={}, reason="rejected", decided_by=decided_by)


def test_more_replay_is_passed_over_where_new_classes_were_not_learnt() -> None:
    rungs = rungs_of(RUINOUS, SIZES, ladder=True)
    assert next_rung(rungs, []) == 0
    assert next_rung(rungs, [tried("plan")]) == 1
    assert next_rung(rungs, [tried("plan", "new class 7")]) == 2
    assert next_rung(rungs, [tried("plan", "new class 7"), tried("longer", "new class 7")]) is None
    assert next_rung(rungs, [tried("plan"), tried("replay"), tried("longer")]) is None


def test_a_choice_by_loss_is_passed_over_where_much_was_not_learnt() -> None:
    by_loss = rungs_of(RUINOUS.model_copy(update={"replay": ReplaySettings(share=0.2)}), SIZES, ladder=True)
    assert first_rung(by_loss, 0.001) == 0 and first_rung(by_loss, 0.05) == 1
    assert first_rung(rungs_of(RUINOUS, SIZES, ladder=True), 0.05) == 0


def test_wrong_labels_make_the_ladder_begin_higher(parent: Outcome) -> None:
    # The parent has not learnt its data by heart: it gets more than two per cent of them wrong.
    by_loss = RUINOUS.model_copy(update={"replay": ReplaySettings(share=0.2), "shrink": 1.0})
    outcome, watcher = climb(by_loss, parent)
    first, second = outcome.record.rungs[:2]
    assert first.name == "plan" and first.val_accuracy is None and first.examples == 0.0
    assert first.reason.startswith("not tried: the parent gets ")
    assert second.name == "uniform" and watcher.rungs[0].because == first.reason
    # The look at the parent's errors is charged.
    assert second.examples > run(rungs_of(by_loss, SIZES, ladder=True)[1].plan, parent).record.ledger.examples


@pytest.mark.parametrize(
    ("accuracies", "given_up"),
    [
        ([0.2, 0.2, 0.2], False),  # Not half of the epochs yet.
        ([0.5, 0.4, 0.3, 0.3, 0.3], True),
        ([0.1, 0.2, 0.3, 0.4, 0.5], False),  # It rises fast enough.
        ([0.88, 0.87, 0.86, 0.85, 0.85], False),  # A cycle gains most at its end.
        ([0.3] * 8, False),  # The last epoch is over: the gate judges.
    ],
)
def test_a_rung_is_given_up_only_where_much_is_lost_for_good(accuracies: list[float], given_up: bool) -> None:
    assert falls_away(accuracies, 8, 0.9, 0.1) is given_up


def test_a_rung_that_falls_away_ends_before_its_plan(parent: Outcome) -> None:
    plan = RUINOUS.model_copy(update={"epochs": 12})
    outcome, _ = climb(plan, parent)
    first = outcome.record.rungs[0]
    assert "given up after epoch 6 of 12" in first.reason
    last = climb(plan, parent, rungs=rungs_of(plan, SIZES, ladder=False))[0]
    assert first.examples < last.record.ledger.examples


# -- how a plan suits itself to an arrival ------------------------------------------------------------------------

FITTING = Plan.model_validate(
    {
        "phases": [{"kind": "grow-new", "epochs": 0}, {"kind": "prune-permanent", "gradual": True}],
        "epochs": 5,
        "batch_size": 128,
        "lr": 0.2,
        "replay": {"share": 1.0, "hard": 0.0},
        "fit": {"replay_ratio": 1.0, "least_replay": 0.5, "min_steps": 100, "min_batch": 32, "most_epochs": 4.0},
    }
)


def test_half_new_leaves_a_plan_as_it_is_but_for_replay() -> None:
    fitted = FITTING.fitted(Sizes(10_000, 10_000))
    assert differences(FITTING, fitted) == {} and fitted.replay.share == 1.0
    assert fitted.fit is None and fitted.fitted(Sizes(10, 10)) == fitted


def test_steps_are_as_large_as_what_there_is_to_learn() -> None:
    assert FITTING.fitted(Sizes(30_000, 10_000)).lr == pytest.approx(0.1)
    assert FITTING.fitted(Sizes(90_000, 10_000)).lr == pytest.approx(0.04)
    assert FITTING.fitted(Sizes(10**7, 10_000)).lr == pytest.approx(0.02)
    assert FITTING.fitted(Sizes(10**7, 10_000, error=0.05)).lr == pytest.approx(0.05)
    for sizes in (Sizes(30_000, 10_000, 8, 2), Sizes(30_000, 10_000, surprising=True), Sizes(9, 1, error=0.5)):
        assert FITTING.fitted(sizes).lr == 0.2 * (FITTING.fitted(sizes).batch_size / 128) ** 0.5
    own = FITTING.model_copy(update={"phases": (FITTING.phases[1].model_copy(update={"lr": 1.0, "epochs": 3}),)})
    phase = own.fitted(Sizes(30_000, 10_000, surprising=True)).phases[0]
    assert (phase.lr, phase.epochs) == (1.0, 6)
    assert own.fitted(Sizes(30_000, 10_000)).phases[0].lr == 0.5


def test_a_parent_that_errs_a_lot_gets_all_of_its_data_again() -> None:
    shares = [FITTING.fitted(Sizes(90_000, 10_000, error=error)).replay.share for error in (0.0, 0.15, 0.4)]
    assert shares == pytest.approx([0.5, 0.75, 1.0])


def test_new_classes_and_surprises_get_more_epochs() -> None:
    assert FITTING.fitted(Sizes(30_000, 10_000, surprising=True)).epochs == 9
    assert FITTING.fitted(Sizes(30_000, 10_000, 8, 2)).epochs == 9
    assert FITTING.fitted(Sizes(30_000, 10_000)).epochs == 5


def test_new_classes_get_as_much_replay_as_balances_them() -> None:
    fitted = FITTING.fitted(Sizes(40_000, 8_000, known_classes=8, new_classes=2))
    assert fitted.replay.share == 0.8  # 4,000 rows a class, old or new.


def test_a_small_arrival_gets_smaller_batches_then_more_replay_then_more_epochs() -> None:
    few = FITTING.model_copy(update={"fit": FITTING.fit.model_copy(update={"least_replay": 0.0, "full_share": 0.01})})
    smaller = few.fitted(Sizes(10_000, 600))
    assert (smaller.batch_size, smaller.epochs) == (32, 5)
    assert smaller.lr == pytest.approx(0.2 * 0.5)
    more = few.fitted(Sizes(10_000, 64))
    assert more.batch_size == 32 and more.replay.share == pytest.approx((100 * 32 / 5 - 64) / 10_000)
    longer = few.fitted(Sizes(64, 64))
    assert longer.replay.share == 1.0 and longer.epochs == 20
    assert few.fitted(Sizes(0, 64)).replay.share == 1.0


def test_an_upper_bound_of_replay_is_kept() -> None:
    bounded = FITTING.model_copy(update={"replay": ReplaySettings(share=0.01, hard=0.0)})
    assert bounded.fitted(Sizes(10_000, 64)).replay.share == pytest.approx(0.01)


def test_an_arrival_surprises_where_the_parent_is_wrong_far_more_often() -> None:
    assert surprises(0.50, 100, 0.97, 400)
    assert not surprises(0.96, 100, 0.97, 400)  # Chance explains it.
    assert not surprises(0.960, 10**6, 0.975, 10**6)  # Sure, but little.
    assert not surprises(0.0, 0, 0.97, 400) and not surprises(0.5, 10, 0.0, 0)
    assert not surprises(1.0, 100, 0.5, 100)


def test_a_plan_without_fit_is_never_changed() -> None:
    assert ALL_KINDS.fitted(Sizes(1, 1)) is ALL_KINDS
    assert FitSettings().replay_ratio == 1.0


def test_an_arrival_without_validation_rows_surprises_nobody(parent: Outcome) -> None:
    held_out = {"val": DATA.held_out["val"]}
    # Half of the rows are turned upside down: the parent is wrong there.
    turned = held_out["val"].inputs.clone()
    turned[18:] = 255 - turned[18:]
    groups = {"val": {"week1": slice(0, 18), "week2": slice(18, 37)}}
    val = Examples(turned, held_out["val"].targets)
    data = ResidentData(DATA.train, DATA.old_rows, {"val": val}, groups)  # type: ignore[arg-type]
    found = []
    for arrival in (["week2"], ["week3"], (), ["week1", "week2"]):
        learner = make_learner(TASK, data, FITTING, num_classes=10, seed=5, parent=parent.tensors)
        found.append(Update(FITTING, learner, data, seed=5, has_parent=True, arrivals=arrival).look())
    (surprise, words), (silent, nothing), (last, _), (both, _) = found
    assert not both.surprising, "of several new ones, none is an earlier one"
    assert surprise.surprising and words.startswith("the arrival surprises the parent") and last == surprise
    assert not silent.surprising and nothing == "" and silent.error == surprise.error


# -- choosing by loss where labels are wrong ----------------------------------------------------------------------


def test_the_highest_losses_are_left_out_before_the_hardest_are_taken() -> None:
    ids = np.arange(100)
    losses = np.linspace(0.0, 9.9, 100, dtype=np.float32)
    settings = SelectionSettings(share=0.1, hard=1.0, leave_out=0.05)
    chosen = choose_examples(settings, ids, np.random.default_rng(0), lambda wanted: losses[wanted])
    assert chosen.tolist() == list(range(85, 95))
    auto = settings.model_copy(update={"leave_out": "auto"})
    measured = choose_examples(auto, ids, np.random.default_rng(0), lambda wanted: losses[wanted], lambda: 0.2)
    assert measured.tolist() == list(range(70, 80))
    # Never so many that fewer than those wanted are left.
    most = settings.model_copy(update={"leave_out": 1.0})
    least = choose_examples(most, ids, np.random.default_rng(0), lambda wanted: losses[wanted])
    assert least.tolist() == list(range(10))


def test_what_was_not_learnt_is_measured_on_what_was_trained_on(parent: Outcome) -> None:
    learner = make_learner(TASK, DATA, ALL_KINDS, num_classes=10, seed=5, parent=parent.tensors)
    choice = ExampleChoice(ALL_KINDS, learner, DATA, 5)
    found = choice.unlearnt()
    losses = learner.losses(np.arange(DATA.old_rows))
    assert found == pytest.approx(float((losses > np.log(2.0)).mean()))
    spent = learner.ledger.examples
    assert choice.unlearnt() == found and learner.ledger.examples == spent


def test_a_first_version_gets_enough_steps_however_few_its_rows_are() -> None:
    plan = named_plan("default", "synthesis")
    few, some, many = (plan.fitted(Sizes(0, rows)) for rows in (300, 3_000, 60_000))
    for fitted, rows in ((few, 300), (some, 3_000)):
        steps = fitted.epochs * (rows // fitted.batch_size)
        assert 360 <= steps <= 800  # Batches are halved until there are enough.
    assert few.batch_size == 16 and some.epochs == plan.epochs and some.batch_size < plan.batch_size
    # The growth that comes before stays an epoch of its own, and a large arrival is trained on as the plan says.
    assert (many.epochs, many.batch_size, many.lr) == (plan.epochs, plan.batch_size, plan.lr)
    assert plan.fitted(Sizes(0, 10)).epochs == 10 * plan.epochs
