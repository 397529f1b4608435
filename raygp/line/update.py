"""Bringing a line up to date: one update for each arrival that the head has not seen, or one for all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from raygp.errors import ConflictError
from raygp.events import AwaitsApproval, Listener, NothingNew, Notice, Promoted, UpdateStarted, UpdatesWaiting
from raygp.line.approval import await_approval, awaiting
from raygp.line.candidates import Candidate, bless, finish_promotion, refused
from raygp.line.drift import forget_drift, with_drift
from raygp.line.jobs import check_not_refused, make_job, newest_to_fold
from raygp.line.runner import Runner
from raygp.line.state import LineState, read_state, state_after, with_pending
from raygp.line.summary import write_summary
from raygp.line.version import Version
from raygp.store import (
    Card,
    Location,
    line_lease,
    list_versions,
    note_begun,
    open_line,
    promote,
    read_head,
    require_conditional_writes,
    write_version,
)

if TYPE_CHECKING:
    from raygp.settings import RunSettings
    from raygp.tasks.own import TaskCode
    from raygp.update.job import UpdateJob


def update_line(
    location: Location,
    settings: RunSettings,
    runner: Runner,
    tell: Listener,
    sweep: bool = False,
    code: TaskCode | None = None,
    only: frozenset[str] | None = None,
    fold: bool = False,
) -> list[Card]:
    """Fold every pending arrival into the line, oldest first. One without training rows goes with the next that has
    some.

    The runner's session is entered only if there is something to do. Whatever can be refused is refused before.

    Args:
        location: root of the line.
        settings: plans, workers and the rest.
        runner: carries the updates out.
        tell: told of what happens.
        sweep: search for the plan of each arrival, as ``settings.sweep`` says.
        code: of a task of one's own.
        only: names of the arrivals that are folded in; whatever else waits is left alone. None: all.
        fold: one update for all arrivals that wait, in place of one for each. What comes while it runs gets the next.

    Returns:
        The versions that became head.

    Raises:
        RejectedError: the gate refused a candidate, now or when exactly this update was tried before; the arrivals
            after it wait.
        ConflictError: somebody else is at work on the line, or moved the head meanwhile.
        InputError: the line cannot be read, the settings do not fit it, or its storage cannot keep two updaters apart.
        RaygpError: an update failed.
    """
    state = read_state(location, only)
    if state.next is None:
        waiting = tuple(manifest.arrival for manifest in state.pending)
        tell(NothingNew(root=location.root, head=state.version, arrivals=len(state.seen), waiting=waiting))
        return []
    if _waits(location, tell):
        return []
    require_conditional_writes(location)
    with line_lease(location, "raygp update"):
        if _waits(location, tell):
            return []
        if finished := finish_promotion(location, code, tell, approval=settings.promote == "approve"):
            if awaiting(location):
                return []
            what = "was adopted" if finished.origin else "had passed the gate"
            tell(Notice(text=f"{finished.version} {what} and was not promoted yet: it is the head now"))
        # Somebody else may have been at work until the lease was ours.
        moved = finished or read_head(location) != state.head
        state = read_state(location, only) if moved else with_pending(location, state)
        if code is not None and open_line(location).task != state.task:
            raise ConflictError(f"{location.root}: somebody else has changed the line's task: run again")
        return _fold_in(location, state, settings, runner, tell, sweep, code, fold)


def _waits(location: Location, tell: Listener) -> bool:
    """Whether a version waits for a person: then nothing is done but to say so."""
    if (found := awaiting(location)) is None:
        return False
    tell(AwaitsApproval(root=location.root, card=found.card, since=found.since, reason=found.reason))
    return True


def _fold_in(
    location: Location,
    state: LineState,
    settings: RunSettings,
    runner: Runner,
    tell: Listener,
    sweep: bool,
    code: TaskCode | None,
    fold: bool,
) -> list[Card]:
    """One update after the other, until nothing is pending that has training rows."""
    if state.next is None:
        return []
    started = time.monotonic()
    job, state = _next(location, state, settings, runner, tell, sweep, code, fold)
    waiting = sum(manifest.rows("train") > 0 for manifest in state.pending)
    tell(UpdatesWaiting(root=location.root, arrivals=waiting, fold=fold))
    promoted: list[Card] = []
    with runner.session():
        while True:
            if fold:
                _begin(location, state, job, tell)
            done = _update(location, state, job, settings, runner, tell)
            write_summary(location, list_versions(location), time.monotonic() - started)
            if done is None:
                return promoted
            card, state = done
            promoted.append(card)
            if state.next is None:
                return promoted
            job, state = _next(location, state, settings, runner, tell, sweep, code, fold)


def _next(
    location: Location,
    state: LineState,
    settings: RunSettings,
    runner: Runner,
    tell: Listener,
    sweep: bool,
    code: TaskCode | None,
    fold: bool,
) -> tuple[UpdateJob, LineState]:
    """The update that comes next, with what ``on_drift`` makes of it (:func:`raygp.line.drift.with_drift`), and the
    state that knows the manifests read for it. Something with training rows must wait.

    Raises as :func:`raygp.line.jobs.next_job` does.
    """
    arrival = newest_to_fold(location, state, settings, sweep, code) if fold else state.next
    assert arrival is not None
    job, state = make_job(location, state, arrival, settings, sweep, code, fold)
    job = with_drift(job, settings, runner, tell)
    if job.sweep:
        from raygp.search.space import space_of

        space_of(settings.plan, settings.sweep)  # Raises where the space does not fit the plan.
    check_not_refused(job)
    return job, state


def _begin(location: Location, state: LineState, job: UpdateJob, tell: Listener) -> None:
    """Keep which arrivals an update of all of them has begun with, so that it goes on with these."""
    note_begun(location, job.folder, job.folded_in)
    names = [manifest.arrival for manifest in state.pending if manifest.rows("train")]
    if later := names[names.index(job.arrival.arrival) + 1 :]:
        tell(Notice(text=f"{job.version}: goes on without {', '.join(later)}, which came after it was begun"))


def _update(
    location: Location, state: LineState, job: UpdateJob, settings: RunSettings, runner: Runner, tell: Listener
) -> tuple[Card, LineState] | None:
    """Carry out one update; its candidate becomes the head, or is refused. None if it waits for a person.

    Raises:
        RejectedError: the gate refused it.
    """
    if held_out := [manifest.arrival for manifest in job.beside if not manifest.rows("train")]:
        tell(Notice(text=f"{job.version}: the held-out rows of {', '.join(held_out)} count from now on"))
    tell(
        UpdateStarted(
            version=job.version,
            arrival=job.arrival.arrival,
            parent=job.parent.version if job.parent else None,
            plan=job.plan.name,
            metric=job.metric,
            old_rows=job.old_rows,
            new_rows=job.new_rows,
            beside=tuple(job.folded_in[:-1]),
            update=job.update_id,
            settings=job.plan.model_dump(mode="json"),
        )
    )
    # The winner of a sweep has a plan of its own, and so another folder: everything lies in the first one.
    folder, trials = job.folder, None
    if job.sweep:
        past = [card.sweep for card in reversed(list_versions(location)) if card.sweep]
        swept = runner.sweep(job, settings, past, tell)
        job, outcome, trials = swept.job, swept.outcome, swept.record
    else:
        outcome = runner.update(job, settings, tell)
    if not outcome.verdict.promoted:
        said = Candidate(job.version, job.folded_in, job.recorded(outcome))
        raise refused(location, state.version, folder, said, outcome.verdict, tell)
    card = write_version(location, job.card(outcome, runner.workers(settings), trials), outcome.tensors)
    bless(Version(location, card, job.code), state.version, folder, job.catalog(), outcome.probe, tell)
    if settings.promote == "approve":
        await_approval(location, card, folder, outcome.verdict.reason, tell)
        return None
    head = promote(location, card, state.head)
    if trials is not None:
        from raygp.search.outcome import keep_events

        keep_events(location, folder, card.version)
    location.delete(folder, recursive=True)
    forget_drift(job)
    tell(Promoted(card=card, reason=outcome.verdict.reason))
    return card, state_after(location, state, head, card)
