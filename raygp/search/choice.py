"""What became of the trials of a sweep, how they are compared, and which of them wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from raygp.errors import InputError
from raygp.record import called
from raygp.search.settings import SweepSettings
from raygp.search.space import Point
from raygp.update.plan import Plan


@dataclass(frozen=True)
class TrialResult:
    """What became of one point."""

    name: str
    point: Point
    state: Literal["finished", "stopped", "failed"]
    """stopped: by the scheduler for being behind, by a budget, or by the user."""
    epochs: int
    val_accuracy: float
    """At the last epoch."""
    active_connections: int | None
    """None if it did not finish."""
    ledger: dict[str, float]
    """What this trial spent; shared work is not in it."""
    error: str = ""
    """Why it failed."""

    @property
    def examples(self) -> float:
        """Its cost."""
        return self.ledger.get("examples", 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the version's card."""
        return asdict(self) | {"ledger": {key: float(value) for key, value in self.ledger.items()}}


def score(
    val_accuracy: float, plan: Plan, around: Plan, settings: SweepSettings, density: float | None = None
) -> float:
    """What the scheduler compares running trials by, and what a searcher learns: higher is better.

    It is the validation accuracy less ``tolerance`` times a price. The price of the plan that the sweep lies around is
    1. For objective connections it grows with the density, for cost with the number of examples that the epochs go
    over. So whatever is saved makes up for ``tolerance`` of accuracy at most, as it does for :func:`best_trial`.

    Args:
        val_accuracy: of the trial, 0 to 1.
        plan: of the trial.
        around: the plan that the sweep lies around.
        settings: of the sweep.
        density: of the trial's model at its end. None: it has not finished, and the plan's final density stands for it.
    """
    if settings.objective == "accuracy":
        return val_accuracy
    if settings.objective == "connections":
        price = (plan.density if density is None else density) / around.density
    else:
        price = _work(plan) / max(_work(around), 1e-9)
    return val_accuracy - settings.tolerance * price


def _work(plan: Plan) -> float:
    """Examples that a plan's epochs go over, where old and new data count as equally many."""
    return plan.most_epochs * (plan.arrival.share + plan.replay.share)


def best_trial(results: Sequence[TrialResult], settings: SweepSettings, metric: str = "") -> tuple[TrialResult, str]:
    """The winner among finished trials, and why it won.

    Args:
        results: of the trials.
        settings: of the sweep.
        metric: what accuracies are called where they are no shares of right answers; else empty.

    Raises:
        InputError: none finished.
    """
    finished = [result for result in results if result.state == "finished"]
    if not finished:
        raise InputError("no trial of the sweep finished: nothing to choose from")
    top = max(result.val_accuracy for result in finished)
    close = [result for result in finished if result.val_accuracy >= top - settings.tolerance - 1e-12]
    keys: dict[str, Callable[[TrialResult], tuple[float, ...]]] = {
        "connections": lambda r: (r.active_connections or 0, r.examples, -r.val_accuracy),
        "accuracy": lambda r: (-r.val_accuracy, r.active_connections or 0, r.examples),
        "cost": lambda r: (r.examples, r.active_connections or 0, -r.val_accuracy),
    }
    winner = min(close, key=keys[settings.objective])
    if len(close) == 1:
        return winner, "most accurate, no other is within tolerance"
    what = {"connections": "fewest connections", "cost": "least cost", "accuracy": "most accurate"}[settings.objective]
    within = f"{settings.tolerance:g}" if metric else f"{100 * settings.tolerance:g} points"
    return winner, f"{what} of {len(close)} trials within {within} of {called(top, metric)}"


def read_trial(point: Point, metrics: Mapping[str, Any] | None, error: str = "") -> TrialResult | None:
    """The result of a trial, from what it reported last; None if it never reported.

    Args:
        point: of the trial.
        metrics: ``trial_id``, ``val_accuracy`` (0 to 1), ``epochs``, ``ledger``; ``finished``, true once the gate has
            judged, and ``active_connections`` then; ``failed``, a message, if raygp gave the trial up.
        error: why the trial ended, if it ended with an exception.
    """
    if not metrics or "val_accuracy" not in metrics:
        return None
    finished = bool(metrics.get("finished"))
    failed = bool(error) or "failed" in metrics
    return TrialResult(
        name=metrics["trial_id"],
        point=dict(point),
        state="finished" if finished else "failed" if failed else "stopped",
        epochs=int(metrics.get("epochs", 0)),
        val_accuracy=float(metrics["val_accuracy"]),
        active_connections=int(metrics["active_connections"]) if finished else None,
        ledger=dict(metrics.get("ledger", {})),
        error=str(metrics.get("failed") or error),
    )


def pareto_front(results: Sequence[TrialResult]) -> set[str]:
    """Names of the finished trials that no other beats in accuracy, connections and cost at once."""
    finished = [result for result in results if result.state == "finished"]

    def values(r: TrialResult) -> tuple[float, float, float]:
        return (-r.val_accuracy, r.active_connections or 0, r.examples)

    def beaten(r: TrialResult) -> bool:
        return any(
            values(o) != values(r) and all(a <= b for a, b in zip(values(o), values(r), strict=True)) for o in finished
        )

    return {result.name for result in finished if not beaten(result)}
