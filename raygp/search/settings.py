"""The settings of a sweep: ``sweep.*`` on the command line."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from raygp.search.algorithms import SEARCHES
from raygp.search.space import Draw
from raygp.update.fields import Settings, Share


class SweepSettings(Settings):
    """How the plan of each arrival is searched for."""

    space: dict[str, Draw] = Field(default_factory=dict)
    """By dotted path of a plan's field. Empty: :func:`default_space` of the plan."""
    trials: Annotated[int, Field(ge=1, le=10_000)] = 8
    """How many points are tried. The plan's own point is the first, those that did best in earlier sweeps follow. With
    ``grid_search``: the grid's points, as often as they fit, and nothing else."""
    concurrent: Annotated[int, Field(ge=1)] = 2
    """Trials that run at the same time."""
    search: str = "random"
    """What draws the points: random, optuna, or what an installed package adds. optuna: its tree-structured Parzen
    estimator learns from the trials that are done, and from those of the line's earlier sweeps (needs package
    optuna)."""
    scheduler: Literal["asha", "none"] = "asha"
    """asha: stop trials early that are behind (asynchronous successive halving); none: run all to their end."""
    grace: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.125
    """asha: part of its epochs that every trial may run before it is compared with others as far on their way."""
    reduction: Annotated[float, Field(gt=1.0)] = 4.0
    """asha: one in so many goes on from each comparison, and the next is that much later."""
    objective: Literal["connections", "cost", "accuracy"] = "connections"
    """What decides between the trials whose validation accuracy is within ``tolerance`` of the best one's: connections:
    the fewest active connections, then the least cost; cost: the other way round; accuracy: the highest accuracy."""
    tolerance: Share = 0.001
    """Validation accuracies that differ by no more than this count as equal, as a fraction."""
    warm_start: bool = True
    """Try first what did best in the line's earlier sweeps, and let optuna learn from all their finished trials; false:
    begin as if there were none."""
    share_work: bool = True
    """Compute the parent's losses and the growth gradients once for all trials; false: each computes its own."""
    max_hours: Annotated[float, Field(gt=0.0)] | None = None
    """Stop after so many hours; the best trial that has finished wins. To bound money, divide what the sweep may cost
    by the cluster's price by the hour."""
    max_cost: float | str | None = None
    """Stop when shared work and all trials together have cost so many examples; 5x: five times what one update with the
    plan itself is expected to cost."""

    @field_validator("space", mode="after")
    @classmethod
    def _paths(cls, space: dict[str, Draw]) -> dict[str, Draw]:
        for path in space:
            if not all(path.split(".")):
                raise ValueError(f"'{path}' is no path of a setting")
        return space

    @field_validator("search", mode="after")
    @classmethod
    def _known_search(cls, search: str) -> str:
        if search not in SEARCHES:
            names = [f"'{name}'" for name in SEARCHES.names()]
            raise ValueError(f"input should be {', '.join(names[:-1])} or {names[-1]}")
        return search

    @field_validator("max_cost", mode="before")
    @classmethod
    def _examples_or_updates(cls, value: Any) -> Any:
        if value is None:
            return None
        try:
            number = float(str(value).removesuffix("x"))
        except ValueError:
            number = 0.0
        if not 0.0 < number < math.inf:
            raise ValueError("has to be a number of examples or, as in 5x, of plain updates")
        return value if isinstance(value, str) and value.endswith("x") else number
