"""What each Ray Train worker runs: all phases of one update."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
import ray.train.collective
import ray.train.torch
import ray.util
import torch
from ray.train import CheckpointUploadMode

from raygp.cluster.board import Failure
from raygp.cluster.metrics import UpdateMetrics
from raygp.cluster.run_files import last_checkpoint, store_checkpoint
from raygp.data.batches import TrainingData
from raygp.data.catalog import Catalog
from raygp.data.pipeline import collect
from raygp.data.streaming import StreamingData
from raygp.errors import RaygpError, StoppedError
from raygp.sparse import MaskDisagreement, world_size
from raygp.store import Location, read_tensors
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import save_checkpoint, save_outcome
from raygp.update.engine import Update
from raygp.update.job import UpdateJob
from raygp.update.observer import Observer, Progress, Silent
from raygp.update.outcome import Outcome
from raygp.update.shared import SharedWork
from raygp.update.state import Checkpoint

_SHOW_INTERVAL_S = 0.5


@dataclass(frozen=True)
class WorkerConfig:
    """What every worker is given."""

    job: UpdateJob
    board: Any
    """Handle of the progress actor."""
    splits: tuple[str, ...]
    """Names of the materialised datasets; empty if data are streamed."""
    packed_gradients: bool
    checkpoint_minutes: float = 10.0
    shared: str | None = None
    """Folder, relative to the root, of work that this update shares with others (:mod:`raygp.update.shared`)."""
    trial: tuple[Any, str] | None = None
    """Of a sweep: handle of its register, which is told what this run holds, and the trial's name."""


class Leaving(ray.exceptions.RayActorError):
    """These workers end because a node of theirs is being taken away; their checkpoint is stored.

    Counted by Ray Train as the preemption that it is, not as a failure: the run goes on elsewhere at once, rather than
    when the node is gone.
    """

    def __init__(self) -> None:
        super().__init__(error_msg="a node is being taken away; the update goes on elsewhere", preempted=True)


def run_worker(config: dict[str, WorkerConfig]) -> None:
    """Ray Train's loop function. Every rank runs it; rank 0 checkpoints and reports the candidate.

    Errors that raygp raises on purpose are posted on the board and end the run normally on every rank: another attempt
    would only meet them again. Anything else is raised, and Ray Train restarts the group from the last checkpoint.
    """
    worker = config["worker"]
    group = ray.util.get_current_placement_group()
    if worker.trial and group:
        register, name = worker.trial
        ray.get(register.hold.remote(name, group.id.hex()))
    with _failing_on(worker.board):
        _run(worker)


def run_shared_work(config: dict[str, WorkerConfig]) -> None:
    """Ray Train's loop function for what the trials of a sweep have in common; rank 0 stores it."""
    worker = config["worker"]
    with _failing_on(worker.board):
        work = _make_update(worker, Silent()).shared_work()
        _require_group()
        if ray.train.get_context().get_world_rank() == 0:
            assert worker.shared is not None
            work.write(worker.job.location, worker.shared)


@contextlib.contextmanager
def _failing_on(board: Any) -> Iterator[None]:
    try:
        yield
    except (RaygpError, MaskDisagreement) as error:
        failure = Failure(str(error), getattr(error, "exit_code", 1))
        ray.get(board.fail.remote(failure))


def _run(worker: WorkerConfig) -> None:
    location = worker.job.location
    done = last_checkpoint(location)
    rank = ray.train.get_context().get_world_rank()
    _stop_if_asked(worker.board, rank)
    if isinstance(done, Outcome):
        # The run was over when it was lost: whoever asks again is told again.
        outcome = done
    else:
        reporter = _Reporter(worker.board, rank, location, worker.job.plan.most_epochs)
        update = _make_update(worker, reporter)
        reporter.metrics = UpdateMetrics(worker.job.update_id, update) if rank == 0 else None
        if done is not None:
            update.resume(done)
        outcome = update.run()
    metrics = {
        "val_accuracy": outcome.val_accuracy,
        "epochs": sum(phase["epochs"] for phase in outcome.phases),
        "percent_done": 100.0,
        "active_connections": outcome.active_connections,
        "total_connections": outcome.total_connections,
        "ledger": outcome.ledger,
        "finished": True,
    }
    if failure := _report(rank, location, lambda folder: save_outcome(folder, outcome), metrics):
        raise failure


def _make_update(worker: WorkerConfig, observer: Observer) -> Update:
    job = worker.job
    context = ray.train.get_context()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // context.get_local_world_size()))
    task = make_task(job.task)
    data = _data(worker, job.catalog())
    learner = make_learner(
        task,
        data,
        job.plan,
        num_classes=len(job.classes),
        seed=job.seed,
        parent=read_tensors(job.location, job.parent) if job.parent else None,
        parent_classes=len(job.parent.classes) if job.parent else None,
        device=ray.train.torch.get_device(),
        packed_gradients=worker.packed_gradients,
    )
    _require_group()
    return Update(
        job.plan,
        learner,
        data,
        seed=job.seed,
        has_parent=job.parent is not None,
        gate_tolerance=job.gate_tolerance,
        gate_confidence=job.gate_confidence,
        observer=observer,
        checkpoint_seconds=60.0 * worker.checkpoint_minutes,
        shared=SharedWork.read(job.location, worker.shared) if worker.shared else None,
    )


def _data(worker: WorkerConfig, catalog: Catalog) -> TrainingData:
    if not worker.splits:
        return StreamingData(catalog, make_task(worker.job.task))
    shards = {split: ray.train.get_dataset_shard(split) for split in worker.splits}
    return collect(catalog, shards, make_task(worker.job.task).sequences)


class _Reporter:
    """Sends progress to the board (rank 0) and checkpoints to Ray Train (all ranks; rank 0 has the files)."""

    def __init__(self, board: Any, rank: int, location: Location, most_epochs: int) -> None:
        self._board, self._rank, self._location, self._most_epochs = board, rank, location, most_epochs
        self._last = 0.0
        self._progress: Progress | None = None
        self.metrics: UpdateMetrics | None = None

    def progress(self, progress: Progress) -> None:
        """Post it, unless the last one is only just out and the epoch goes on."""
        now = time.monotonic()
        self._progress = progress
        ends_epoch = progress.step is None or progress.step.step == progress.step.steps
        if self._rank == 0 and (ends_epoch or now - self._last > _SHOW_INTERVAL_S):
            if self.metrics:
                self.metrics.show(progress)
            sent = self._board.push.remote(progress)
            self._last = now
            if progress.step is None:
                # A short run can be over before messages that nobody waits for arrive.
                ray.get(sent)

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Report it, or warn that it could not be stored; end here if that was asked for.

        Raises:
            StoppedError: it was.
            Leaving: a node of the group is being drained, and the checkpoint is stored.
        """
        failure = None
        if self._rank == 0:
            checkpoint = make()
            epochs = sum(record["epochs"] for record in checkpoint.state["records"])
            metrics = {
                "val_accuracy": checkpoint.state["val_accuracy"],
                "epochs": epochs,
                "percent_done": 100.0 * epochs / self._most_epochs,
                "ledger": checkpoint.state["ledger"],
                "finished": False,
            }
            failure = _report(self._rank, self._location, lambda folder: save_checkpoint(folder, checkpoint), metrics)
            if failure and self._progress:
                notice = f"warning: no checkpoint ({failure}); going on, the next one is tried again"
                ray.get(self._board.push.remote(replace(self._progress, notice=notice)))
        else:
            ray.train.report({})
        _stop_if_asked(self._board, self._rank)
        # Without a checkpoint they stay: until the node is gone another may succeed.
        if self.leaving() and ray.train.collective.broadcast_from_rank_zero(failure is None):
            raise Leaving

    def leaving(self) -> bool:
        """Whether a node that workers of this group are on is being drained: a spot machine was called back, say."""
        return ray.train.get_preemption_info() is not None


def _stop_if_asked(board: Any, rank: int) -> None:
    """End the run on every rank alike if the driver was asked to stop.

    Raises:
        StoppedError: it was.
    """
    asked = ray.get(board.stopping.remote()) if rank == 0 else None
    if ray.train.collective.broadcast_from_rank_zero(asked):
        raise StoppedError("stopped on request; run the same command again to go on from its last finished epoch")


def _require_group() -> None:
    """Before this worker starts, or stores what it has come to: it must not have done so alone.

    When a worker is lost, Ray Train takes down the process group of the others, whose loops run on until they are
    ended: reductions then return what this worker has.

    Raises:
        RuntimeError: the group is gone. Ray Train has restarted the run by then, or does so now.
    """
    if world_size() != (workers := ray.train.get_context().get_world_size()):
        raise RuntimeError(f"the process group of {workers} workers is gone")


def _report(rank: int, location: Location, save: Callable[[Path], None], metrics: dict[str, Any]) -> RaygpError | None:
    """Report to Ray Train, on every rank, with a checkpoint from rank 0; what kept it from being stored, if something
    did: the report then goes without, and Ray's last checkpoint stays the one before."""
    _require_group()
    checkpoint, failure = None, None
    if rank == 0:
        try:
            checkpoint = store_checkpoint(location, save)
        except RaygpError as error:
            failure = error
    ray.train.report(metrics, checkpoint=checkpoint, checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD)
    return failure
