"""One update as one Ray Train run."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
import ray._private.state
import ray.train
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.controller.state import TrainControllerStateType
from ray.util.placement_group import placement_group, remove_placement_group

from raygp.cluster.board import Board
from raygp.cluster.process_group import NodesTorchConfig
from raygp.cluster.run_files import drop_damaged_index, run_storage
from raygp.cluster.stopping import keeping_handler, on_sigterm
from raygp.cluster.worker import WorkerConfig, run_worker
from raygp.data.pipeline import materialise
from raygp.data.reading import can_be_streamed, decoded_bytes
from raygp.errors import InputError, RaygpError, StoppedError, TrainingError
from raygp.settings import RunSettings, Workers
from raygp.store import Location
from raygp.tasks import make_task
from raygp.update.checkpoints import load
from raygp.update.job import UpdateJob
from raygp.update.observer import Progress
from raygp.update.outcome import Outcome

RESIZE_S = 30.0
"""How often a run with a range of workers looks whether it can have more: what it has done since its last checkpoint is
done again then."""
_PATIENCE_S = 2.0
"""How long room is waited for before that is said, and between two looks at signals."""
_ANSWER_S = 15.0
"""A controller that trains answers within so long, however busy the machine; one that waits for nodes does not."""
_WAITING = (
    TrainControllerStateType.SCHEDULING, TrainControllerStateType.RESCHEDULING, TrainControllerStateType.RESTARTING,
    TrainControllerStateType.RESIZING,
)  # fmt: skip


def run_update(job: UpdateJob, settings: RunSettings, show: Callable[[Progress], None]) -> Outcome:
    """Run ``job`` on the connected cluster, from its last checkpoint if it has one.

    Args:
        job: the update.
        settings: workers, memory limit, failure budget.
        show: called with progress, from another thread.

    Raises:
        StoppedError: SIGTERM came; the update's last checkpoint is kept.
        RaygpError: the update failed; the message says why. Nothing but the update's folder was written.
    """
    datasets = decode(job, settings)
    board = Board(show)
    worker = WorkerConfig(job, board.handle, tuple(datasets), settings.packed_gradients, settings.checkpoint_minutes)
    run = make_run(job.location, "updates", job.update_id, settings.max_failures)
    placed = scaling(settings.workers, gpus=settings.gpus, streamed=not datasets)
    wait_for_room(placed, lambda line: show(Progress(0, len(job.plan.phases), "", 0, 0, 0.0, notice=line)))
    result = fit(make_trainer(run_worker, worker, datasets, placed, run), board, job.update_id)
    if result.checkpoint is None:
        raise TrainingError(f"{job.update_id}: the run ended without a candidate; run again to go on")
    return outcome_in(result.checkpoint, job.update_id)


def decode(job: UpdateJob, settings: RunSettings) -> dict[str, Any]:
    """The update's splits, decoded once into the object store; empty if they are to be streamed.

    Raises:
        InputError: they do not fit and the task's examples cannot be streamed.
    """
    task, catalog = make_task(job.task), job.catalog()
    size = decoded_bytes(catalog, task)
    if size <= settings.resident_mib << 20:
        return dict(materialise(catalog, task))
    if not can_be_streamed(task):
        raise InputError(
            f"{size >> 20} MiB of decoded data do not fit resident_mib={settings.resident_mib}, and task {task.name} "
            "cannot be streamed: raise resident_mib"
        )
    return {}


class _Trainer(TorchTrainer):
    """Ray's, but that it can be ended while its controller waits for nodes and answers nobody: by Ctrl-C, for which
    Ray's own handler would wait, and by :meth:`end`. The run's workers end with its controller."""

    _controller: Any = None

    def _register_sigint_handler(self, controller: Any) -> None:
        """Called by Ray in the main thread."""
        self._controller = controller

        def abort(*_: Any) -> None:
            self.end()
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, abort)

    def waits(self) -> bool:
        """Whether it waits for workers, or starts them; False where that is not known."""
        if self._controller is None:
            return False
        try:
            state = ray.get(self._controller.get_state.remote(), timeout=_ANSWER_S)
        except ray.exceptions.GetTimeoutError:
            return True
        except ray.exceptions.RayError:
            return False
        return state._state_type in _WAITING

    def end(self) -> None:
        """End the run at once; :meth:`fit` then raises RayActorError."""
        ray.kill(self._controller)


def make_run(
    location: Location, folder: str, name: str, max_failures: int, callbacks: list[Any] | None = None
) -> RunConfig:
    """A Train run that keeps its checkpoints in ``folder/name`` under the root, and goes on from them."""
    drop_damaged_index(location, f"{folder}/{name}")
    return RunConfig(
        name=name,
        **run_storage(location, folder),
        checkpoint_config=CheckpointConfig(num_to_keep=2),
        # Nodes that are taken away are no failures of ours, however many.
        failure_config=FailureConfig(max_failures, controller_failure_limit=1, max_preemption_failures=-1),
        callbacks=callbacks,
    )


def make_trainer(
    loop: Callable[..., None], worker: WorkerConfig, datasets: dict[str, Any], scaling: ScalingConfig, run: RunConfig
) -> _Trainer:
    """A trainer whose workers run ``loop``."""
    return _Trainer(
        loop,
        train_loop_config={"worker": worker},
        torch_config=NodesTorchConfig(),
        scaling_config=scaling,
        datasets=datasets,
        # Each worker holds all rows and shuffles by index: nothing is split, so no row is dropped.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=run,
    )


def fit(trainer: _Trainer, board: Board, name: str) -> ray.train.Result:
    """Run it; what goes wrong becomes a RaygpError that begins with ``name``.

    Raises:
        StoppedError: SIGTERM came; the run's last checkpoint is kept.
        KeyboardInterrupt: Ctrl-C came; so is it then.
    """
    result = None
    with board.watching(), on_sigterm(board.stop), keeping_handler(signal.SIGINT), _not_waiting(trainer, board):
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise TrainingError(f"{name}: {_cause(error)}") from error
        except ray.exceptions.RayActorError:
            if not board.stopping:
                raise
    if board.failure:
        failed = RaygpError(f"{name}: {board.failure.message}")
        failed.exit_code = board.failure.exit_code
        raise failed
    if board.stopping or result is None:
        raise StoppedError(f"{name}: stopped on request; run the same command again to go on")
    return result


@contextlib.contextmanager
def _not_waiting(trainer: _Trainer, board: Board) -> Iterator[None]:
    """A run that is to stop for the time of the block and has no workers to make a checkpoint is ended."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_PATIENCE_S):
            if board.stopping and trainer.waits() and not over.is_set():
                return trainer.end()

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

    A GPU each if the cluster has that many, and no CPU, which decoding is left with; else a CPU each, or a fraction of
    one where there are few.

    Args:
        workers: of each run.
        runs: how many such runs share the cluster.
        gpus: whether to ask for GPUs; None: if they are there.
        streamed: whether Ray Data's tasks decode while the run trains.
    """
    wanted = Workers.parse(workers)
    number: Any = (wanted.least, wanted.most) if wanted.elastic else wanted.least
    elastic: dict[str, Any] = {"num_workers": number, "elastic_resize_monitor_interval_s": RESIZE_S}
    resources = ray.cluster_resources()
    if resources.get("GPU", 0.0) >= wanted.least * runs if gpus is None else gpus:
        return ScalingConfig(use_gpu=True, resources_per_worker={"GPU": 1}, **elastic)
    # A range grows over the CPUs that there are; where nothing is decoded meanwhile, over all of them.
    needed = (wanted.least if wanted.elastic and not streamed else wanted.most) * runs
    cpus = max(resources.get("CPU", 0.0), _most_cpus())
    share = 1.0 if cpus > needed else max(0.01, int(50 * (cpus or 1.0) / needed) / 100)
    return ScalingConfig(resources_per_worker={"CPU": share}, **elastic)


def wait_for_room(placed: ScalingConfig, tell: Callable[[str], None]) -> None:
    """Until the cluster has room for a run's least number of workers, whose nodes its autoscaler is asked for.

    The run's own controller would wait as well, but for minutes at a time without a word, and deaf to signals.

    Args:
        placed: what the run asks for.
        tell: called with a line if there is no room yet.
    """
    each = placed.resources_per_worker or {}
    group = placement_group([each] * placed.min_workers, strategy=placed.placement_strategy)
    try:
        if group.wait(timeout_seconds=_PATIENCE_S):
            return
        there = ray.cluster_resources()
        wants = [
            f"{some * placed.min_workers:g} {kind} (the cluster has {there.get(kind, 0):g})"
            for kind, some in each.items()
        ]
        tell(f"waiting for room: training asks for {', '.join(wants)}")
        while not group.wait(timeout_seconds=_PATIENCE_S):
            pass
    finally:
        remove_placement_group(group)


def _most_cpus() -> float:
    """CPUs of the cluster when its autoscaler has brought all nodes that it may; 0 if there is no autoscaler."""
    most = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    return float(most.get("CPU", 0))


def _cause(error: Exception) -> str:
    """The first worker's exception, or the controller's, as one line."""
    failures = getattr(error, "worker_failures", None) or {}
    inner: Any = next(iter(failures.values()), None) or getattr(error, "controller_failure", None) or error
    inner = getattr(inner, "base_exc", None) or getattr(inner, "_base_exc", None) or inner
    if "No space left on device" in str(inner):
        return "the disk is full: free some space and run the same command again to go on"
    lines = [line for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[-1].strip() if lines else 'no message'} (-v shows Ray's logs)"
