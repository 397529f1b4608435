"""How Ray Tune keeps :class:`raygp.search.watch.SweepWatch` up to date, and how what stopped trials held is freed.

Tune pickles its callbacks and stoppers into the folder of the sweep, and a later process that goes on with the sweep
gets them from there. So they can keep nothing of this process. What they need lies in a variable of this module
instead.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import tune
from ray.util.placement_group import remove_placement_group

from raygp.cluster.internals import placement_group_of
from raygp.search.watch import SweepWatch


@dataclass
class _Here:
    """The sweep that runs in this process."""

    watch: SweepWatch = field(default_factory=SweepWatch)
    register: Any = None
    """Handle of the sweep's register (:mod:`raygp.cluster.sweep_run`)."""


_here = _Here()


def begin_watch(watch: SweepWatch, register: Any) -> None:
    """From here on Tune's callbacks in this process keep ``watch`` up to date.

    Args:
        watch: of the sweep.
        register: handle of the sweep's register (:mod:`raygp.cluster.sweep_run`).
    """
    _here.watch, _here.register = watch, register


class Budget(tune.Stopper):
    """Stops all trials when a budget is spent. Its name and place have to stay, as those of :class:`Lines`."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Called by Tune after each report: whether this trial alone is to stop. Never; but its cost is noted."""
        _here.watch.charge(trial_id, result)
        return False

    def stop_all(self) -> bool:
        """Called by Tune: whether all trials are to stop."""
        return _here.watch.must_end()


class Lines(tune.Callback):
    """Tells of each trial that ends or is begun again, and frees what it held.

    Sweeps that are under way hold pickled instances of this class: its name and place have to stay.
    """

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when a trial ended by itself or was stopped."""
        if _here.watch.ended(trial.config, _ended(trials, trial), trial.last_result or {}):
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(_here.register.stop.remote(trial.trial_id))
                _free(trial)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when a trial was lost and is tried again."""
        _free(trial)
        _here.watch.lost(trial.config, sum(other.is_finished() for other in trials), trial.last_result or {})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when a trial was lost and no retry is left."""
        _free(trial)
        _here.watch.ended(trial.config, _ended(trials, trial), trial.last_result or {}, crashed=True)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune again and again, also after the last trial."""
        watch = _here.watch
        watch.unfinished = len(trials) < watch.trials or not all(trial.is_finished() for trial in trials)
        for trial in trials:
            # Trials that ended before the sweep was gone on with report no more, but have to be paid for.
            if trial.trial_id not in watch.spent:
                watch.charge(trial.trial_id, trial.last_result or {})


def _ended(trials: list[Any], trial: Any) -> int:
    """How many have ended; this one has, though Tune does not say so yet."""
    return sum(other.is_finished() or other is trial for other in trials)


def _free(trial: Any) -> None:
    """Take back the resources of a trial's run that has not ended by itself.

    Ray Train has a cleaner of its own for this. It asks Ray's state API, which needs a dashboard and does not know
    which cluster is meant if a machine has several. Where it gets no answer it frees nothing, and later trials wait
    for ever.
    """
    with contextlib.suppress(ray.exceptions.RayError):
        for group in ray.get(_here.register.held.remote(trial.trial_id)):
            remove_placement_group(placement_group_of(group))
