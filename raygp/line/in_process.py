"""Updates in this process, without Ray: one worker, data in memory. For small data, notebooks and tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError, RaygpError
from raygp.events import CheckpointStored, Event, Listener, Notice, StepsDone, StopAsked, unheard
from raygp.stopping import Asked, asking

if TYPE_CHECKING:
    import numpy as np

    from raygp.data.catalog import Catalog, ShardRef
    from raygp.data.resident import Examples, ResidentData
    from raygp.search.outcome import SweepOutcome
    from raygp.settings import RunSettings
    from raygp.tasks import Task
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome
    from raygp.update.state import Checkpoint
    from raygp.update.telling import HowFar

_SHOW_INTERVAL_S = 0.5
_KEPT = 2
"""Checkpoints that are kept: if writing the last one was cut off, the one before counts."""


_NO_CHECKPOINT = "warning: no checkpoint ({error}); going on, the next one is tried again"
_NO_OUTCOME = "warning: the finished candidate could not be kept aside ({error}); going on"


class InProcessRunner:
    """Carries updates out in this process with one worker, whatever the settings say of workers and GPUs.

    Checkpoints are the same files as those of a Ray run, in the same place: each goes on with what the other began.
    SIGTERM or Ctrl-C ends an update after its next checkpoint, a second one at once.
    """

    sweeps = False
    """A sweep runs on Ray."""

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Nothing has to be there."""
        yield

    def workers(self, settings: RunSettings) -> int:
        """One, whatever the settings say."""
        return 1

    def update(self, job: UpdateJob, settings: RunSettings, tell: Listener) -> Outcome:
        """Carry out one update, from its last checkpoint if it has one.

        Raises:
            InputError: the data do not fit into ``resident_mib``, or cannot be read.
            StoppedError: a signal came; the last checkpoint (or the finished candidate) is kept.
            TrainingError: training went wrong.
        """
        from raygp.update.candidate import make_update
        from raygp.update.checkpoints import youngest_checkpoint
        from raygp.update.outcome import Outcome

        _, done = youngest_checkpoint(job.location, job.folder)
        if isinstance(done, Outcome):
            return done
        task = job.make_task()
        data = _resident(job, task, settings.resident_mib, tell)
        asked = Asked()
        observer = _Observer(job, tell, asked)
        with job.told():
            update = make_update(job, task, data, observer, checkpoint_seconds=60.0 * settings.checkpoint_minutes)
            if done is not None:
                update.resume(done)
        with asking(asked), job.told():
            outcome = update.run()
            observer.finished(outcome)
        return outcome

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

    def __init__(self, job: UpdateJob, tell: Listener, asked: Asked) -> None:
        self._job, self._tell, self._asked = job, tell, asked
        self._told = 0.0
        self._told_of_the_end = False

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
        from raygp.update.checkpoints import save_checkpoint

        checkpoint = make()
        if self._store(lambda scratch: save_checkpoint(scratch, checkpoint), _NO_CHECKPOINT):
            self._tell(CheckpointStored(epochs=sum(phase.epochs for phase in checkpoint.state.record.phases)))
        self._stop_if_asked()

    def finished(self, outcome: Outcome) -> None:
        """Store what the update came to, so that it does not have to be measured again if this process ends before the
        candidate is promoted or refused.

        Raises:
            StoppedError: the end was asked for.
        """
        from raygp.update.checkpoints import save_outcome

        self._store(lambda scratch: save_outcome(scratch, outcome), _NO_OUTCOME)
        self._stop_if_asked()

    def leaving(self) -> bool:
        """Whether a checkpoint is wanted at once."""
        if self._asked and not self._told_of_the_end:
            self._told_of_the_end = True
            self._tell(StopAsked(signal=self._asked.name))
        return bool(self._asked)

    def _store(self, save: Callable[[Path], None], failed: str) -> bool:
        """Write a checkpoint's files, and delete those that it makes needless; whether they could be written."""
        from raygp.update.checkpoints import PREFIX, store_checkpoint_files

        # The form that Ray Train gives these names: they sort by time.
        folder = f"{self._job.folder}/{PREFIX}{datetime.now():%Y-%m-%d_%H-%M-%S.%f}"
        try:
            store_checkpoint_files(self._job.location, folder, save)
        except RaygpError as error:
            self._tell(Notice(text=failed.format(error=error)))
            return False
        try:
            self._drop_old()
        except RaygpError as error:
            self._tell(Notice(text=f"warning: an old checkpoint could not be deleted ({error}); going on"))
        return True

    def _drop_old(self) -> None:
        from raygp.update.checkpoints import checkpoint_names

        # In the order of names, which is that of time.
        for name in checkpoint_names(self._job.location, self._job.folder)[:-_KEPT]:
            self._job.location.delete(f"{self._job.folder}/{name}", recursive=True)

    def _stop_if_asked(self) -> None:
        if self._asked:
            raise self._asked.error("stopped on request; run the same command again to go on from its last checkpoint")


def _resident(job: UpdateJob, task: Task, limit_mib: int, tell: Listener = unheard) -> ResidentData:
    """All rows of the update, decoded into memory.

    Raises:
        InputError: they need more than the limit, or a shard cannot be read.
    """
    from raygp.data.reading import decoded_bytes
    from raygp.data.resident import ResidentData
    from raygp.update.telling import HowFar

    catalog = job.catalog()
    if (size := decoded_bytes(catalog, task)) > limit_mib << 20:
        raise InputError(
            f"{size >> 20} MiB of decoded data do not fit resident_mib={limit_mib}: raise it, or update on Ray, which "
            "streams larger data"
        )
    far = HowFar(tell, "decoding rows", catalog.rows)
    held_out = {split: _examples(catalog, refs, task, far) for split, refs in catalog.held_out.items() if refs}
    groups = {split: catalog.groups(split) for split in held_out}
    return ResidentData(_examples(catalog, catalog.train, task, far), catalog.old_rows, held_out, groups)


def _examples(catalog: Catalog, refs: Sequence[ShardRef], task: Task, far: HowFar) -> Examples:
    """The rows of some shards, decoded."""
    import numpy as np

    from raygp.data.reading import read_examples
    from raygp.data.resident import Examples

    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    for ref in refs:
        for part in read_examples(catalog, ref, task):
            inputs += list(part["inputs"])
            targets += [np.asarray(target) for target in part["targets"]]
            far.add(len(part["targets"]))
    return Examples.of(inputs, targets, task.sequences)
