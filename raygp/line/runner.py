"""What carries an update out: Ray Train on a cluster, or a loop in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from raygp.events import Listener

if TYPE_CHECKING:
    from raygp.search.outcome import SweepOutcome
    from raygp.settings import RunSettings
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome


class Runner(Protocol):
    """Carries updates out for a line, which decides which ones and what becomes of their candidates.

    Implementations: :class:`raygp.cluster.runner.RayRunner`, :class:`raygp.line.in_process.InProcessRunner`.
    """

    @property
    def sweeps(self) -> bool:
        """Whether it can search for plans."""
        ...

    def session(self) -> AbstractContextManager[None]:
        """What has to be there while updates run, such as a connection to a cluster. Entered once for all updates of a
        command, and only if there is one to run."""
        ...

    def workers(self, settings: RunSettings) -> int | str:
        """How many workers train an update, as the version's card says it: 2, or "1..8"."""
        ...

    def update(self, job: UpdateJob, settings: RunSettings, tell: Listener) -> Outcome:
        """Carry out one update, from its last checkpoint if it has one.

        Args:
            job: what to do.
            settings: workers, memory limit, failure budget.
            tell: told of what happens inside the update.

        Raises:
            raygp.errors.StoppedError: the process was asked to end; the last checkpoint is kept.
            raygp.errors.RaygpError: the update failed. Nothing but the update's folder was written.
        """
        ...

    def sweep(
        self, job: UpdateJob, settings: RunSettings, past: Sequence[Mapping[str, Any]], tell: Listener
    ) -> SweepOutcome:
        """Search for the best plan around ``job.plan``; an interrupted sweep goes on where it was.

        Args:
            job: the update.
            settings: ``settings.sweep`` says how to search.
            past: the ``sweep`` parts of the line's cards, newest first.
            tell: told of the trials.

        Raises:
            raygp.errors.InputError: this runner cannot sweep.
            raygp.errors.RaygpError: no trial finished.
        """
        ...
