"""How Ray Tune draws and stops the trials of a sweep: its distributions, searchers and scheduler, from our settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from raygp.errors import InputError
from raygp.update.sweep import Distribution, Point, SweepSettings

SCORE, PERCENT_DONE = "score", "percent_done"
"""Names of the metrics that trials are compared by, and that say how far they are."""
_BEYOND_THE_END = 101


def make_domains(space: Mapping[str, Distribution]) -> dict[str, Any]:
    """The space as Tune's objects."""
    return {path: _domain(distribution) for path, distribution in space.items()}


def _domain(distribution: Distribution) -> Any:
    arguments = distribution.arguments
    make = getattr(tune, distribution.kind)
    return make(list(arguments)) if distribution.kind in ("choice", "grid_search") else make(*arguments)


def make_searcher(
    sweep: SweepSettings, points: Sequence[Point], known: Sequence[tuple[Point, float]], seed: int
) -> Any:
    """What draws points: Tune's random one, or Optuna's.

    Args:
        sweep: says which, and how many at a time.
        points: tried before any that is drawn.
        known: points with their scores that Optuna's learns from.
        seed: of the draws.

    Raises:
        InputError: package optuna is wanted and not there.
    """
    first = list(points)
    if sweep.search == "random":
        # TuneConfig.max_concurrent_trials does not reach a searcher that is given.
        return BasicVariantGenerator(points_to_evaluate=first, max_concurrent=sweep.concurrent, random_state=seed)
    try:
        search = _ExperiencedSearch(known, metric=SCORE, mode="max", points_to_evaluate=first, seed=seed)
    except (ImportError, AssertionError) as error:
        raise InputError("sweep.search=optuna needs package optuna: pip install 'raygp[optuna]'") from error
    # It would announce its studies on standard error.
    logging.getLogger("optuna").setLevel(logging.WARNING)
    return ConcurrencyLimiter(search, max_concurrent=sweep.concurrent)


class _ExperiencedSearch(OptunaSearch):
    """Optuna's search that is told of trials before its own."""

    def __init__(self, known: Sequence[tuple[Point, float]], **settings: Any) -> None:
        super().__init__(**settings)
        self._known = known

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Called by Tune, which knows the space."""
        found = super().set_search_properties(metric, mode, config, **spec)
        for point, value in self._known:
            self.add_evaluated_point(point, value)
        return bool(found)


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
    """ASHA that lets some points run to their end."""

    def __init__(self, *, kept: Sequence[Point], **settings: Any) -> None:
        super().__init__(**settings)
        self._kept = kept

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Called by Tune."""
        action = super().on_trial_result(tune_controller, trial, result)
        return self.CONTINUE if trial.config in self._kept else action
