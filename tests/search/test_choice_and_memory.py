"""Spaces, points and the choice among trials, without Ray."""

import pytest
from pydantic import ValidationError

from raygp.errors import InputError
from raygp.search.choice import TrialResult, best_trial, pareto_front, score
from raygp.search.cost import cost_limit, expected_cost
from raygp.search.memory import experience, first_points, kept_points
from raygp.search.settings import SweepSettings
from raygp.search.space import Draw, default_space, own_point, plan_of, space_of
from raygp.update.plan import DistillationSettings, Plan
from raygp.update.plans import named_plan

PLAN = named_plan("default", "update", "lenet-300-100")


def settings(**changes: object) -> SweepSettings:
    return SweepSettings.model_validate(changes)


def trial(name: str, accuracy: float, active: int, examples: float, state: str = "finished") -> TrialResult:
    return TrialResult(name, {"alpha": 0.1}, state, 8, accuracy, active, {"examples": examples})  # type: ignore[arg-type]


TRIALS = [
    trial("most accurate", 0.9850, 30_000, 100.0),
    trial("small", 0.9842, 20_000, 150.0),
    trial("small and cheap", 0.9841, 20_000, 90.0),
    trial("cheapest", 0.9845, 25_000, 50.0),
    trial("too bad", 0.9800, 1_000, 10.0),
    trial("stopped", 0.9990, 10, 1.0, "stopped"),
]


@pytest.mark.parametrize(
    ("objective", "winner"),
    [("connections", "small and cheap"), ("cost", "cheapest"), ("accuracy", "most accurate")],
)
def test_the_objective_decides_among_trials_of_equal_accuracy(objective: str, winner: str) -> None:
    best, why = best_trial(TRIALS, settings(objective=objective))
    assert best.name == winner
    assert "of 4 trials within 0.1 points of 98.50%" in why


def test_a_trial_beyond_tolerance_wins_alone() -> None:
    best, why = best_trial(TRIALS, settings(tolerance=0.0))
    assert (best.name, why) == ("most accurate", "most accurate, no other is within tolerance")


def test_without_a_finished_trial_there_is_nothing_to_choose() -> None:
    with pytest.raises(InputError, match="no trial of the sweep finished"):
        best_trial(TRIALS[-1:], settings())


def test_the_pareto_front_has_what_no_other_beats_in_everything() -> None:
    assert pareto_front(TRIALS) == {"most accurate", "small and cheap", "cheapest", "too bad", "small"}
    assert pareto_front([trial("a", 0.9, 10, 5.0), trial("b", 0.9, 10, 6.0)]) == {"a"}


def test_a_score_is_accuracy_less_what_connections_or_work_cost_in_units_of_the_tolerance() -> None:
    sparse, dense = plan_of(PLAN, {"density": PLAN.density / 2}), plan_of(PLAN, {"density": 2 * PLAN.density})

    def of(accuracy: float, plan: Plan, density: float | None = None, **changes: object) -> float:
        return score(accuracy, plan, PLAN, settings(tolerance=0.002, **changes), density)

    assert of(0.98, PLAN) == pytest.approx(0.978)
    assert of(0.98, sparse) == pytest.approx(0.979)
    assert of(0.98, dense) == pytest.approx(0.976)
    # A trial that has finished is judged by what it came to, not by what it aimed at.
    assert of(0.98, dense, density=PLAN.density / 2) == of(0.98, sparse)
    short = plan_of(PLAN, {"epochs": max(1, PLAN.epochs // 2)})
    work = short.most_epochs / PLAN.most_epochs
    assert of(0.98, short, objective="cost") == pytest.approx(0.98 - 0.002 * work)
    assert of(0.98, short, 0.9, objective="cost") == of(0.98, short, objective="cost")
    assert of(0.98, dense, objective="accuracy") == 0.98


def test_nothing_saved_makes_up_for_more_than_the_tolerance() -> None:
    empty = plan_of(PLAN, {"density": 1e-6})
    assert score(0.9799, empty, PLAN, settings(tolerance=0.001)) > score(0.98, PLAN, PLAN, settings(tolerance=0.001))
    assert score(0.9789, empty, PLAN, settings(tolerance=0.001)) < score(0.98, PLAN, PLAN, settings(tolerance=0.001))


def test_a_point_changes_the_fields_it_names() -> None:
    plan = plan_of(PLAN, {"alpha": 0.5, "arrival.share": 0.4, "phases.1.end": 0.6})
    assert (plan.alpha, plan.arrival.share, plan.phases[1].end) == (0.5, 0.4, 0.6)  # type: ignore[union-attr]
    assert plan_of(plan, own_point(PLAN, dict.fromkeys(("alpha", "arrival.share", "phases.1.end"), _ANY)) or {}) == PLAN


_ANY = Draw(uniform=(0.0, 1.0))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"alhpa": {"choice": [0.1]}}, "a plan has no setting 'alhpa'"),
        ({"phases.4.alpha": {"choice": [0.1]}}, r"a plan has no setting 'phases\.4\.alpha'"),
        ({"alpha": {"uniform": [0.0, 2.0]}}, "no plan has alpha=2: Input should be less than or equal to 1"),
        ({"epochs": {"grid_search": [1, 2, 3, 4, 5]}}, r"the grid has 5 points, more than sweep\.trials=4"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_anything_runs(space: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(PLAN, settings(space=space, trials=4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give one of choice, grid_search"),
        ({"choice": [1], "uniform": [0, 1]}, "give one of"),
        ({"choice": []}, "choice needs at least one value"),
        ({"uniform": [1.0]}, "uniform takes 2 numbers, not 1"),
        ({"uniform": [1.0, 0.5]}, "1.0 is not below 0.5"),
        ({"loguniform": [0.0, 0.5]}, "loguniform needs numbers above 0"),
    ],
)
def test_a_distribution_says_what_is_wrong_with_it(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Draw.model_validate(given)


@pytest.mark.parametrize("task", ["lenet-300-100", "lenet-5", "resnet18", "resnet18-small", "deepspeech2-small"])
def test_every_default_plan_lies_in_its_default_space(task: str) -> None:
    plan = named_plan("default", "update", task)
    space = space_of(plan, settings())
    assert own_point(plan, space) is not None
    assert set(space) >= {"alpha", "density"}


TOTAL = 1000
"""Connections of the model that past trials are of."""


def past_trial(
    name: str, alpha: float, accuracy: float, active: int = 100, state: str = "finished"
) -> dict[str, object]:
    active_connections = active if state == "finished" else None
    point = {"alpha": alpha}
    return {
        "name": name, "point": point, "val_accuracy": accuracy, "active_connections": active_connections,
        "state": state,
    }  # fmt: skip


ALPHAS = {"alpha": Draw(uniform=(0.0, 0.5))}


def test_what_did_best_in_earlier_sweeps_is_tried_after_the_plans_own_point() -> None:
    # Within a sweep as accurate and sparse as possible, between sweeps as seen from their winners.
    new = {
        "winner": "a",
        "trials": [past_trial("a", 0.2, 0.97), past_trial("b", 0.4, 0.96), past_trial("c", 0.9, 0.99)],
    }
    old = {"winner": "a", "trials": [past_trial("a", 0.1, 0.90, 50), past_trial("b", 0.2, 0.80)]}
    own = {"alpha": PLAN.alpha}
    points = first_points(PLAN, ALPHAS, [new, old], TOTAL, settings(trials=9))
    assert points == [own, {"alpha": 0.1}, {"alpha": 0.2}]
    assert first_points(PLAN, ALPHAS, [new, old], TOTAL, settings(trials=2)) == points[:2]
    assert first_points(PLAN, ALPHAS, [new, old], TOTAL, settings(warm_start=False)) == [own]
    assert kept_points(PLAN, ALPHAS, points) == points[:2] and kept_points(PLAN, ALPHAS, [own]) == [own]
    elsewhere = {"alpha": Draw(uniform=(0.0, 0.2))}
    assert kept_points(PLAN, elsewhere, points[1:]) == points[1:2]


def test_trials_of_earlier_sweeps_are_as_far_from_the_parent_as_they_were_from_their_winner() -> None:
    old = {"winner": "a", "trials": [past_trial("a", 0.1, 0.90), past_trial("b", 0.2, 0.85), past_trial("c", 0.9, 0.9)]}
    new = {
        "winner": "a",
        "trials": [
            past_trial("a", 0.3, 0.97), past_trial("b", 0.4, 0.98, 200), past_trial("c", 0.2, 0.5, state="failed"),
            past_trial("d", 0.2, 0.96, state="stopped"),
        ],
    }  # fmt: skip
    known = experience(PLAN, ALPHAS, [new, old], 0.96, TOTAL, settings(objective="accuracy"))
    assert [point["alpha"] for point, _ in known] == [0.3, 0.4, 0.1, 0.2]
    assert [value for _, value in known] == pytest.approx([0.96, 0.97, 0.96, 0.91])
    by_connections = {
        point["alpha"]: value for point, value in experience(PLAN, ALPHAS, [new], 0.96, TOTAL, settings())
    }
    assert by_connections == {
        0.3: score(0.96, PLAN, PLAN, settings(), 0.1), 0.4: pytest.approx(score(0.97, PLAN, PLAN, settings(), 0.2))
    }  # fmt: skip
    assert experience(PLAN, ALPHAS, [new], 0.96, TOTAL, settings(warm_start=False)) == []


def test_the_expected_cost_is_what_the_ledger_counts() -> None:
    plan = Plan.model_validate(PLAN.model_dump() | {"epochs": 2, "replay": {"share": 0.5}, "arrival": {"share": 1.0}})
    cost = expected_cost(plan, settings(trials=4, scheduler="none"), old_rows=3000, new_rows=1000)
    assert cost.shared == pytest.approx(3000 / 3 + 512)
    assert cost.trial == pytest.approx(2 * (1500 + 1000))
    assert cost.high == cost.low == pytest.approx(cost.shared + 4 * cost.trial)
    taught = plan.model_copy(update={"distillation": DistillationSettings(weight=0.5)})
    assert expected_cost(taught, settings(trials=4), 3000, 1000).trial == pytest.approx(cost.trial * 4 / 3)
    faded = plan.model_copy(update={"distillation": DistillationSettings(weight=0.5, fades_at=0.25)})
    assert expected_cost(faded, settings(trials=4), 3000, 1000).trial == pytest.approx(cost.trial)
    early = expected_cost(plan, settings(trials=4, grace=0.25, reduction=2.0), old_rows=3000, new_rows=1000)
    # The plan itself to its end; of the others, all a quarter of the way, half to the middle, a quarter to the end.
    assert early.low == pytest.approx(cost.shared + cost.trial + 3 * cost.trial * (0.25 + 0.125 + 0.125))
    assert early.high == cost.high
    all_kept = expected_cost(plan, settings(trials=4, grace=0.25, reduction=2.0), 3000, 1000, kept=9)
    assert all_kept.low == pytest.approx(cost.high)


def test_a_cost_limit_is_in_examples_or_in_plain_updates() -> None:
    assert cost_limit(settings(), 1000.0) is None
    assert cost_limit(settings(max_cost=300), 1000.0) == cost_limit(settings(max_cost="300"), 1000.0) == 300.0
    assert cost_limit(settings(max_cost="4.5x"), 1000.0) == 4500.0
    for wrong in ("x", "-1x", "infx", "nan", "many", 0, -3):
        with pytest.raises(ValidationError, match="a number of examples or, as in 5x, of plain updates"):
            settings(max_cost=wrong)


def test_the_default_space_changes_what_a_small_or_shifted_arrival_needs() -> None:
    assert set(default_space(PLAN)) == {"alpha", "density", "epochs"}
    # A plan that trains on a part of the arrival may train on more or less of it.
    space = default_space(named_plan("hardest", "update", "lenet-300-100"))
    assert set(space) == {"alpha", "density", "epochs", "arrival.share"}
    assert all(draw.admits(value) for draw in space.values() for value in draw.extremes)
