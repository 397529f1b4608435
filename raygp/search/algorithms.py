"""The search algorithms: what draws the points that a sweep tries.

An algorithm is one file. raygp's own lie in ``raygp/cluster/searches/``, since they build searchers of Ray Tune. The
table here holds their addresses only, so that knowing their names costs no import of Ray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from raygp.registry import Registry

if TYPE_CHECKING:
    from raygp.search.space import Draw, Point

SCORE = "score"
"""The metric that a searcher maximises: trials report it (:func:`raygp.search.choice.score`)."""


@dataclass(frozen=True)
class SearchRequest:
    """What a searcher is made for."""

    space: Mapping[str, Draw]
    """By dotted path of a plan's field, what its value is drawn from."""
    points: Sequence[Point]
    """Points to try before any that are drawn."""
    known: Sequence[tuple[Point, float]]
    """Points of earlier sweeps with their scores."""
    concurrent: int
    """Trials that run at the same time."""
    seed: int
    """Of the draws, below 2**31."""


class SearchAlgorithm(Protocol):
    """An entry of :data:`SEARCHES`."""

    learns: bool
    """Whether it makes use of :attr:`SearchRequest.known`."""

    def make(self, request: SearchRequest) -> Any:
        """A ``ray.tune.search.Searcher`` or ``SearchAlgorithm`` that maximises :data:`SCORE`. It has to keep to
        ``request.concurrent`` by itself (``ray.tune.search.ConcurrencyLimiter``), as Tune's own limit does not reach
        a searcher that is given to it.

        Raises:
            InputError: a package that it needs is not installed; the message says how to install it.
        """
        ...


SEARCHES: Registry[SearchAlgorithm] = Registry(
    "search algorithm",
    "raygp.search_algorithms",
    {
        "random": "raygp.cluster.searches.random:RANDOM",
        "optuna": "raygp.cluster.searches.optuna:OPTUNA",
    },
)
"""By the name that ``sweep.search`` gives."""
