"""What watches a sweep while Ray Tune runs it: a line for each trial that ends, the budgets, what stopped trials held.

Tune stores its callbacks with the sweep, so they keep nothing; what they need is :func:`watch`, one a process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import tune
from ray._raylet import PlacementGroupID
from ray.util.placement_group import PlacementGroup, remove_placement_group

from raygp.update.sweep import describe

_MESSAGE_LENGTH = 160
"""Of a failed trial on the terminal; the card has all of it."""


@dataclass
class Watch:
    """What this process knows of the running sweep."""

    title: str = ""
    expected: int = 0
    """Trials there will be."""
    show: Callable[[str], None] = lambda line: None
    register: Any = None
    """Handle of the sweep's register (:mod:`raygp.cluster.sweep_run`)."""
    spent: dict[str, float] = field(default_factory=dict)
    """Examples by trial, and of shared work."""
    max_examples: float | None = None
    max_hours: float | None = None
    started: float = field(default_factory=time.monotonic)
    unfinished: bool = True
    budget_spent: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether Tune ended before all was done, for no reason of ours: it catches the first Ctrl-C."""
        return self.unfinished and not self.budget_spent

    @property
    def seconds(self) -> float:
        """Since the sweep began, or was gone on with."""
        return time.monotonic() - self.started

    def over_budget(self) -> str:
        """Which budget is spent; empty if none is."""
        if self.max_hours is not None and self.seconds >= 3600.0 * self.max_hours:
            return f"{self.max_hours:g} hours"
        if self.max_examples is not None and sum(self.spent.values()) >= self.max_examples:
            return f"{self.max_examples:,.0f} examples"
        return ""


_watch = Watch()


def begin_watch(watch: Watch) -> Watch:
    """From here on Tune's callbacks in this process tell ``watch``."""
    global _watch
    _watch = watch
    return watch


class Budget(tune.Stopper):
    """Stops everything when a budget is spent."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether this trial is to stop: never for itself."""
        _watch.spent[trial_id] = _spent(result)
        return False

    def stop_all(self) -> bool:
        """Whether all are."""
        budget = _watch.over_budget()
        if budget and not _watch.budget_spent:
            _watch.budget_spent = True
            _watch.show(f"{_watch.title}: the sweep's budget of {budget} is spent")
        return _watch.budget_spent


class Lines(tune.Callback):
    """A line for each trial that ends, or is begun again."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune."""
        result = trial.last_result or {}
        if "failed" in result:
            state = f"failed: {result['failed'][:_MESSAGE_LENGTH]}"
        elif result.get("finished"):
            active = f"{result['active_connections']:,} connections"
            state = f"validation {result['val_accuracy']:.2%}, {active}, {_spent(result):,.0f} examples"
        else:
            state = f"stopped after {result.get('epochs', 0)} epochs at {result.get('val_accuracy', 0.0):.2%}"
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(_watch.register.stop.remote(trial.trial_id))
                _free(trial)
        self._line(trials, trial, state)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when a trial was lost and is tried again."""
        _free(trial)
        _watch.show(f"{_watch.title}  {describe(trial.config)}: lost, tried again from its last checkpoint")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when no retry is left."""
        _free(trial)
        self._line(trials, trial, "failed")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune."""
        _watch.unfinished = len(trials) < _watch.expected or not all(trial.is_finished() for trial in trials)
        for trial in trials:  # Those that ended before a sweep was gone on with report no more.
            _watch.spent.setdefault(trial.trial_id, _spent(trial.last_result or {}))

    def _line(self, trials: list[Any], trial: Any, state: str) -> None:
        ended = sum(other.is_finished() or other is trial for other in trials)
        _watch.show(f"{_watch.title}  trial {ended}/{_watch.expected}  {describe(trial.config)}: {state}")


def _free(trial: Any) -> None:
    """Take back the resources of a trial's run that has not ended by itself.

    Ray Train's own cleaner asks the state API, which needs a dashboard and does not know which of several clusters on a
    machine is meant: then it never does, and later trials wait for room that is not there.
    """
    with contextlib.suppress(ray.exceptions.RayError):
        for group in ray.get(_watch.register.held.remote(trial.trial_id)):
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(group)))


def _spent(result: Mapping[str, Any]) -> float:
    return float(result.get("ledger", {}).get("examples", 0.0))
