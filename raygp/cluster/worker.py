"""What each Ray Train worker runs: all phases of one update."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from raygp.cluster.pipeline import collect
from raygp.cluster.run_files import last_checkpoint, store_checkpoint
from raygp.cluster.streaming import StreamingData
from raygp.data.batches import TrainingData
from raygp.data.catalog import Catalog
from raygp.errors import RaygpError, StoppedError
from raygp.events import CheckpointStored, Event, Notice, StepsDone, Working
from raygp.sparse import MaskDisagreement, world_size
from raygp.update.candidate import make_update
from raygp.update.checkpoints import save_checkpoint, save_outcome
from raygp.update.job import UpdateJob
from raygp.update.ladder import Ladder
from raygp.update.observer import Observer, Silent
from raygp.update.outcome import Outcome
from raygp.update.shared import SharedWork
from raygp.update.state import Checkpoint

_SHOW_INTERVAL_S = 0.5
"""Seconds between two events that tell how far an epoch is."""


@dataclass(frozen=True)
class WorkerConfig:
    """What every worker is given."""

    job: UpdateJob
    board: Any
    """Handle of the actor that passes events on (:mod:`raygp.cluster.board`)."""
    run: str
    """Folder of the Train run, relative to the root: its checkpoints lie there."""
    splits: tuple[str, ...]
    """Names of the materialised datasets; empty if data are streamed."""
    packed_gradients: bool
    checkpoint_minutes: float = 10.0
    shared: str | None = None
    """Folder, relative to the root, of work that this update shares with others (:mod:`raygp.update.shared`)."""
    trial: tuple[Any, str] | None = None
    """Of a trial of a sweep: handle of the sweep's register, which is told what this run holds, and the trial's
    name."""


class Leaving(ray.exceptions.RayActorError):
    """These workers end because a node of theirs is being taken away. Their checkpoint is stored.

    Ray Train takes this error for one of its own, and counts it as a preemption, not as a failure. So the run goes on
    elsewhere at once, and not only when the node is gone.
    """

    def __init__(self) -> None:
        super().__init__(error_msg="a node is being taken away; the update goes on elsewhere", preempted=True)


def run_worker(config: dict[str, WorkerConfig]) -> None:
    """Ray Train's loop function. Every rank runs it; rank 0 checkpoints and reports the candidate.

    Errors that raygp raises on purpose are posted on the board, and the function then returns normally on every rank:
    if it raised them, Ray Train would start another attempt, which would only meet them again. Anything else is
    raised, and Ray Train restarts the group from the last checkpoint.
    """
    worker = config["worker"]
    group = ray.util.get_current_placement_group()
    if worker.trial and group:
        register, name = worker.trial
        ray.get(register.hold.remote(name, group.id.hex()))
    with _failing_on(worker.board), worker.job.told():
        _run(worker)


def run_shared_work(config: dict[str, WorkerConfig]) -> None:
    """Ray Train's loop function for what the trials of a sweep have in common; rank 0 stores it."""
    worker = config["worker"]
    with _failing_on(worker.board), worker.job.told():
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
    done = last_checkpoint(location, worker.run)
    rank = ray.train.get_context().get_world_rank()
    _stop_if_asked(worker.board, rank)
    if isinstance(done, Outcome):
        # The update was over when its run was lost. It only has to be reported again.
        outcome = done
    else:
        reporter = _Reporter(worker, rank)
        reporter.event(Working(what="handing rows to the workers"))
        update = reporter.ladder = _make_update(worker, reporter)
        reporter.metrics = _metrics_of(worker.job, done) if rank == 0 else None
        if done is not None:
            update.resume(done)
        outcome = update.run()
    record = outcome.record
    metrics = {
        "val_accuracy": record.val_accuracy,
        "epochs": sum(phase.epochs for phase in record.phases),
        "percent_done": 100.0,
        "active_connections": record.active_connections,
        "total_connections": record.total_connections,
        "ledger": record.ledger.to_dict(),
        "finished": True,
    }
    if failure := _report(rank, worker, lambda folder: save_outcome(folder, outcome), metrics):
        raise failure


def _metrics_of(job: UpdateJob, done: Checkpoint | None) -> UpdateMetrics:
    """Metrics of an update that begins, or goes on from a checkpoint and its counts."""
    if done is None:
        return UpdateMetrics(job.update_id)
    phases = done.state.record.phases
    return UpdateMetrics(job.update_id, phases, inside_phase=done.state.cursor.phase < len(phases))


def _make_update(worker: WorkerConfig, observer: Observer) -> Ladder:
    job = worker.job
    context = ray.train.get_context()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // context.get_local_world_size()))
    task = job.make_task()
    data = _data(worker, job.catalog())
    update = make_update(
        job,
        task,
        data,
        observer,
        checkpoint_seconds=60.0 * worker.checkpoint_minutes,
        device=ray.train.torch.get_device(),
        packed_gradients=worker.packed_gradients,
        shared=SharedWork.read(job.location, worker.shared) if worker.shared else None,
    )
    _require_group()
    return update


def _data(worker: WorkerConfig, catalog: Catalog) -> TrainingData:
    if not worker.splits:
        return StreamingData(catalog, worker.job.make_task())
    shards = {split: ray.train.get_dataset_shard(split) for split in worker.splits}
    return collect(catalog, shards, worker.job.make_task().sequences)


class _Reporter:
    """The observer of an update in a Train worker: sends events to the board (rank 0 alone), and checkpoints to Ray
    Train (all ranks report; rank 0 has the files)."""

    def __init__(self, worker: WorkerConfig, rank: int) -> None:
        self._worker, self._rank = worker, rank
        self._told = 0.0
        self._unconfirmed: list[Any] = []
        self.metrics: UpdateMetrics | None = None
        self.ladder: Ladder | None = None

    @property
    def _most_epochs(self) -> int:
        """Of the plan that runs, which may be another rung's, or fitted to the arrival."""
        plan = self._worker.job.plan if self.ladder is None else self.ladder.update.plan
        return max(1, plan.most_epochs)

    def event(self, event: Event) -> None:
        """Send it to metrics and board. Of what tells how far something is, only as much as a reader can follow."""
        if self._rank != 0:
            return
        now = time.monotonic()
        if isinstance(event, StepsDone) and event.step < event.steps and now - self._told <= _SHOW_INTERVAL_S:
            return
        self._told = now
        if self.metrics:
            self.metrics(event)
        # The board may carry out calls out of turn, and a short run can be over before a call that nobody waits for is
        # carried out. So what does not merely tell how far something is is waited for, and nothing overtakes a step.
        ray.get(self._unconfirmed)
        self._unconfirmed = [self._worker.board.push.remote(event)]
        if not isinstance(event, StepsDone | Working):
            ray.get(self._unconfirmed)

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Report it, or warn that it could not be stored; end here if that was asked for.

        Raises:
            StoppedError: it was asked for.
            Leaving: a node of the group is being drained, and the checkpoint is stored.
        """
        failure = None
        if self._rank == 0:
            checkpoint = make()
            record = checkpoint.state.record
            epochs = sum(phase.epochs for phase in record.phases)
            metrics = {
                "val_accuracy": record.val_accuracy,
                "epochs": epochs,
                "percent_done": 100.0 * epochs / self._most_epochs,
                "ledger": record.ledger.to_dict(),
                "finished": False,
            }
            failure = _report(self._rank, self._worker, lambda folder: save_checkpoint(folder, checkpoint), metrics)
            if failure:
                notice = f"warning: no checkpoint ({failure}); going on, the next one is tried again"
                self.event(Notice(text=notice))
            else:
                self.event(CheckpointStored(epochs=epochs))
        else:
            ray.train.report({})
        _stop_if_asked(self._worker.board, self._rank)
        # Without a checkpoint they stay: another may succeed before the node is gone.
        if self._called_back() and ray.train.collective.broadcast_from_rank_zero(failure is None):
            raise Leaving

    def leaving(self) -> bool:
        """Whether the driver was asked to stop, or a node is called back."""
        asked = self._rank == 0 and ray.get(self._worker.board.stopping.remote())
        # Through torch's process group: between steps it answers in no time, and Ray's broadcast does not.
        agreed = self.ladder is not None and self.ladder.update.learner.agree(int(asked))[0]
        return bool(agreed) or self._called_back()

    def _called_back(self) -> bool:
        """Whether a node that workers of this group are on is being drained, as a spot machine is that is called
        back."""
        return ray.train.get_preemption_info() is not None


def _stop_if_asked(board: Any, rank: int) -> None:
    """End the run, on every rank alike, if the driver was asked to stop.

    Raises:
        StoppedError: it was.
    """
    asked = ray.get(board.stopping.remote()) if rank == 0 else None
    if ray.train.collective.broadcast_from_rank_zero(asked):
        raise StoppedError("stopped on request; run the same command again to go on from its last checkpoint")


def _require_group() -> None:
    """Make sure that this worker is not training alone. It is called before training starts and before results are
    stored.

    When a worker is lost, Ray Train takes down the process group of the others, and it takes a moment until it ends
    them too. Until then their loops run on, and reductions return what this worker alone has: such results must not
    count.

    Raises:
        RuntimeError: the process group is gone. Ray Train has restarted the run by then, or does so now.
    """
    if world_size() != (workers := ray.train.get_context().get_world_size()):
        raise RuntimeError(f"the process group of {workers} workers is gone")


def _report(
    rank: int, worker: WorkerConfig, save: Callable[[Path], None], metrics: dict[str, Any]
) -> RaygpError | None:
    """Report to Ray Train, on every rank, with a checkpoint from rank 0.

    Returns:
        What kept the checkpoint from being stored; None if nothing did. The report then goes without a checkpoint, and
        for Ray the last one stays the one before.
    """
    _require_group()
    checkpoint, failure = None, None
    if rank == 0:
        try:
            checkpoint = store_checkpoint(worker.job.location, worker.run, save)
        except RaygpError as error:
            failure = error
    ray.train.report(metrics, checkpoint=checkpoint, checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD)
    return failure
