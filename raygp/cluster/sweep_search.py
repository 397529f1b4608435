"""What Ray Tune needs of our sweep settings: its distributions, and what stops trials early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

# Sweeps under way hold pickled instances of it under this name: raygp 0.1.0 had it here.
from raygp.cluster.searches.optuna import ExperiencedSearch as _ExperiencedSearch  # noqa: F401
from raygp.search.settings import SweepSettings
from raygp.search.space import Draw, Point

PERCENT_DONE = "percent_done"
"""Name of the metric that says how far a trial is, 0 to 100."""
_BEYOND_THE_END = 101
"""Above every value of :data:`PERCENT_DONE`: ASHA stops a trial that reaches its ``max_t``, even one that is done."""


def make_domains(space: Mapping[str, Draw]) -> dict[str, Any]:
    """The space as Tune's objects."""
    return {path: _domain(draw) for path, draw in space.items()}


def _domain(draw: Draw) -> Any:
    make = getattr(tune, draw.kind)
    return make(list(draw.arguments)) if draw.kind in ("choice", "grid_search") else make(*draw.arguments)


def make_scheduler(sweep: SweepSettings, kept: Sequence[Point]) -> ASHAScheduler | None:
    """What stops trials that are behind; None if nothing does.

    Args:
        sweep: says which.
        kept: points that run to their end whatever happens.
    """
    if sweep.scheduler == "none":
        return None
    return _Scheduler(
        time_attr=PERCENT_DONE,
        max_t=_BEYOND_THE_END,
        grace_period=100.0 * sweep.grace,
        reduction_factor=sweep.reduction,
        kept=kept,
    )


class _Scheduler(ASHAScheduler):
    """ASHA that lets some points run to their end. Sweeps under way hold pickled instances: its name and place stay."""

    def __init__(self, *, kept: Sequence[Point], **settings: Any) -> None:
        super().__init__(**settings)
        self._kept = kept

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Called by Tune."""
        action = super().on_trial_result(tune_controller, trial, result)
        return self.CONTINUE if trial.config in self._kept else action
