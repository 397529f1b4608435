"""One update as one Ray Train run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train import DataConfig
from ray.train.torch import TorchTrainer

# ray.train has the same classes, but a type checker takes those for their namesakes of Train V1.
from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.util.placement_group import placement_group, remove_placement_group

from raygp.cluster.board import DECODING, Board
from raygp.cluster.internals import cause_of, most_cpus, waits_for_workers, when_controlled
from raygp.cluster.pipeline import materialise
from raygp.cluster.process_group import NodesTorchConfig
from raygp.cluster.run_files import drop_damaged_index, run_storage
from raygp.cluster.worker import WorkerConfig, run_worker
from raygp.data.reading import can_be_streamed, decoded_bytes
from raygp.errors import InputError, RaygpError, StoppedError, TrainingError
from raygp.events import Listener, Notice, Working
from raygp.settings import RunSettings
from raygp.stopping import asking
from raygp.store import Location
from raygp.update.checkpoints import load
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from raygp.workers import Workers

RESIZE_S = 30.0
"""A run with a range of workers looks this often whether it can have more. If it can, it starts again from its last
checkpoint, so what it has done since is done again."""
_PATIENCE_S = 2.0
"""How long room is waited for before that is told, and how often this process looks up from waiting, which is when
Python carries out signals."""
_ANSWER_S = 15.0
"""A controller that trains answers within this time, however busy the machine is."""


def run_update(job: UpdateJob, settings: RunSettings, tell: Listener, local: bool = False) -> Outcome:
    """Run ``job`` on the connected cluster, from its last checkpoint if it has one.

    Args:
        job: the update.
        settings: workers, memory limit, failure budget.
        tell: told what happens, from another thread.
        local: run the loop in this process, with one worker, instead of on workers that Ray Train starts.

    Raises:
        StoppedError: a signal came; the update's last checkpoint is kept.
        RaygpError: the update failed; the message says why. Nothing but the update's folder was written.
    """
    with Board(tell).watching() as board:
        datasets = decode(job, settings, board)
        worker = WorkerConfig(
            job, board.handle, job.folder, tuple(datasets), settings.packed_gradients, settings.checkpoint_minutes
        )
        config = run_config(job.location, "updates", job.update_id, settings.max_failures)
        if local:
            placed = ScalingConfig(num_workers=0)
        else:
            placed = scaling(settings.workers, gpus=settings.gpus, streamed=not datasets)
            wait_for_room(placed, lambda line: board.tell(Notice(text=line)))
            board.tell(Working(what="starting workers"))
        result = fit(train_run(run_worker, worker, datasets, placed, config), board, job.update_id)
    if result.checkpoint is None:
        raise TrainingError(f"{job.update_id}: the run ended without a candidate; run again to go on")
    return outcome_in(result.checkpoint, job.update_id)


def decode(job: UpdateJob, settings: RunSettings, board: Board) -> dict[str, Any]:
    """The update's splits, decoded once into the object store; empty if they are to be streamed.

    Args:
        job: the update.
        settings: memory limit.
        board: tells how far that is.

    Raises:
        InputError: they do not fit and the task's examples cannot be streamed.
    """
    task, catalog = job.make_task(), job.catalog()
    size = decoded_bytes(catalog, task)
    if size <= settings.resident_mib << 20:
        board.tell(Working(what=DECODING, total=catalog.rows))
        board.decoding(catalog.rows)
        try:
            return dict(materialise(catalog, task, board.handle))
        finally:
            board.decoding(None)
    if not can_be_streamed(task):
        raise InputError(
            f"{size >> 20} MiB of decoded data do not fit resident_mib={settings.resident_mib}, and task {task.name} "
            "cannot be streamed: raise resident_mib"
        )
    return {}


class TrainRun:
    """A run of Ray Train that can be ended while it waits for nodes.

    Its controller answers no call then, and Ray's own handler of Ctrl-C would wait for an answer. So that handler is
    not installed, and :meth:`end` kills the controller. The run's workers end with it, and its checkpoints stay.
    """

    def __init__(self, trainer: TorchTrainer) -> None:
        self._trainer = trainer
        self._controller: Any = None
        when_controlled(trainer, self._follow)

    def _follow(self, controller: Any) -> None:
        """Called by Ray in the main thread, once it has started the controller."""
        self._controller = controller

    def fit(self) -> ray.train.Result:
        """Run it to its end.

        Raises:
            ray.exceptions.RayActorError: :meth:`end` was called.
        """
        return self._trainer.fit()

    def waits(self) -> bool:
        """Whether it waits for workers, or starts them; False where that is not known."""
        return self._controller is not None and waits_for_workers(self._controller, _ANSWER_S)

    def end(self) -> None:
        """End the run at once, if it has begun."""
        if self._controller is not None:
            ray.kill(self._controller)


def run_config(
    location: Location, folder: str, name: str, max_failures: int, callbacks: list[Any] | None = None
) -> RunConfig:
    """The configuration of a Train run that keeps its checkpoints in ``folder/name`` under the root.

    A run of the same name goes on from them.
    """
    drop_damaged_index(location, f"{folder}/{name}")
    return RunConfig(
        name=name,
        **run_storage(location, folder),
        # If writing the last one is cut off, the one before counts.
        checkpoint_config=CheckpointConfig(num_to_keep=2),
        # A node that is taken away does not count as a failure, however often that happens.
        failure_config=FailureConfig(max_failures, controller_failure_limit=1, max_preemption_failures=-1),
        callbacks=callbacks,
    )


def train_run(
    loop: Callable[..., None], worker: WorkerConfig, datasets: dict[str, Any], placed: ScalingConfig, run: RunConfig
) -> TrainRun:
    """A run whose workers run ``loop``. With ``ScalingConfig(num_workers=0)`` Ray calls ``loop`` in this process."""
    make: Any = TorchTrainer  # A type checker takes it for that of Train V1.
    trainer = make(
        loop,
        train_loop_config={"worker": worker},
        torch_config=NodesTorchConfig(),
        scaling_config=placed,
        datasets=datasets,
        # Each worker holds all rows and shuffles by index: nothing is split, so no row is dropped.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=run,
    )
    return TrainRun(trainer)


def fit(run: TrainRun, board: Board, name: str) -> ray.train.Result:
    """Run it to its end; what goes wrong becomes a RaygpError that begins with ``name``.

    Args:
        run: has not begun.
        board: of its workers, which is being watched.
        name: of the run.

    Raises:
        StoppedError: a signal came. The run's last checkpoint is kept.
        KeyboardInterrupt: Ctrl-C came twice. The run's last checkpoint is kept.
        raygp.stopping.Terminated: SIGTERM came twice.
        RaygpError: the run failed.
    """
    result = None
    with asking(board.asked, run.end), _ended_while_waiting(run, board):
        try:
            result = run.fit()
        except ray.train.TrainingFailedError as error:
            raise TrainingError(f"{name}: {_cause(error)}") from error
        except ray.exceptions.RayActorError:
            if not board.asked:
                raise
    with contextlib.suppress(ray.exceptions.RayError):
        board.catch_up()
    if board.failure:
        message = f"{name}: {board.failure.message}"
        if board.asked and board.failure.exit_code == StoppedError.exit_code:
            raise board.asked.error(message)  # The workers do not know which signal it was.
        failed = RaygpError(message)
        failed.exit_code = board.failure.exit_code
        raise failed
    if board.asked or result is None:
        raise board.asked.error(f"{name}: stopped on request; run the same command again to go on")
    return result


@contextlib.contextmanager
def _ended_while_waiting(run: TrainRun, board: Board) -> Iterator[None]:
    """For the time of the block, end the run if it is asked to stop while it waits for workers: nobody could make the
    checkpoint that stopping waits for otherwise."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_PATIENCE_S):
            if board.asked and run.waits() and not over.is_set():
                return run.end()

    thread = threading.Thread(target=watch, name="raygp-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def outcome_in(checkpoint: ray.train.Checkpoint, name: str) -> Outcome:
    """The outcome that a run's last checkpoint holds.

    Raises:
        TrainingError: it holds none, the run is not over.
    """
    with checkpoint.as_directory() as folder:
        outcome = load(Path(folder))
    if not isinstance(outcome, Outcome):
        raise TrainingError(f"{name}: the run ended before the gate; run again to go on")
    return outcome


def scaling(workers: int | Workers, runs: int = 1, gpus: bool | None = None, streamed: bool = False) -> ScalingConfig:
    """Resources of a run with ``workers`` training workers, such that Ray Data's tasks find room beside them.

    If the cluster has as many GPUs, each worker asks for a GPU and no CPU, so that all CPUs are left for decoding. Else
    each asks for a CPU, or for a fraction of one where there are few.

    Args:
        workers: of each run.
        runs: how many such runs share the cluster.
        gpus: whether to ask for GPUs; None: if they are there.
        streamed: whether Ray Data's tasks decode while the run trains.
    """
    wanted = Workers.parse(workers)
    number: Any = (wanted.least, wanted.most) if wanted.elastic else wanted.least
    elastic: dict[str, Any] = {"num_workers": number, "elastic_resize_monitor_interval_s": RESIZE_S}
    resources = _cluster_resources()
    if resources.get("GPU", 0.0) >= wanted.least * runs if gpus is None else gpus:
        return ScalingConfig(use_gpu=True, resources_per_worker={"GPU": 1}, **elastic)
    # A range of workers grows over the CPUs that there are. Where data are streamed, decoding needs some of them, so
    # each worker asks for what it would get if all came.
    needed = (wanted.least if wanted.elastic and not streamed else wanted.most) * runs
    cpus = max(resources.get("CPU", 0.0), most_cpus())
    # Else half of the CPUs in equal parts, so that Ray Data's tasks have the other half; in hundredths, rounded down.
    share = 1.0 if cpus > needed else max(0.01, int(50 * (cpus or 1.0) / needed) / 100)
    return ScalingConfig(resources_per_worker={"CPU": share}, **elastic)


def wait_for_room(placed: ScalingConfig, tell: Callable[[str], None]) -> None:
    """Wait until the cluster has room for a run's least number of workers; its autoscaler is asked for nodes meanwhile.

    Without this the run's controller would wait instead. It does so for minutes at a time, tells nobody, and does not
    react to signals.

    Args:
        placed: what the run asks for.
        tell: called with a line if there is no room yet.
    """
    each: Any = placed.resources_per_worker or {}
    group = placement_group([each] * placed.min_workers, strategy=placed.placement_strategy)
    try:
        if group.wait(timeout_seconds=_PATIENCE_S):
            return
        there = _cluster_resources()
        wants = [
            f"{some * placed.min_workers:g} {kind} (the cluster has {there.get(kind, 0):g})"
            for kind, some in each.items()
        ]
        tell(f"waiting for room: training asks for {', '.join(wants)}")
        while not group.wait(timeout_seconds=_PATIENCE_S):
            pass
    finally:
        remove_placement_group(group)


def _cluster_resources() -> dict[str, float]:
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return there


def _cause(error: Exception) -> str:
    """The first worker's exception, or the controller's, as one line."""
    inner = cause_of(error)
    if "No space left on device" in str(inner):
        return "the disk is full: free some space and run the same command again to go on"
    lines = [line for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[-1].strip() if lines else 'no message'} (-v shows Ray's logs)"
