"""One update as one Ray Train run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.fs
import ray
import ray.train
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from raygp.cluster.board import Board
from raygp.cluster.stopping import on_sigterm
from raygp.cluster.worker import WorkerConfig, run_worker
from raygp.data.pipeline import materialise
from raygp.data.reading import decoded_bytes
from raygp.errors import InputError, RaygpError, StoppedError, TrainingError
from raygp.settings import RunSettings
from raygp.store import Location
from raygp.tasks import make_task
from raygp.update.checkpoints import load
from raygp.update.engine import Outcome, Progress
from raygp.update.job import UpdateJob


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
    task, catalog = make_task(job.task), job.catalog()
    datasets: dict[str, Any] = {}
    size = decoded_bytes(catalog, task)
    if size > settings.resident_mib << 20 and task.ragged:
        raise InputError(
            f"{size >> 20} MiB of decoded data do not fit resident_mib={settings.resident_mib}, and task {task.name} "
            "cannot be streamed: raise resident_mib"
        )
    if size <= settings.resident_mib << 20:
        datasets = dict(materialise(catalog, task))
    board = Board(show)
    worker = WorkerConfig(job, board.handle, tuple(datasets), settings.packed_gradients)
    trainer = TorchTrainer(
        run_worker,
        train_loop_config={"worker": worker},
        scaling_config=scaling(settings.workers),
        datasets=datasets,
        # Each worker holds all rows and shuffles by index: nothing is split, so no row is dropped.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=RunConfig(
            name=job.update_id,
            **_storage(job.location),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            failure_config=FailureConfig(max_failures=settings.max_failures, controller_failure_limit=1),
        ),
    )
    with board.watching(), on_sigterm(board.stop):
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise TrainingError(f"{job.update_id}: {_cause(error)}") from error
    if board.failure:
        failed = RaygpError(f"{job.update_id}: {board.failure.message}")
        failed.exit_code = board.failure.exit_code
        raise failed
    if board.stopping:
        raise StoppedError(f"{job.update_id}: stopped on request; run the same command again to go on")
    if result.checkpoint is None:
        raise TrainingError(f"{job.update_id}: the run ended without a candidate; run again to go on")
    with result.checkpoint.as_directory() as folder:
        outcome = load(Path(folder))
    if not isinstance(outcome, Outcome):
        raise TrainingError(f"{job.update_id}: the run ended before the gate; run again to go on")
    return outcome


def scaling(workers: int) -> ScalingConfig:
    """Resources of ``workers`` training workers, such that Ray Data's tasks find room beside them.

    A GPU each if the cluster has that many; else a CPU each, or a fraction of one where there are few.
    """
    resources = ray.cluster_resources()
    cpus, gpus = resources.get("CPU", 1.0), resources.get("GPU", 0.0)
    if gpus >= workers:
        return ScalingConfig(num_workers=workers, use_gpu=True)
    share = 1.0 if cpus > workers else max(0.01, int(50 * cpus / workers) / 100)
    return ScalingConfig(num_workers=workers, resources_per_worker={"CPU": share})


def _storage(location: Location) -> dict[str, Any]:
    """Where Ray Train keeps an update in flight."""
    if location.is_local:
        return {"storage_path": str(location.local_path("updates"))}
    filesystem, base = location.filesystem()
    return {
        "storage_path": f"{base}/updates",
        "storage_filesystem": pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem)),
    }


def _cause(error: Exception) -> str:
    """The first worker's exception, or the controller's, as one line."""
    failures = getattr(error, "worker_failures", None) or {}
    inner: Any = next(iter(failures.values()), None) or getattr(error, "controller_failure", None) or error
    inner = getattr(inner, "base_exc", None) or getattr(inner, "_base_exc", None) or inner
    lines = [line for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[-1].strip() if lines else 'no message'} (-v shows Ray's logs)"
