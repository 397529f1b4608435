"""A runner that trains nothing: for tests of what a line does with candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from raygp.errors import InputError
from raygp.events import CheckpointStored, Listener
from raygp.record import Compared, CostLedger, PhaseRecord, UpdateRecord
from raygp.search.outcome import SweepOutcome
from raygp.settings import RunSettings
from raygp.sparse import Masks, pack_model
from raygp.store import Location, Manifest
from raygp.tasks import make_task
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from tests.digits import FewDigits
from tests.store import helpers

DIGIT = next(FewDigits(0, 1).samples()).load()
"""A real one, encoded."""
Judge = Callable[[UpdateJob], Verdict]


def promote_all(job: UpdateJob) -> Verdict:
    """Every candidate passes."""
    return Verdict(True, "first version, validation 90.00%" if job.parent is None else "as good as its parent")


def publish(location: Location, arrival: str) -> Manifest:
    """An arrival whose training rows nobody reads; its validation row is a real digit, since a candidate answers it
    before it is promoted."""
    return helpers.publish(location, arrival, held_out=DIGIT)


class FakeRunner:
    """Gives a candidate at once.

    Args:
        judge: what the gate says of it.
        meanwhile: called while the update runs, for what somebody else does then.
    """

    def __init__(
        self, judge: Judge = promote_all, meanwhile: Callable[[UpdateJob], None] = lambda job: None
    ) -> None:
        self._judge, self._meanwhile = judge, meanwhile
        self.sessions = 0
        self.jobs: list[UpdateJob] = []

    sweeps = False

    @contextmanager
    def session(self) -> Iterator[None]:
        """Counted."""
        self.sessions += 1
        yield

    def workers(self, settings: RunSettings) -> int:
        """Three."""
        return 3

    def update(self, job: UpdateJob, settings: RunSettings, tell: Listener) -> Outcome:
        """A candidate with a model of the line's task that has learnt nothing, but can be loaded and answers."""
        self.jobs.append(job)
        tell(CheckpointStored(epochs=1))
        self._meanwhile(job)
        verdict = self._judge(job)
        return Outcome(verdict=verdict, tensors=untrained(job), record=record(job))

    def sweep(
        self, job: UpdateJob, settings: RunSettings, past: Sequence[Mapping[str, Any]], tell: Listener
    ) -> SweepOutcome:
        """None: see the tests of raygp.search."""
        raise InputError("a fake runner does not sweep")


def untrained(job: UpdateJob) -> dict[str, Tensor]:
    """A whole model as an update would store it, with all connections active."""
    task = make_task(job.task)
    model = task.build_model(len(job.classes))
    return pack_model(model, Masks(model, task.dense))


def record(job: UpdateJob) -> UpdateRecord:
    """What a finished update measured, made up."""
    return UpdateRecord(
        phases=[PhaseRecord(kind="grow-new", epochs=1)],
        ledger=CostLedger(examples=100.0),
        val_accuracy=0.9,
        mask_digest="00ff",
        density=0.25,
        active_connections=1,
        total_connections=4,
        densities={"fc": 0.25},
        test_accuracy=None,
        parent_val_accuracy=0.9 if job.parent else None,
        by_arrival={job.arrival.arrival: Compared(rows=10, accuracy=0.9)},
    )
