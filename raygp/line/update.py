"""Bringing a line up to date: one update for each arrival that the head has not seen, oldest first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from raygp.errors import ConflictError, InputError, RejectedError
from raygp.events import Listener, NothingNew, Notice, Promoted, Refused, UpdateStarted, UpdatesWaiting
from raygp.line.runner import Runner
from raygp.line.state import LineState, read_state, seen_manifests, state_after, with_pending
from raygp.line.summary import write_summary
from raygp.line.version import Version
from raygp.store import (
    Card,
    Location,
    Manifest,
    Refusal,
    find_manifests,
    finish_interrupted_promotion,
    line_lease,
    list_versions,
    open_line,
    promote,
    read_head,
    read_refusal,
    remove_version,
    require_conditional_writes,
    version_to_make,
    waiting_version,
    write_refusal,
    write_version,
)

if TYPE_CHECKING:
    from raygp.data.catalog import Catalog
    from raygp.record import UpdateRecord
    from raygp.settings import RunSettings
    from raygp.tasks.own import TaskCode
    from raygp.update.gate import Verdict
    from raygp.update.job import UpdateJob
    from raygp.update.probe import Probe


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
        if finished := _finish_promotion(location, code, tell):
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
            metric=job.metric,
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
        said = _Candidate(job.version, job.arrival.arrival, outcome.record)
        raise _refused(location, state.version, folder, said, outcome.verdict, tell)
    card = write_version(location, job.card(outcome, runner.workers(settings), trials), outcome.tensors)
    _bless(Version(location, card, job.code), state.version, folder, job.catalog(), outcome.probe, tell)
    head = promote(location, card, state.head)
    if trials is not None:
        from raygp.search.outcome import keep_events

        keep_events(location, folder, card.version)
    location.delete(folder, recursive=True)
    tell(Promoted(card=card, reason=outcome.verdict.reason))
    return card, state_after(location, state, head, card)


def _finish_promotion(location: Location, code: TaskCode | None, tell: Listener) -> Card | None:
    """Promote the child of the head that was written before somebody was killed; None if there is none.

    Raises:
        RejectedError: it cannot be loaded as it lies in storage, or does not answer as it should.
    """
    head = read_head(location)
    card = waiting_version(location, head)
    if card is None:
        return None
    from raygp.data.catalog import build_catalog
    from raygp.update.checkpoints import youngest_checkpoint
    from raygp.update.outcome import Outcome

    folder = f"updates/{card.update}"
    # An adopted one has seen none, and is tried on what waits.
    names = card.arrivals or [found.arrival for found in read_state(location).pending if found.rows("val")]
    if not names:  # What it was measured on has been withdrawn since.
        return finish_interrupted_promotion(location)
    manifests = {found.arrival: found for found in find_manifests(location, names)}
    *seen, new = (manifests[name] for name in names)
    _, done = youngest_checkpoint(location, folder)
    probe = done.probe if isinstance(done, Outcome) else None
    catalog = build_catalog(location, seen, new, card.classes, replays=False)
    _bless(Version(location, card, code), head.version if head else None, folder, catalog, probe, tell)
    promote(location, card, head)
    return card


def _bless(
    candidate: Version, head: str | None, folder: str, catalog: Catalog, probe: Probe | None, tell: Listener
) -> None:
    """Have a candidate answer a few rows as it lies in storage (:mod:`raygp.line.blessing`); refuse it if it cannot.

    Raises:
        RejectedError: it was refused, and its files are gone.
        InputError: the same of one that was adopted.
    """
    from raygp.line.blessing import ADVICE, LOADING, unfit
    from raygp.update.gate import Verdict
    from raygp.update.probe import ROWS

    location, card = candidate.location, candidate.card
    if reason := unfit(location, card, candidate.task, catalog, probe):
        remove_version(location, card)
        if card.origin:
            said = f"{card.version}, which was adopted, {reason}: it is removed; adopt again"
            raise InputError(f"{location.root}: {said}")
        verdict = Verdict(False, f"rejected: {reason}", LOADING, ROWS, ADVICE)
        raise _refused(location, head, folder, _Candidate(card.version, card.arrival, card), verdict, tell)


class _Candidate(NamedTuple):
    """What is said of a candidate that was refused."""

    version: str
    arrival: str
    record: UpdateRecord


def _refused(
    location: Location, head: str | None, folder: str, candidate: _Candidate, verdict: Verdict, tell: Listener
) -> RejectedError:
    """Remember a refusal, so that exactly this update is not tried again, and say it.

    Args:
        location: root of the line.
        head: what stays the head.
        folder: of the update.
        candidate: which one.
        verdict: on it.
        tell: told of it.
    """
    refusal = Refusal(reason=verdict.reason, val_accuracy=candidate.record.val_accuracy, ledger=candidate.record.ledger)
    location.delete(folder, recursive=True)
    write_refusal(location, folder, refusal)
    tell(
        Refused(
            version=candidate.version,
            arrival=candidate.arrival,
            reason=verdict.reason,
            head=head,
            decided_by=verdict.decided_by,
            advice=verdict.advice,
            record=candidate.record,
        )
    )
    hint = f". Try {verdict.advice}" if verdict.advice else ""
    return RejectedError(
        f"{candidate.version} from {candidate.arrival} {verdict.reason}: {head or 'nothing'} stays the head{hint}"
    )
