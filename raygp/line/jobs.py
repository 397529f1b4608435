"""From where a line stands to the update that comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from raygp.errors import RejectedError
from raygp.line.state import LineState, seen_manifests
from raygp.store import Location, Manifest, read_refusal, version_to_make

if TYPE_CHECKING:
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
        RejectedError: exactly this update has been refused before.
        InputError: an arrival that the head has seen is gone or was changed, or it and a new one hold out rows that
            the other trains on, or there are no validation rows.
    """
    job, state = make_job(location, state, arrival, settings, sweep, code, fold)
    check_not_refused(job)
    return job, state


def make_job(
    location: Location,
    state: LineState,
    arrival: Manifest,
    settings: RunSettings,
    sweep: bool,
    code: TaskCode | None,
    fold: bool,
) -> tuple[UpdateJob, LineState]:
    """As :func:`next_job`; whether it has been refused before is not looked at."""
    from raygp.data.known import check_disjoint

    seen, state = seen_manifests(location, state)
    job = _job(location, state, seen, arrival, settings, sweep, code, fold)
    before = list(seen)
    for manifest in (*job.beside, arrival):
        check_disjoint(location, before, manifest)
        before.append(manifest)
    job.catalog()  # Raises where nothing could be judged by, before a cluster is started.
    return job, state


def check_not_refused(job: UpdateJob) -> None:
    """Raises RejectedError if exactly this update has been refused before."""
    if refusal := read_refusal(job.location, job.folder):
        names = ", ".join(manifest.arrival for manifest in job.trained_on)
        tried = "were tried together" if len(job.trained_on) > 1 else "was tried"
        raise RejectedError(f"{names} {tried} with this plan before: {refusal.reason}. Try another plan or seed")


def newest_to_fold(
    location: Location, state: LineState, settings: RunSettings, sweep: bool, code: TaskCode | None
) -> Manifest:
    """The newest arrival of an update that folds everything which waits; something with training rows must wait.

    An update that was begun over a part of it goes first: more has come since, and its work is not thrown away.
    """
    trained = [manifest for manifest in state.pending if manifest.rows("train")]
    begun = set(location.list("updates"))
    if not begun:
        return trained[-1]
    seen, state = seen_manifests(location, state)
    swept = settings.sweep.model_dump_json() if state.card else ""
    for newest in reversed(trained):
        job = _job(location, state, seen, newest, settings, sweep, code, fold=True)
        # What drifted may have been swept although that was not asked for.
        for same in (job, replace(job, sweep=swept)):
            if same.update_id in begun and read_refusal(location, same.folder) is None:
                return newest
    return trained[-1]


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
