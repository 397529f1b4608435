"""Bringing a model line up to date: one update for each arrival that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.errors import InputError, RejectedError
from raygp.events import EpochEnded, Event, InPhase, Listener, Notice, StepsDone
from raygp.settings import RunSettings
from raygp.store import (
    Card,
    Head,
    Location,
    Manifest,
    arrival_names,
    find_manifests,
    finish_interrupted_promotion,
    list_versions,
    open_head,
    open_line,
    promote,
    read_head,
    version_to_make,
    write_version,
)
from raygp.update.job import UpdateJob
from raygp.update.observer import Progress, Step


@dataclass(frozen=True)
class LineState:
    """Where a line stands: its head, and which arrivals are in it."""

    task: dict[str, Any]
    head: Head | None
    card: Card | None
    """The head's card."""
    seen: tuple[str, ...]
    """Names of the arrivals that the head has seen, in its order."""
    pending: tuple[Manifest, ...]
    """Published arrivals that no version in the head's history has seen, oldest first."""


def line_state(location: Location) -> LineState:
    """Read where the line stands. No Ray, nothing written.

    However long the line's history is, this reads three documents, lists one folder, and reads what is pending.

    Raises:
        InputError: there is no line at the root, or an arrival that the head has seen is gone.
    """
    spec = open_line(location)
    head = read_head(location)
    card = open_head(location, head) if head else None
    names = arrival_names(location)
    seen = tuple(card.arrivals) if card else ()
    for name in sorted(set(seen) - set(names)):
        raise InputError(f"{location.url('arrivals')}: arrival {name}, which the head has seen, is gone")
    pending = find_manifests(location, [name for name in names if name not in set(seen)])
    return LineState(spec.task, head, card, seen, tuple(pending))


def next_job(
    location: Location, state: LineState, arrival: Manifest, settings: RunSettings, sweep: bool = False
) -> UpdateJob:
    """The update that folds ``arrival`` into the head.

    Args:
        location: root of the line.
        state: where it stands.
        arrival: which of the pending ones.
        settings: plans and the rest.
        sweep: look for the plan around ``settings.plan``. The first version has no parent to share work, and its plan
            is not searched for.

    Raises:
        RejectedError: the gate has refused exactly this update before.
        InputError: an arrival that the head has seen was changed.
    """
    job = UpdateJob(
        location=location,
        task=state.task,
        parent=state.card,
        seen=_seen(location, state.card) if state.card else (),
        arrival=arrival,
        plan=settings.plan if state.card else settings.synthesis,
        seed=settings.seed,
        gate_tolerance=settings.gate_tolerance,
        gate_confidence=settings.gate_confidence,
        version=version_to_make(location, state.head),
        sweep=settings.sweep.model_dump_json() if sweep and state.card else "",
    )
    if location.exists(f"{job.folder}/rejected.json"):
        reason = json.loads(location.read_bytes(f"{job.folder}/rejected.json"))["reason"]
        raise RejectedError(f"{arrival.arrival} was tried with this plan before: {reason}. Try another plan or seed")
    return job


def _seen(location: Location, card: Card) -> tuple[Manifest, ...]:
    """Manifests of the arrivals that a version has seen, in its order."""
    found = {manifest.arrival: manifest for manifest in find_manifests(location, card.arrivals)}
    for name in card.arrivals:
        if name not in found:
            raise InputError(f"{card.version} has seen arrival {name}, which is gone from {location.url('arrivals')}")
        if card.manifests.get(name) != found[name].digest:
            raise InputError(f"arrivals/{name}/manifest.json is not the one that {card.version} has seen")
    return tuple(found[name] for name in card.arrivals)


def update_line(
    location: Location,
    settings: RunSettings,
    started: Callable[[UpdateJob], Callable[[Progress], None]],
    finished: Callable[[Card], None],
    sweep: Callable[[UpdateJob], Listener] | None = None,
) -> Sequence[Card]:
    """Fold every pending arrival into the line, oldest first. A Ray cluster is connected.

    Args:
        location: root of the line.
        settings: plans, workers and the rest.
        started: called before each update; gives what shows its progress.
        finished: called with each promoted version.
        sweep: look for the plan of each arrival as ``settings.sweep`` says; called before each sweep; gives what is
        told about its trials.

    Returns:
        The versions that became head.

    Raises:
        RejectedError: the gate refused a candidate; the arrivals after it wait.
        ConflictError: another updater moved the head meanwhile.
        RaygpError: an update failed.
    """
    # The Train run is the one place that needs ray.train at import; asking where a line stands must stay quick.
    from raygp.cluster.train_run import run_update

    promoted: list[Card] = []
    finish_interrupted_promotion(location)
    while (state := line_state(location)).pending:
        job = next_job(location, state, state.pending[0], settings, sweep is not None)
        folder, record = job.folder, None
        if job.sweep and sweep is not None:
            from raygp.cluster.sweep_run import run_sweep
            from raygp.search.outcome import keep_events

            past = [card.sweep for card in reversed(list_versions(location)) if card.sweep]
            swept = run_sweep(job, settings, past, sweep(job))
            job, outcome, record = swept.job, swept.outcome, swept.record
        else:
            outcome = run_update(job, settings, _as_progress(started(job)))
        if not outcome.verdict.promoted:
            rejection = {
                "reason": outcome.verdict.reason, "val_accuracy": outcome.val_accuracy, "ledger": outcome.ledger,
            }  # fmt: skip
            location.delete(folder, recursive=True)
            location.write_bytes(f"{folder}/rejected.json", json.dumps(rejection, indent=1).encode())
            raise RejectedError(
                f"{job.version} from {job.arrival.arrival} {outcome.verdict.reason}: "
                f"{state.card.version if state.card else 'nothing'} stays the head"
            )
        card = write_version(location, job.card(outcome, settings.workers.spelled, record), outcome.tensors)
        promote(location, card, state.head)
        if record is not None:
            keep_events(location, folder, card.version)
        location.delete(folder, recursive=True)
        promoted.append(card)
        finished(card)
    return promoted


def _as_progress(show: Callable[[Progress], None]) -> Listener:
    """TEMPORARY: for listeners that know Progress only."""

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            show(Progress(0, 0, "", 0, 0, 0.0, notice=event.text))
        elif isinstance(event, InPhase) and isinstance(event, StepsDone | EpochEnded):
            place = (event.phase, event.phases, event.kind, event.epoch, event.epochs, event.density)
            if isinstance(event, StepsDone):
                show(Progress(*place, Step(event.step, event.steps, event.loss, event.examples_per_s)))
            else:
                show(Progress(*place, None, event.record.val_accuracy, event.ledger.to_dict()))

    return listen
