"""Updates in this process, without Ray: one worker, data in memory. For small data, notebooks and tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError, RaygpError, StoppedError
from raygp.events import CheckpointStored, Event, Listener, Notice, StepsDone
from raygp.stopping import on_sigterm

if TYPE_CHECKING:
    from raygp.data.catalog import ShardRef
    from raygp.data.resident import ResidentData
    from raygp.search.outcome import SweepOutcome
    from raygp.settings import RunSettings
    from raygp.tasks import Task
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome
    from raygp.update.state import Checkpoint

_SHOW_INTERVAL_S = 0.5
_KEPT = 2
"""Checkpoints that are kept: if writing the last one was cut off, the one before counts."""


class InProcessRunner:
    """Carries updates out in this process with one worker, whatever the settings say of workers and GPUs.

    Checkpoints are the same files as those of a Ray run, in the same place: each goes on with what the other began.
    SIGTERM ends an update after its next checkpoint.
    """

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Nothing has to be there."""
        yield

    def update(self, job: UpdateJob, settings: RunSettings, tell: Listener) -> Outcome:
        """Carry out one update, from its last checkpoint if it has one.

        Raises:
            InputError: the data do not fit into ``resident_mib``, or cannot be read.
            StoppedError: SIGTERM came; the last checkpoint is kept.
            TrainingError: training went wrong.
        """
        from raygp.tasks import make_task
        from raygp.update.candidate import make_update
        from raygp.update.checkpoints import youngest_checkpoint
        from raygp.update.outcome import Outcome

        _, done = youngest_checkpoint(job.location, job.folder)
        if isinstance(done, Outcome):
            return done
        task = make_task(job.task)
        data = _resident(job, task, settings.resident_mib)
        observer = _Observer(job, tell)
        update = make_update(job, task, data, observer, checkpoint_seconds=60.0 * settings.checkpoint_minutes)
        if done is not None:
            update.resume(done)
        with on_sigterm(observer.stop):
            return update.run()

    def sweep(
        self, job: UpdateJob, settings: RunSettings, past: Sequence[Mapping[str, Any]], tell: Listener
    ) -> SweepOutcome:
        """Not possible.

        Raises:
            InputError: always.
        """
        raise InputError("a sweep runs on Ray: use raygp.cluster.runner.RayRunner, or raygp update --sweep")


class _Observer:
    """Passes events on, stores checkpoints, and ends the update after one if that was asked for."""

    def __init__(self, job: UpdateJob, tell: Listener) -> None:
        self._job, self._tell = job, tell
        self._told = 0.0
        self._stopping = False

    def stop(self) -> None:
        """End the update after its next checkpoint."""
        self._stopping = True

    def event(self, event: Event) -> None:
        """Pass it on; of the steps of an epoch, only as many as a reader can follow."""
        now = time.monotonic()
        if isinstance(event, StepsDone) and event.step < event.steps and now - self._told <= _SHOW_INTERVAL_S:
            return
        self._told = now
        self._tell(event)

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Store it, or say that it could not be stored.

        Raises:
            StoppedError: the end was asked for.
        """
        from raygp.update.checkpoints import PREFIX, save_checkpoint, store_checkpoint_files

        location, run, checkpoint = self._job.location, self._job.folder, make()
        # The form that Ray Train gives these names: they sort by time.
        folder = f"{run}/{PREFIX}{datetime.now():%Y-%m-%d_%H-%M-%S.%f}"
        try:
            store_checkpoint_files(location, folder, lambda scratch: save_checkpoint(scratch, checkpoint))
            self._drop_old()
            self._tell(CheckpointStored(epochs=sum(phase.epochs for phase in checkpoint.state.record.phases)))
        except RaygpError as error:
            self._tell(Notice(text=f"warning: no checkpoint ({error}); going on, the next one is tried again"))
        if self._stopping:
            raise StoppedError("stopped on request; run the same command again to go on from its last checkpoint")

    def leaving(self) -> bool:
        """Whether a checkpoint is wanted at once."""
        return self._stopping

    def _drop_old(self) -> None:
        from raygp.update.checkpoints import PREFIX

        location, run = self._job.location, self._job.folder
        names = [name for name in location.list(run) if name.startswith(PREFIX) and not name.endswith(".json")]
        for name in names[:-_KEPT]:
            location.delete(f"{run}/{name}", recursive=True)


def _resident(job: UpdateJob, task: Task, limit_mib: int) -> ResidentData:
    """All rows of the update, decoded into memory.

    Raises:
        InputError: they need more than the limit, or a shard cannot be read.
    """
    import numpy as np

    from raygp.data.reading import decoded_bytes, read_examples
    from raygp.data.resident import Examples, ResidentData

    catalog = job.catalog()
    if (size := decoded_bytes(catalog, task)) > limit_mib << 20:
        raise InputError(
            f"{size >> 20} MiB of decoded data do not fit resident_mib={limit_mib}: raise it, or update on Ray, which "
            "streams larger data"
        )

    def decoded(refs: Sequence[ShardRef]) -> Examples:
        inputs: list[np.ndarray] = []
        targets: list[np.ndarray] = []
        for ref in refs:
            for part in read_examples(catalog, ref, task):
                inputs += list(part["inputs"])
                targets += [np.asarray(target) for target in part["targets"]]
        return Examples.of(inputs, targets, task.sequences)

    held_out = {split: decoded(refs) for split, refs in catalog.held_out.items() if refs}
    groups = {split: catalog.groups(split) for split in held_out}
    return ResidentData(decoded(catalog.train), catalog.old_rows, held_out, groups)
