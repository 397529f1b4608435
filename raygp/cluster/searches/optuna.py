"""Optuna's tree-structured Parzen estimator: learns from the trials that are done, and from those of earlier sweeps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

from raygp.errors import InputError
from raygp.search.algorithms import SCORE, SearchRequest
from raygp.search.space import Point


class Optuna:
    """See :class:`raygp.search.algorithms.SearchAlgorithm`."""

    learns = True

    def make(self, request: SearchRequest) -> Any:
        """The searcher.

        Raises:
            InputError: package optuna is not installed.
        """
        try:
            search = ExperiencedSearch(
                request.known, metric=SCORE, mode="max", points_to_evaluate=list(request.points), seed=request.seed
            )
        except (ImportError, AssertionError) as error:
            raise InputError("sweep.search=optuna needs package optuna: pip install 'raygp[optuna]'") from error
        # It would announce its studies on standard error.
        logging.getLogger("optuna").setLevel(logging.WARNING)
        return ConcurrencyLimiter(search, max_concurrent=request.concurrent)


class ExperiencedSearch(OptunaSearch):
    """Optuna's search that is told of earlier trials before its own begin."""

    def __init__(self, known: Sequence[tuple[Point, float]], **settings: Any) -> None:
        super().__init__(**settings)
        self._known = known

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Called by Tune once, with the space. Before that Optuna could not place the earlier trials in it."""
        found = super().set_search_properties(metric, mode, config, **spec)
        for point, value in self._known:
            self.add_evaluated_point(point, value)
        return bool(found)


OPTUNA = Optuna()
