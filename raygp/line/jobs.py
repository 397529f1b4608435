"""From where a line stands to the update that comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raygp.errors import RejectedError
from raygp.line.state import LineState, seen_manifests
from raygp.store import Location, Manifest, read_refusal, version_to_make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raygp.settings import RunSettings
    from raygp.tasks.own import TaskCode
    from raygp.update.job import UpdateJob


def next_job(
    location: Location,
    state: LineState,
    arrival: Manifest,
    settings: RunSettings,
    sweep: bool = False,
    code: TaskCode | None = None,
    fold: bool = False,
) -> tuple[UpdateJob, LineState]:
    """The update that folds ``arrival`` into the head, and the state that knows the manifests read for it.

    Args:
        location: root of the line.
        state: where it stands.
        arrival: which of the pending ones.
        settings: plans and the rest.
        sweep: search for the plan around ``settings.plan``. The first version has no parent to share work with, and its
            plan is not searched for.
        code: of a task of one's own.
        fold: whether all older ones that wait are folded in together with it. If not, those are that have no training
            rows.

    Raises:
        RejectedError: the gate has refused exactly this update before.
        InputError: an arrival that the head has seen is gone or was changed, or it and a new one hold out rows that
            the other trains on, or there are no validation rows.
    """
    from raygp.data.known import check_disjoint

    seen, state = seen_manifests(location, state)
    before = list(seen)
    for manifest in (*state.going_with(arrival, fold), arrival):
        check_disjoint(location, before, manifest)
        before.append(manifest)
    job = _job(location, state, seen, arrival, settings, sweep, code, fold)
    job.catalog()  # Raises where nothing could be judged by, before a cluster is started.
    if refusal := read_refusal(location, job.folder):
        names = ", ".join(manifest.arrival for manifest in job.trained_on)
        tried = "were tried together" if len(job.trained_on) > 1 else "was tried"
        raise RejectedError(f"{names} {tried} with this plan before: {refusal.reason}. Try another plan or seed")
    return job, state


def job_of_all(
    location: Location, state: LineState, settings: RunSettings, sweep: bool = False, code: TaskCode | None = None
) -> tuple[UpdateJob, LineState]:
    """The update that folds everything that waits into the head. One that was begun over a part of it goes first: more
    has come since, and its work is not thrown away.

    Args and errors are those of :func:`next_job`; something with training rows must wait.
    """
    trained = [manifest for manifest in state.pending if manifest.rows("train")]
    begun = set(location.list("updates"))
    arrival = trained[-1]
    if begun:
        seen, state = seen_manifests(location, state)
        for newest in reversed(trained):
            job = _job(location, state, seen, newest, settings, sweep, code, fold=True)
            if job.update_id in begun and read_refusal(location, job.folder) is None:
                arrival = newest
                break
    return next_job(location, state, arrival, settings, sweep, code, fold=True)


def _job(
    location: Location,
    state: LineState,
    seen: Sequence[Manifest],
    arrival: Manifest,
    settings: RunSettings,
    sweep: bool,
    code: TaskCode | None,
    fold: bool,
) -> UpdateJob:
    """The update as plain data; nothing is checked."""
    from raygp.update.job import UpdateJob

    return UpdateJob(
        location=location,
        task=state.task,
        parent=state.card,
        seen=(*seen, *state.going_with(arrival, fold)),
        arrival=arrival,
        plan=settings.plan if state.card else settings.synthesis,
        seed=settings.seed,
        gate_tolerance=settings.gate_tolerance,
        gate_confidence=settings.gate_confidence,
        gate_class_tolerance=settings.gate_class_tolerance,
        gate_new_margin=settings.gate_new_margin,
        version=version_to_make(location, state.head),
        sweep=settings.sweep.model_dump_json() if sweep and state.card else "",
        ladder=settings.ladder,
        code=code,
    )
