"""A sweep on Ray: Ray Tune draws plans, and each trial is a Ray Train run. What is decided, :mod:`raygp.search`
decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import ray
import ray.train
from ray import tune
from ray.train.v2.api.config import ScalingConfig
from ray.tune.integration.ray_train import TuneReportCallback

from raygp.cluster.board import Board
from raygp.cluster.internals import end_controller, keep_credentials_to_ourselves
from raygp.cluster.run_files import run_storage
from raygp.cluster.session import beside_this_process
from raygp.cluster.sweep_search import PERCENT_DONE, make_domains, make_scheduler
from raygp.cluster.sweep_watch import Budget, Lines, begin_watch
from raygp.cluster.train_run import decode, fit, outcome_in, run_config, scaling, train_run, wait_for_room
from raygp.cluster.worker import WorkerConfig, run_shared_work, run_worker
from raygp.errors import RaygpError
from raygp.events import Listener, Notice, unheard
from raygp.record import CostLedger
from raygp.search.algorithms import SCORE, SEARCHES, SearchRequest
from raygp.search.choice import TrialResult, read_trial, score
from raygp.search.layout import Layout
from raygp.search.outcome import TRIALS_FOLDER, SweepOutcome
from raygp.search.settings import SweepSettings
from raygp.search.space import Point, plan_of
from raygp.search.sweep import sweep
from raygp.search.watch import SweepWatch
from raygp.settings import RunSettings
from raygp.store import version_number
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from raygp.update.seeds import derive_seed
from raygp.update.shared import SharedWork

_DRIVER_CPUS = 0.01
"""CPUs of a trial's own process, which only waits for its workers. Tune refuses a process without any."""
_SHARED, _TRIALS = "shared", "trials"
"""Folders below that of the update: the work that trials share, and the trials' Train runs."""


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


class _Register:
    """What all nodes have to know of the trials: which were stopped early, and which placement groups their runs
    hold."""

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


def _register_actor() -> Any:
    make: Any = ray.remote(num_cpus=0)
    return make(_Register)


def run_sweep(job: UpdateJob, settings: RunSettings, past: Sequence[Mapping[str, Any]], tell: Listener) -> SweepOutcome:
    """Search plans around ``job.plan`` on the connected cluster; an interrupted sweep goes on where it was.

    Ctrl-C ends the sweep. If trials have finished, the best of them is the outcome. A second Ctrl-C ends the program.

    Args:
        job: the update; its ``sweep`` gives it a folder of its own.
        settings: ``settings.sweep`` says how; workers and the rest as for one update.
        past: the sweep parts of the line's cards, newest first.
        tell: told what happens.

    Raises:
        RaygpError: no trial finished.
        KeyboardInterrupt: Ctrl-C before any trial finished.
    """
    return sweep(job, settings.sweep, past, tell, _TuneTrials(job, settings))


class _TuneTrials:
    """:class:`raygp.search.sweep.Trials` on Ray Tune."""

    def __init__(self, job: UpdateJob, settings: RunSettings) -> None:
        self._job, self._settings = job, settings
        self._checkpoints: dict[str, str] = {}
        self._datasets: dict[str, Any] = {}

    @cached_property
    def _scaling(self) -> ScalingConfig:
        return scaling(self._settings.workers, self._settings.sweep.concurrent, self._settings.gpus)

    def prepare(self, tell: Listener) -> None:
        """Decode the data, then wait for room."""
        with Board(tell).watching() as board:
            self._datasets = decode(self._job, self._settings, board)
        wait_for_room(self._scaling, lambda line: tell(Notice(text=line)))

    def share_work(self) -> CostLedger:
        """Read it, or compute it with as many workers as a trial has: only then are the sums the same bit by bit."""
        job, settings, folder = self._job, self._settings, f"{self._job.folder}/{_SHARED}"
        found = SharedWork.read(job.location, folder)
        if found is None:
            run = f"{job.folder}/shared-run"
            with Board(unheard).watching() as board:
                worker = WorkerConfig(
                    job, board.handle, run, tuple(self._datasets), settings.packed_gradients, shared=folder
                )
                config = run_config(job.location, job.folder, "shared-run", settings.max_failures)
                placed = scaling(settings.workers, gpus=settings.gpus, streamed=not self._datasets)
                fit(train_run(run_shared_work, worker, self._datasets, placed, config), board, job.update_id)
            found = SharedWork.read(job.location, folder)
        if found is None:
            raise RaygpError(f"{job.location.url(folder)}: the shared work of the sweep was not stored; run again")
        return CostLedger(**found.ledger)

    def run(self, layout: Layout, watch: SweepWatch) -> Sequence[TrialResult]:
        """Have Tune run them."""
        job, settings = self._job, self._settings
        # A register on another node would be lost when that node is taken away, although the sweep goes on.
        register = _register_actor().options(scheduling_strategy=beside_this_process()).remote()
        begin_watch(watch, register)
        trials = _Trials(job, settings, self._datasets, job.folder, self._scaling, register)
        request = SearchRequest(
            space=layout.space,
            points=layout.points,
            known=layout.known,
            concurrent=settings.sweep.concurrent,
            seed=_seed(job),
        )
        choice = tune.TuneConfig(
            metric=SCORE,
            mode="max",
            num_samples=layout.draws,
            search_alg=SEARCHES.get(settings.sweep.search).make(request),
            scheduler=make_scheduler(settings.sweep, layout.kept),
        )
        keep_credentials_to_ourselves()
        grid = _tuner(trials, make_domains(layout.space), choice).fit()
        entries = [grid[number] for number in range(len(grid))]
        self._checkpoints = {
            entry.metrics["trial_id"]: entry.metrics["checkpoint_path"]
            for entry in entries
            if entry.metrics and "checkpoint_path" in entry.metrics
        }
        results = [read_trial(dict(entry.config or {}), entry.metrics, str(entry.error or "")) for entry in entries]
        return [result for result in results if result is not None]

    def outcome(self, name: str) -> Outcome:
        """Read it from the trial's last checkpoint."""
        filesystem = run_storage(self._job.location, "")["storage_filesystem"]
        return outcome_in(ray.train.Checkpoint(self._checkpoints[name], filesystem), name)


def _tuner(trials: _Trials, domains: dict[str, Any], choice: tune.TuneConfig) -> tune.Tuner:
    """A new sweep, or the one that is there."""
    job = trials.job
    trainable = tune.with_resources(
        tune.with_parameters(_run_trial, trials=trials), tune.PlacementGroupFactory([{"CPU": _DRIVER_CPUS}])
    )
    storage = run_storage(job.location, job.folder)
    path, filesystem = f"{storage['storage_path']}/{TRIALS_FOLDER}", storage["storage_filesystem"]
    if tune.Tuner.can_restore(path, storage_filesystem=filesystem):
        return tune.Tuner.restore(
            path, trainable, resume_unfinished=True, restart_errored=True, storage_filesystem=filesystem
        )
    return tune.Tuner(
        trainable,
        param_space=domains,
        tune_config=choice,
        run_config=tune.RunConfig(
            name=TRIALS_FOLDER,
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
    shared = f"{trials.folder}/{_SHARED}" if settings.sweep.share_work else None
    folder = f"{trials.folder}/{_TRIALS}"
    report = _Report(job, trials.job, settings.sweep, name, trials.register)
    config = run_config(job.location, folder, name, settings.max_failures, [report])
    try:
        with Board(unheard).watching() as board:
            worker = WorkerConfig(
                job, board.handle, f"{folder}/{name}", tuple(trials.datasets), settings.packed_gradients,
                settings.checkpoint_minutes, shared, (trials.register, name),
            )  # fmt: skip
            fit(train_run(run_worker, worker, trials.datasets, trials.scaling, config), board, name)
    except RaygpError as error:
        # If it were raised, Tune would start another attempt, which would only meet it again.
        tune.report({SCORE: -1.0, "val_accuracy": 0.0, PERCENT_DONE: 0.0, "failed": str(error)})


class _Report(TuneReportCallback):
    """Passes rank 0's metrics on to Tune, with the score that trials are compared by, and ends the run of a trial that
    was stopped. Ray Train calls it in the process of the run's controller."""

    def __init__(self, job: UpdateJob, around: UpdateJob, sweep: SweepSettings, trial: str, register: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._job, self._around, self._sweep, self._trial, self._register = job, around, sweep, trial, register

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Called by Ray Train after each report."""
        density = metrics[0]["active_connections"] / metrics[0]["total_connections"] if metrics[0]["finished"] else None
        value = score(metrics[0]["val_accuracy"], self._job.plan, self._around.plan, self._sweep, density)
        super().after_report(run_context, [{**metrics[0], SCORE: value}], checkpoint)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray Train when workers are lost.

        Those of a trial that was stopped are lost because this process's resources were taken back. Ray Train would
        start others, on new resources that nobody would take back. So the controller is ended here.
        """
        try:
            stopped = ray.get(self._register.stopped.remote(self._trial))
        except ray.exceptions.RayError:
            stopped = True  # The sweep itself is gone.
        if stopped:
            end_controller()


def _seed(job: UpdateJob) -> int:
    """Seed of the points drawn: another one for each arrival."""
    return derive_seed(job.seed, "sweep", version_number(job.version)) % 2**31
