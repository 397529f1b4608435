"""A sweep: Ray Tune draws plans, each trial is a Ray Train run, the best one that finishes is the outcome."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
import ray.train
from ray import tune
from ray._raylet import PlacementGroupID
from ray.train import ScalingConfig
from ray.tune.execution import class_cache
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch
from ray.util.placement_group import PlacementGroup, remove_placement_group

from raygp.cluster.board import Board
from raygp.cluster.run_files import run_storage
from raygp.cluster.train_run import decode, fit, make_run, make_trainer, outcome_in, scaling, wait_for_room
from raygp.cluster.worker import WorkerConfig, run_shared_work, run_worker
from raygp.errors import InputError, RaygpError
from raygp.settings import RunSettings
from raygp.store import Location, version_number
from raygp.update.engine import Outcome
from raygp.update.job import UpdateJob
from raygp.update.ledger import CostLedger
from raygp.update.seeds import derive_seed
from raygp.update.shared import SharedWork
from raygp.update.sweep import (
    Distribution,
    Point,
    SweepSettings,
    TrialResult,
    best_trial,
    cost_limit,
    describe,
    draws,
    expected_cost,
    experience,
    first_points,
    grid_size,
    kept_points,
    pareto_front,
    plan_of,
    score,
    space_of,
)

_DRIVER_CPUS = 0.01
"""Of a trial's own process, which waits for its workers. Tune takes no bundle without any."""
_PERCENT_BEYOND_THE_END = 101
_SHARED, _TRIALS, _TUNE = "shared", "trials", "tune"
_MESSAGE_LENGTH = 160
"""Of a failed trial on the terminal; the card has all of it."""
_SCORE, _EPOCHS = "score", "percent_done"


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep came to."""

    job: UpdateJob
    """The update with the winner's plan."""
    outcome: Outcome
    """The winner's; its ledger is that of the whole sweep."""
    record: dict[str, Any]
    """For the card: trials, winner, why, names on the Pareto front, ledger of the shared work."""


@dataclass(frozen=True)
class _Trials:
    """What every trial is given."""

    job: UpdateJob
    settings: RunSettings
    datasets: dict[str, Any]
    folder: str
    scaling: ScalingConfig
    stopped: Any
    """Handle of the actor that knows which trials were stopped."""


@ray.remote(num_cpus=0)
class _Stopped:
    """Trials that were stopped early, by name."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def add(self, name: str) -> None:
        self._names.add(name)

    def has(self, name: str) -> bool:
        return name in self._names


def run_sweep(
    job: UpdateJob, settings: RunSettings, past: Sequence[Mapping[str, Any]], show: Callable[[str], None]
) -> SweepOutcome:
    """Search plans around ``job.plan`` on the connected cluster; an interrupted sweep goes on where it was.

    Ctrl-C ends the sweep; if trials have finished, the best of them is the outcome. A second one ends the program.

    Args:
        job: the update; its ``sweep`` gives it a folder of its own.
        settings: ``settings.sweep`` says how; workers and the rest as for one update.
        past: the sweep parts of the line's cards, newest first.
        show: called with a line whenever something has happened.

    Raises:
        RaygpError: no trial finished.
        KeyboardInterrupt: Ctrl-C before any trial finished.
    """
    sweep = settings.sweep
    space = space_of(job.plan, sweep)
    parent = job.parent
    assert parent is not None  # The first version's plan is not searched for.
    points = first_points(job.plan, space, past, parent.total_connections, sweep)
    known = experience(job.plan, space, past, parent.val_accuracy, parent.total_connections, sweep)
    samples, domains = draws(space, sweep), {path: _domain(distribution) for path, distribution in space.items()}
    datasets = decode(job, settings)
    placed = scaling(settings.workers, sweep.concurrent, settings.gpus)
    wait_for_room(placed, lambda line: show(f"{job.version}: {line}"))
    spent = CostLedger()
    if sweep.share_work:
        spent = CostLedger(**_shared_work(job, settings, datasets).ledger)
        saved = (sweep.trials - 1) * spent.examples
        show(
            f"{job.version}: losses and growth gradients computed once, {spent.examples:,.0f} examples' worth; "
            f"{sweep.trials} trials save up to {saved:,.0f}"
        )
    shared = spent.to_dict()
    stopped = _Stopped.remote()
    trials = _Trials(job, settings, datasets, job.folder, placed, stopped)
    old = sum(manifest.rows("train") for manifest in job.seen)
    limit = cost_limit(sweep, expected_cost(job.plan, sweep, old, job.arrival.rows("train")).update)
    _watch.begin(job.version, sweep, samples * grid_size(space), show, stopped, {_SHARED: spent.examples}, limit)
    searcher = _searcher(sweep, points, known, _seed(job))
    _keep_credentials()
    grid = _tuner(trials, domains, searcher, samples, points).fit()
    tried = [result for result in map(_result, grid) if result is not None]
    if _watch.interrupted:
        if not any(result.state == "finished" for result in tried):
            raise KeyboardInterrupt
        show(f"{job.version}: interrupted; choosing among the trials that have finished")
    best, why = best_trial(tried, sweep)
    by_name = {entry.metrics.get("trial_id"): entry for entry in grid if entry.metrics}
    outcome = outcome_in(_checkpoint(job.location, by_name[best.name].metrics["checkpoint_path"]), best.name)
    for result in tried:
        spent = spent.plus(result.ledger)
    record = {
        "trials": [result.to_dict() for result in tried],
        "winner": best.name,
        "why": why,
        "front": sorted(pareto_front(tried)),
        "shared": shared,
        "objective": sweep.objective,
        "seconds": round(time.monotonic() - _watch.started, 3),
    }
    won = replace(job, plan=plan_of(job.plan, best.point), sweep="")
    return SweepOutcome(won, replace(outcome, ledger=spent.to_dict()), record)


def keep_events(location: Location, folder: str, version: str) -> None:
    """Move what TensorBoard reads of the sweep in ``folder`` to ``reports/<version>-sweep/<trial>/``."""
    for file in location.walk(f"{folder}/{_TUNE}"):
        *_, trial, name = file.path.split("/")
        if name.startswith("events.out.tfevents"):
            location.write_bytes(f"reports/{version}-sweep/{trial}/{name}", location.read_bytes(file.path))


def _shared_work(job: UpdateJob, settings: RunSettings, datasets: dict[str, Any]) -> SharedWork:
    """What all trials start from: read, or computed by as many workers as a trial has (the same sums, bit by bit)."""
    folder = f"{job.folder}/{_SHARED}"
    found = SharedWork.read(job.location, folder)
    if found is None:
        board = Board(lambda progress: None)
        worker = WorkerConfig(job, board.handle, tuple(datasets), settings.packed_gradients, shared=folder)
        run = make_run(job.location, job.folder, "shared-run", settings.max_failures)
        placed = scaling(settings.workers, gpus=settings.gpus, streamed=not datasets)
        fit(make_trainer(run_shared_work, worker, datasets, placed, run), board, job.update_id)
        found = SharedWork.read(job.location, folder)
    if found is None:
        raise RaygpError(f"{job.location.url(folder)}: the shared work of the sweep was not stored; run again")
    return found


def _keep_credentials() -> None:
    """Tune would give each trial the keys in this process's environment, as a runtime environment, which Ray logs and
    shows in its dashboard. Trials find theirs as the workers of any update do."""
    class_cache.ENV_VARS_TO_PROPAGATE -= {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}


def _tuner(
    trials: _Trials, domains: dict[str, Any], searcher: Any, samples: int, points: Sequence[Point]
) -> tune.Tuner:
    """A new sweep, or the one that is there."""
    job, sweep = trials.job, trials.settings.sweep
    trainable = tune.with_resources(
        tune.with_parameters(_run_trial, trials=trials), tune.PlacementGroupFactory([{"CPU": _DRIVER_CPUS}])
    )
    storage = run_storage(job.location, job.folder)
    path, filesystem = f"{storage['storage_path']}/{_TUNE}", storage["storage_filesystem"]
    if tune.Tuner.can_restore(path, storage_filesystem=filesystem):
        return tune.Tuner.restore(
            path, trainable, resume_unfinished=True, restart_errored=True, storage_filesystem=filesystem
        )
    return tune.Tuner(
        trainable,
        param_space=domains,
        tune_config=tune.TuneConfig(
            metric=_SCORE,
            mode="max",
            num_samples=samples,
            search_alg=searcher,
            scheduler=_scheduler(sweep, kept_points(job.plan, space_of(job.plan, sweep), points)),
        ),
        run_config=tune.RunConfig(
            name=_TUNE,
            **storage,
            stop=_Budget(),
            failure_config=tune.FailureConfig(max_failures=1),
            callbacks=[_Lines()],
            verbose=0,
        ),
    )


def _run_trial(point: Point, trials: _Trials) -> None:
    """Tune's function: one point as one Train run, whose reports go to Tune."""
    job = replace(trials.job, plan=plan_of(trials.job.plan, point))
    name = tune.get_context().get_trial_id()
    settings = trials.settings
    board = Board(lambda progress: None)
    shared = f"{trials.folder}/{_SHARED}" if settings.sweep.share_work else None
    worker = WorkerConfig(
        job, board.handle, tuple(trials.datasets), settings.packed_gradients, settings.checkpoint_minutes, shared
    )
    report = _Report(job, trials.job, settings.sweep, name, trials.stopped)
    run = make_run(job.location, f"{trials.folder}/{_TRIALS}", name, settings.max_failures, [report])
    try:
        fit(make_trainer(run_worker, worker, trials.datasets, trials.scaling, run), board, name)
    except RaygpError as error:
        # Another attempt would only meet it again.
        tune.report({_SCORE: -1.0, "val_accuracy": 0.0, _EPOCHS: 0.0, "failed": str(error)})


class _Report(TuneReportCallback):
    """Passes rank 0's metrics on to Tune, with the score that trials are compared by; ends the run of a trial that was
    stopped. Train calls it in the run's controller."""

    def __init__(self, job: UpdateJob, around: UpdateJob, sweep: SweepSettings, trial: str, stopped: Any) -> None:
        super().__init__()
        self._job, self._around, self._sweep, self._trial, self._stopped = job, around, sweep, trial, stopped

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Called by Ray Train after each report."""
        density = metrics[0]["active_connections"] / metrics[0]["total_connections"] if metrics[0]["finished"] else None
        value = score(metrics[0]["val_accuracy"], self._job.plan, self._around.plan, self._sweep, density)
        super().after_report(run_context, [{**metrics[0], _SCORE: value}], checkpoint)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called when workers are lost: with the resources that :func:`_free` took back, the controller would only
        start others on new ones, which nobody would give back."""
        try:
            stopped = ray.get(self._stopped.has.remote(self._trial))
        except ray.exceptions.RayError:
            stopped = True  # The sweep itself is gone.
        if stopped:
            os._exit(0)


@dataclass
class _Watch:
    """What this process knows of the running sweep. Tune stores its callbacks with the sweep, so they keep nothing."""

    title: str = ""
    sweep: SweepSettings = field(default_factory=SweepSettings)
    expected: int = 0
    show: Callable[[str], None] = lambda line: None
    stopped: Any = None
    started: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    """Examples by trial, and of shared work."""
    limit: float | None = None
    """Examples that may be spent."""
    unfinished: bool = True
    budget_spent: bool = False

    def begin(
        self,
        title: str,
        sweep: SweepSettings,
        expected: int,
        show: Callable[[str], None],
        stopped: Any,
        spent: dict[str, float],
        limit: float | None,
    ) -> None:
        """A sweep begins."""
        self.__init__(title, sweep, expected, show, stopped, time.monotonic(), spent, limit)  # type: ignore[misc]

    @property
    def interrupted(self) -> bool:
        """Whether Tune ended before all was done, for no reason of ours: it catches the first Ctrl-C."""
        return self.unfinished and not self.budget_spent

    def over_budget(self) -> str:
        """Which budget is spent; empty if none is."""
        hours = (time.monotonic() - self.started) / 3600.0
        if self.sweep.max_hours is not None and hours >= self.sweep.max_hours:
            return f"{self.sweep.max_hours:g} hours"
        if self.limit is not None and sum(self.spent.values()) >= self.limit:
            return f"{self.limit:,.0f} examples"
        return ""


_watch = _Watch()


class _Budget(tune.Stopper):
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


class _Lines(tune.Callback):
    """A line for each trial that ends."""

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
            _free(trial.trial_id, result.get("placement_group"))
        self._line(trials, trial, state)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune when no retry is left."""
        self._line(trials, trial, "failed")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune."""
        _watch.unfinished = len(trials) < _watch.expected or not all(trial.is_finished() for trial in trials)
        for trial in trials:  # Those that ended before a sweep was gone on with report no more.
            _watch.spent.setdefault(trial.trial_id, _spent(trial.last_result or {}))

    def _line(self, trials: list[Any], trial: Any, state: str) -> None:
        ended = sum(other.is_finished() or other is trial for other in trials)
        _watch.show(f"{_watch.title}  trial {ended}/{_watch.expected}  {describe(trial.config)}: {state}")


def _free(trial: str, group: str | None) -> None:
    """Take back the resources of a trial that was stopped.

    Ray Train's own cleaner asks the state API, which needs a dashboard and does not know which of several clusters on a
    machine is meant: then it never does, and later trials wait for room that is not there.
    """
    if group:
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            ray.get(_watch.stopped.add.remote(trial))
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(group)))


def _spent(result: Mapping[str, Any]) -> float:
    return float(result.get("ledger", {}).get("examples", 0.0))


def _result(entry: Any) -> TrialResult | None:
    """What Tune knows of a trial; None if it never reported."""
    metrics = entry.metrics
    if not metrics or "val_accuracy" not in metrics:
        return None
    finished = bool(metrics.get("finished"))
    failed = entry.error is not None or "failed" in metrics
    return TrialResult(
        name=metrics["trial_id"],
        point=dict(entry.config),
        state="finished" if finished else "failed" if failed else "stopped",
        epochs=int(metrics.get("epochs", 0)),
        val_accuracy=float(metrics["val_accuracy"]),
        active_connections=int(metrics["active_connections"]) if finished else None,
        ledger=dict(metrics.get("ledger", {})),
        error=str(metrics.get("failed") or entry.error or ""),
    )


def _checkpoint(location: Location, path: str) -> ray.train.Checkpoint:
    return ray.train.Checkpoint(path, run_storage(location, "")["storage_filesystem"])


def _domain(distribution: Distribution) -> Any:
    """The distribution as Tune's object."""
    arguments = distribution.arguments
    make = getattr(tune, distribution.kind)
    return make(list(arguments)) if distribution.kind in ("choice", "grid_search") else make(*arguments)


def _seed(job: UpdateJob) -> int:
    """Of the points drawn: another for each arrival."""
    return derive_seed(job.seed, "sweep", version_number(job.version)) % 2**31


def _searcher(sweep: SweepSettings, points: list[Point], known: list[tuple[Point, float]], seed: int) -> Any:
    if sweep.search == "random":
        # TuneConfig.max_concurrent_trials does not reach a searcher that is given.
        return BasicVariantGenerator(points_to_evaluate=points, max_concurrent=sweep.concurrent, random_state=seed)
    try:
        search = _ExperiencedSearch(known, metric=_SCORE, mode="max", points_to_evaluate=points, seed=seed)
    except (ImportError, AssertionError) as error:
        raise InputError("sweep.search=optuna needs package optuna: pip install 'raygp[optuna]'") from error
    # It would announce its studies on standard error.
    logging.getLogger("optuna").setLevel(logging.WARNING)
    return ConcurrencyLimiter(search, max_concurrent=sweep.concurrent)


class _ExperiencedSearch(OptunaSearch):
    """Optuna's search that is told of trials before its own."""

    def __init__(self, known: list[tuple[Point, float]], **settings: Any) -> None:
        super().__init__(**settings)
        self._known = known

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Called by Tune, which knows the space."""
        found = super().set_search_properties(metric, mode, config, **spec)
        for point, value in self._known:
            self.add_evaluated_point(point, value)
        return bool(found)


def _scheduler(sweep: SweepSettings, kept: Sequence[Point]) -> ASHAScheduler | None:
    if sweep.scheduler == "none":
        return None
    return _Scheduler(
        time_attr=_EPOCHS,
        max_t=_PERCENT_BEYOND_THE_END,
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
