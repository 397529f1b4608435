"""What phases decide, without a model: learning rates, what follows a round, what they cost; phases of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from raygp.record import PhaseRecord
from raygp.update.phases import PHASES, Next, Phase, Running
from raygp.update.phases.grow_new import GrowNew
from raygp.update.phases.prune import Prune
from raygp.update.plan import Plan
from raygp.update.state import Cursor
from tests.update.test_resume import ALL_KINDS


@dataclass
class FakeUpdate:
    """What a phase sees of an update, made up; it notes what it is asked for."""

    plan: Plan
    val_accuracy: float = 0.9
    density: float = 0.1
    total_connections: int = 1000
    cursor: Cursor = field(default_factory=Cursor)
    phase_record: PhaseRecord = field(default_factory=lambda: PhaseRecord(kind="prune-recoverable"))
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def grow(self, alpha: float, eta: float, sample: Any) -> None:
        self.asked.append(("grow", alpha, eta, sample(100_000)))

    def prune(self, density: float) -> None:
        self.asked.append(("prune", pytest.approx(density)))

    def keep_snapshot(self) -> None:
        self.asked.append(("keep",))

    def restore_snapshot(self) -> None:
        self.asked.append(("restore",))

    def drop_snapshot(self) -> None:
        self.asked.append(("drop",))


def prune(**settings: Any) -> Prune:
    phase = PHASES.get(settings["kind"]).model_validate(settings)
    assert isinstance(phase, Prune)
    return phase


def leave(phase: Prune, rounds: int, beta: float, accuracy: float, reference: float, at_goal: bool) -> Any:
    """What the phase does after a round: (restored, pruning ratio, what follows, why)."""
    update = FakeUpdate(Plan(phases=(phase,), tolerance=0.01, density=0.05), accuracy)
    update.density = 0.05 if at_goal else 0.2
    update.cursor = Cursor(round=rounds, beta=beta, reference=reference, pruned_in_round=10)
    update.phase_record = PhaseRecord(kind=phase.kind, pruned=30)
    follows = phase.leave(update)
    restored = ("restore",) in update.asked
    assert update.phase_record.restored == (10 if restored else 0)
    assert update.phase_record.pruned == (20 if restored else 30)
    return restored, update.cursor.beta, follows, update.phase_record.stopped


@pytest.mark.parametrize(
    ("kind", "rounds", "accuracy", "at_goal", "restore", "beta", "follows"),
    [
        ("prune-recoverable", 1, 0.90, True, False, 0.4, Next.PHASE),
        ("prune-recoverable", 1, 0.90, False, False, 0.4, Next.ROUND),
        ("prune-recoverable", 3, 0.90, False, False, 0.4, Next.PHASE),
        ("prune-recoverable", 1, 0.80, True, True, 0.2, Next.ROUND),
        ("prune-recoverable", 3, 0.80, False, True, 0.2, Next.PHASE),
        ("prune-permanent", 1, 0.80, False, False, 0.4, Next.PHASE),
        ("prune-permanent", 1, 0.90, False, False, 0.4, Next.ROUND),
    ],
)
def test_what_follows_a_round(
    kind: str, rounds: int, accuracy: float, at_goal: bool, restore: bool, beta: float, follows: Next
) -> None:
    phase = prune(kind=kind, rounds=3, beta=0.4, beta_floor=0.15)
    found = leave(phase, rounds, 0.4, accuracy, 0.905, at_goal)
    assert found[:3] == (restore, beta, follows)


def test_recoverable_pruning_gives_up_at_the_floor_of_its_ratio() -> None:
    phase = prune(kind="prune-recoverable", rounds=9, beta_floor=0.15)
    restored, _, follows, why = leave(phase, 1, 0.2, 0.1, 0.9, False)
    assert restored and follows is Next.PHASE and why == "restored, pruning ratio at its floor"


@pytest.mark.parametrize(
    ("phase", "rounds", "accuracy", "why"),
    [
        ({"kind": "prune-recoverable", "rounds": 1}, 1, 0.1, "restored, no rounds left"),
        ({"kind": "prune-recoverable", "rounds": 1}, 1, 0.9, "no rounds left"),
        ({"kind": "prune-permanent", "rounds": 5}, 1, 0.1, "accuracy floor not held"),
    ],
)
def test_a_phase_says_why_it_ended_before_its_density(
    phase: dict[str, Any], rounds: int, accuracy: float, why: str
) -> None:
    assert leave(prune(**phase), rounds, 0.4, accuracy, 0.9, False)[3] == why


def test_a_round_cuts_a_part_of_what_is_active_and_never_below_the_goal() -> None:
    phase = prune(kind="prune-recoverable", beta=0.5, density=0.15)
    for density, expected in ((0.8, 0.4), (0.2, 0.15)):
        update = FakeUpdate(Plan(phases=(phase,)), density=density)
        phase.enter(update)
        assert update.asked == [("keep",), ("prune", expected)]


def test_gradual_pruning_cuts_between_steps_as_they_come_due() -> None:
    phase = prune(kind="prune-permanent", gradual=True, start=0.0, end=0.5, removals=2)
    update = FakeUpdate(Plan(phases=(phase,), density=0.1))
    update.cursor.start_density = 0.9
    phase.enter(update)
    for done in (0.0, 0.2, 0.25, 0.3, 0.49, 0.5, 0.9):
        phase.before_step(update, done)
    phase.after_epoch(update, 1.0)
    assert update.asked == [("prune", 0.1 + 0.8 * 0.5**3), ("prune", 0.1)]
    assert phase.leave(update) is Next.PHASE


def test_growth_passes_on_its_settings_or_the_plans() -> None:
    own, plans = GrowNew(alpha=0.2, eta=0.5, sample=0.1), GrowNew()
    update = FakeUpdate(Plan(phases=(own, plans), alpha=0.7, lr=0.5))
    own.enter(update)
    plans.enter(update)
    assert update.asked == [("grow", 0.2, 0.5, 10_000), ("grow", 0.7, 0.01, 2000)]


def test_learning_rates() -> None:
    cycle = GrowNew(warmup=0.2)
    constant = GrowNew(schedule="constant")
    rates = [cycle.learning_rate(1.0, done) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0.1, 0.55, 1.0, 0.5, 0.0])
    assert constant.learning_rate(1.0, 0.7) == 1.0


def test_what_phases_are_expected_to_cost() -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "grow-new", "epochs": 0}, {"kind": "grow-all", "epochs": 2},
                    {"kind": "prune-recoverable", "rounds": 4, "epochs": 1},
                    {"kind": "prune-permanent", "gradual": True}], "epochs": 3}
    )  # fmt: skip
    trained = [phase.trained_examples(plan, 1000, 5000) for phase in plan.phases]
    assert trained == [0, 10_000, 20_000, 15_000]
    assert [phase.scanned_examples(plan, 100_000, 50) for phase in plan.phases] == [2000, 50, 0, 0]
    assert plan.most_epochs == 0 + 2 + 4 + 3


def test_plans_are_read_back_as_they_were_written() -> None:
    assert Plan.model_validate(ALL_KINDS.model_dump(mode="json")) == ALL_KINDS
    assert Plan.model_validate_json(ALL_KINDS.model_dump_json()) == ALL_KINDS


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"kind": "grow-old"}, r"no phase is called 'grow-old' \(did you mean 'grow-"),
        ({"epochs": 1}, "a phase needs 'kind': one of grow-new, grow-all, prune-recoverable, prune-permanent"),
        ({"kind": "prune-recoverable", "gradual": True}, "gradual pruning is permanent"),
        ({"kind": "prune-permanent", "gradual": True, "start": 0.8}, "gradual pruning must start before it ends"),
        ({"kind": "grow-new", "alpha": 2}, "alpha: Input should be less than or equal to 1"),
    ],
)
def test_a_phase_that_cannot_be_is_explained(phase: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Plan.model_validate({"phases": [phase]})


class Rest(Phase):
    """Trains a little slower in every round."""

    kind: Literal["rest"] = "rest"
    naps: int = 2

    def leave(self, update: Running) -> Next:
        """Another round until all naps are over."""
        return Next.PHASE if update.cursor.round >= self.naps else Next.ROUND

    @property
    def most_rounds(self) -> int:
        """Its naps."""
        return self.naps


@pytest.fixture
def rest() -> Iterator[None]:
    PHASES.register("rest", Rest)
    yield
    PHASES.forget("rest")


@pytest.mark.usefixtures("rest")
def test_a_phase_of_ones_own_runs_like_the_others() -> None:
    from tests.update.test_resume import SYNTHESIS, run

    plan = Plan.model_validate({"phases": [{"kind": "rest", "naps": 3, "epochs": 1}], "batch_size": 16, "lr": 0.02})
    assert plan.most_epochs == 3 and plan.model_dump(mode="json")["phases"][0]["naps"] == 3
    parent, _ = run(SYNTHESIS, None)
    outcome, _ = run(plan, parent)
    (phase,) = outcome.record.phases
    assert (phase.kind, phase.epochs, [epoch.round for epoch in phase.history]) == ("rest", 3, [0, 1, 2])
