"""Bringing a line up to date: one update for each arrival that the head has not seen, oldest first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from raygp.errors import ConflictError, RejectedError
from raygp.events import Listener, NothingNew, Notice, Promoted, Refused, UpdateStarted, UpdatesWaiting
from raygp.line.runner import Runner
from raygp.line.state import LineState, read_state, seen_manifests, state_after, with_pending
from raygp.line.summary import write_summary
from raygp.store import (
    Card,
    Location,
    Manifest,
    Refusal,
    finish_interrupted_promotion,
    line_lease,
    list_versions,
    open_line,
    promote,
    read_head,
    read_refusal,
    require_conditional_writes,
    version_to_make,
    write_refusal,
    write_version,
)

if TYPE_CHECKING:
    from raygp.settings import RunSettings
    from raygp.tasks.own import TaskCode
    from raygp.update.job import UpdateJob
    from raygp.update.outcome import Outcome


def update_line(
    location: Location,
    settings: RunSettings,
    runner: Runner,
    tell: Listener,
    sweep: bool = False,
    code: TaskCode | None = None,
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

    Returns:
        The versions that became head.

    Raises:
        RejectedError: the gate refused a candidate, now or when exactly this update was tried before; the arrivals
            after it wait.
        ConflictError: somebody else is at work on the line, or moved the head meanwhile.
        InputError: the line cannot be read, the settings do not fit it, or its storage cannot keep two updaters apart.
        RaygpError: an update failed.
    """
    state = read_state(location)
    if state.next is None:
        waiting = tuple(manifest.arrival for manifest in state.pending)
        tell(NothingNew(root=location.root, head=state.version, arrivals=len(state.seen), waiting=waiting))
        return []
    require_conditional_writes(location)
    with line_lease(location, "raygp update"):
        if finished := finish_interrupted_promotion(location):
            what = "was adopted" if finished.origin else "had passed the gate"
            tell(Notice(text=f"{finished.version} {what} and was not promoted yet: it is the head now"))
        # Somebody else may have been at work until the lease was ours.
        moved = finished or read_head(location) != state.head
        state = read_state(location) if moved else with_pending(location, state)
        if code is not None and open_line(location).task != state.task:
            raise ConflictError(f"{location.root}: somebody else has changed the line's task: run again")
        return _fold_in(location, state, settings, runner, tell, sweep, code)


def _fold_in(
    location: Location,
    state: LineState,
    settings: RunSettings,
    runner: Runner,
    tell: Listener,
    sweep: bool,
    code: TaskCode | None,
) -> list[Card]:
    """One update after the other, until nothing is pending that has training rows."""
    if state.next is None:
        return []
    started = time.monotonic()
    job, state = next_job(location, state, state.next, settings, sweep, code)
    if job.sweep:
        from raygp.search.space import space_of

        space_of(settings.plan, settings.sweep)  # Raises where the space does not fit the plan.
    tell(UpdatesWaiting(root=location.root, arrivals=sum(manifest.rows("train") > 0 for manifest in state.pending)))
    promoted: list[Card] = []
    with runner.session():
        while True:
            card, state = _update(location, state, job, settings, runner, tell)
            promoted.append(card)
            write_summary(location, list_versions(location), time.monotonic() - started)
            if state.next is None:
                return promoted
            job, state = next_job(location, state, state.next, settings, sweep, code)


def next_job(
    location: Location,
    state: LineState,
    arrival: Manifest,
    settings: RunSettings,
    sweep: bool = False,
    code: TaskCode | None = None,
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

    Raises:
        RejectedError: the gate has refused exactly this update before.
        InputError: an arrival that the head has seen is gone or was changed, or it and a new one hold out rows that
            the other trains on, or there are no validation rows.
    """
    from raygp.data.known import check_disjoint
    from raygp.update.job import UpdateJob

    seen, state = seen_manifests(location, state)
    for manifest in (*state.held_out_before(arrival), arrival):
        check_disjoint(location, seen, manifest)
        seen = (*seen, manifest)
    job = UpdateJob(
        location=location,
        task=state.task,
        parent=state.card,
        seen=seen[:-1],
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
    job.catalog()  # Raises where nothing could be judged by, before a cluster is started.
    if refusal := read_refusal(location, job.folder):
        raise RejectedError(
            f"{arrival.arrival} was tried with this plan before: {refusal.reason}. Try another plan or seed"
        )
    return job, state


def _update(
    location: Location, state: LineState, job: UpdateJob, settings: RunSettings, runner: Runner, tell: Listener
) -> tuple[Card, LineState]:
    """Carry out one update; its candidate becomes the head, or is refused.

    Raises:
        RejectedError: the gate refused it.
    """
    if job.beside:
        names = ", ".join(manifest.arrival for manifest in job.beside)
        tell(Notice(text=f"{job.version}: the held-out rows of {names} count from now on"))
    tell(
        UpdateStarted(
            version=job.version,
            arrival=job.arrival.arrival,
            parent=job.parent.version if job.parent else None,
            plan=job.plan.name,
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
        _refuse(location, state, job, folder, outcome, tell)
    card = write_version(location, job.card(outcome, runner.workers(settings), trials), outcome.tensors)
    head = promote(location, card, state.head)
    if trials is not None:
        from raygp.search.outcome import keep_events

        keep_events(location, folder, card.version)
    location.delete(folder, recursive=True)
    tell(Promoted(card=card, reason=outcome.verdict.reason))
    return card, state_after(location, state, head, card)


def _refuse(
    location: Location, state: LineState, job: UpdateJob, folder: str, outcome: Outcome, tell: Listener
) -> None:
    """Remember the refusal, so that exactly this update is not tried again, and say it.

    Raises:
        RejectedError: always.
    """
    record = outcome.record
    refusal = Refusal(reason=outcome.verdict.reason, val_accuracy=record.val_accuracy, ledger=record.ledger)
    location.delete(folder, recursive=True)
    write_refusal(location, folder, refusal)
    verdict, arrival = outcome.verdict, job.arrival.arrival
    tell(
        Refused(
            version=job.version,
            arrival=arrival,
            reason=verdict.reason,
            head=state.version,
            decided_by=verdict.decided_by,
            advice=verdict.advice,
            record=record,
        )
    )
    stays = f"{state.version or 'nothing'} stays the head"
    hint = f". Try {verdict.advice}" if verdict.advice else ""
    raise RejectedError(f"{job.version} from {arrival} {verdict.reason}: {stays}{hint}")
