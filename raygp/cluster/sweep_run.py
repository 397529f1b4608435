"""A sweep: Ray Tune draws plans, each trial is a Ray Train run, the best one that finishes is the outcome."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
import ray.train
from ray import tune
from ray.train import ScalingConfig
from ray.tune.execution import class_cache
from ray.tune.integration.ray_train import TuneReportCallback

from raygp.cluster.board import Board
from raygp.cluster.run_files import run_storage
from raygp.cluster.session import beside_this_process
from raygp.cluster.sweep_search import PERCENT_DONE, SCORE, make_domains, make_scheduler, make_searcher
from raygp.cluster.sweep_watch import Budget, Lines, Watch, begin_watch
from raygp.cluster.train_run import decode, fit, make_run, make_trainer, outcome_in, scaling, wait_for_room
from raygp.cluster.worker import WorkerConfig, run_shared_work, run_worker
from raygp.errors import RaygpError
from raygp.record import CostLedger
from raygp.settings import RunSettings
from raygp.store import Location, version_number
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from raygp.update.seeds import derive_seed
from raygp.update.shared import SharedWork
from raygp.update.sweep import (
    Point,
    SweepSettings,
    TrialResult,
    best_trial,
    cost_limit,
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
_SHARED, _TRIALS, _TUNE = "shared", "trials", "tune"


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
    register: Any
    """Handle of the sweep's register."""


@ray.remote(num_cpus=0)
class _Register:
    """What has to be known of trials, by name, on every node: which were stopped early, and what their runs hold."""

    def __init__(self) -> None:
        self._stopped: set[str] = set()
        self._held: dict[str, set[str]] = {}

    def stop(self, name: str) -> None:
        self._stopped.add(name)

    def stopped(self, name: str) -> bool:
        return name in self._stopped

    def hold(self, name: str, group: str) -> None:
        self._held.setdefault(name, set()).add(group)

    def held(self, name: str) -> set[str]:
        return self._held.get(name, set())


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
    samples = draws(space, sweep)
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
    # Its node must not go while the sweep goes on.
    register = _Register.options(scheduling_strategy=beside_this_process()).remote()
    trials = _Trials(job, settings, datasets, job.folder, placed, register)
    old = sum(manifest.rows("train") for manifest in job.seen)
    limit = cost_limit(sweep, expected_cost(job.plan, sweep, old, job.arrival.rows("train")).update)
    expected, first = samples * grid_size(space), {_SHARED: spent.examples}
    watch = begin_watch(Watch(job.version, expected, show, register, first, limit, sweep.max_hours))
    choice = tune.TuneConfig(
        metric=SCORE,
        mode="max",
        num_samples=samples,
        search_alg=make_searcher(sweep, points, known, _seed(job)),
        scheduler=make_scheduler(sweep, kept_points(job.plan, space, points)),
    )
    _keep_credentials()
    grid = _tuner(trials, make_domains(space), choice).fit()
    tried = [result for result in map(_result, grid) if result is not None]
    if watch.interrupted:
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
        "seconds": round(watch.seconds, 3),
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


def _tuner(trials: _Trials, domains: dict[str, Any], choice: tune.TuneConfig) -> tune.Tuner:
    """A new sweep, or the one that is there."""
    job = trials.job
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
        tune_config=choice,
        run_config=tune.RunConfig(
            name=_TUNE,
            **storage,
            stop=Budget(),
            failure_config=tune.FailureConfig(max_failures=1),
            callbacks=[Lines()],
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
        job, board.handle, tuple(trials.datasets), settings.packed_gradients, settings.checkpoint_minutes, shared,
        (trials.register, name),
    )  # fmt: skip
    report = _Report(job, trials.job, settings.sweep, name, trials.register)
    run = make_run(job.location, f"{trials.folder}/{_TRIALS}", name, settings.max_failures, [report])
    try:
        fit(make_trainer(run_worker, worker, trials.datasets, trials.scaling, run), board, name)
    except RaygpError as error:
        # Another attempt would only meet it again.
        tune.report({SCORE: -1.0, "val_accuracy": 0.0, PERCENT_DONE: 0.0, "failed": str(error)})


class _Report(TuneReportCallback):
    """Passes rank 0's metrics on to Tune, with the score that trials are compared by; ends the run of a trial that was
    stopped. Train calls it in the run's controller."""

    def __init__(self, job: UpdateJob, around: UpdateJob, sweep: SweepSettings, trial: str, register: Any) -> None:
        super().__init__()
        self._job, self._around, self._sweep, self._trial, self._register = job, around, sweep, trial, register

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Called by Ray Train after each report."""
        density = metrics[0]["active_connections"] / metrics[0]["total_connections"] if metrics[0]["finished"] else None
        value = score(metrics[0]["val_accuracy"], self._job.plan, self._around.plan, self._sweep, density)
        super().after_report(run_context, [{**metrics[0], SCORE: value}], checkpoint)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called when workers are lost: with the resources that :func:`_free` took back, the controller would only
        start others on new ones, which nobody would give back."""
        try:
            stopped = ray.get(self._register.stopped.remote(self._trial))
        except ray.exceptions.RayError:
            stopped = True  # The sweep itself is gone.
        if stopped:
            os._exit(0)


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


def _seed(job: UpdateJob) -> int:
    """Of the points drawn: another for each arrival."""
    return derive_seed(job.seed, "sweep", version_number(job.version)) % 2**31
