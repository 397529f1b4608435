"""Updates and sweeps on Ray: the runner that the command line uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from raygp.cluster.session import ray_session
from raygp.errors import InputError
from raygp.events import Listener

if TYPE_CHECKING:
    from raygp.search.outcome import SweepOutcome
    from raygp.settings import RunSettings
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome


class RayRunner:
    """Carries updates out as Ray Train runs, and sweeps as Ray Tune runs."""

    def __init__(self, verbose: bool = False, local: bool = False) -> None:
        """Nothing is started yet.

        Args:
            verbose: let Ray's own logs through.
            local: run the loop of an update in this process, with one worker whatever the settings say, instead of on
                workers that Ray Train starts. Ray itself still runs, and decodes the data. Sweeps are not possible.
        """
        self.verbose, self.local = verbose, local

    @property
    def sweeps(self) -> bool:
        """Not in local mode."""
        return not self.local

    def session(self) -> AbstractContextManager[None]:
        """A Ray cluster for the time of the block (:func:`raygp.cluster.session.ray_session`)."""
        return ray_session(self.verbose)

    def workers(self, settings: RunSettings) -> int | str:
        """What the settings say; one in local mode."""
        return 1 if self.local else settings.workers.spelled

    def update(self, job: UpdateJob, settings: RunSettings, tell: Listener) -> Outcome:
        """Run an update inside a :meth:`session`; see :func:`raygp.cluster.train_run.run_update`."""
        # ray.train takes seconds to import, and is not needed before there is something to run.
        from raygp.cluster.train_run import run_update

        return run_update(job, settings, tell, self.local)

    def sweep(
        self, job: UpdateJob, settings: RunSettings, past: Sequence[Mapping[str, Any]], tell: Listener
    ) -> SweepOutcome:
        """Run a sweep inside a :meth:`session`; see :func:`raygp.cluster.sweep_run.run_sweep`.

        Raises:
            InputError: this runner is local.
        """
        if self.local:
            raise InputError("a sweep needs workers: Ray does not pass on what its local mode reports")
        from raygp.cluster.sweep_run import run_sweep

        return run_sweep(job, settings, past, tell)
