"""What happens while a line is worked on, as typed values. Whoever wants to know listens: the command line prints them,
Ray's metrics follow them, a service or a notebook may too.

One update is told as::

    Drifted                               only if the arrival is unlike what the line has seen
    UpdatesWaiting                        before the first update of a command
    UpdateStarted
        Working (now and then)        what is done before the first step, and between the steps
        Resumed                       only if it goes on from a checkpoint
        PlanStarted                   once for each rung
        for each phase:  PhaseStarted
            for each epoch:  StepsDone (now and then), EpochEnded, CheckpointStored
        PhaseEnded
    Promoted, Refused, or AwaitsApproval and later Approved and Promoted, or Rejected

StopAsked comes where a signal asks an update to end after its next checkpoint.

A sweep tells SweepStarted, WorkShared, TrialEnded for each trial, BudgetSpent if one is, in place of the phases. An
ingest tells FilesCopied and SamplesChecked now and then, and Published for each arrival, or AllKnown if there is
nothing new. A watcher tells WatchBegun, then what it sees (ArrivalSeen, DropTaken), what it waits for (WatchIdle,
PausedUntil) and what it gives up (GaveUp, SetAside), around its updates. A withdrawal tells Withdrawn. An adoption
tells RowsMeasured now and then, and Adopted. A Notice is a line of text for people, at any time.

:func:`as_json` is an event as plain data, for whoever is told outside this process.

No torch and no Ray in here: a listener starts fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raygp.event_json import as_json as as_json
from raygp.event_json import type_name as type_name
from raygp.record import CostLedger, DriftRecord, EpochRecord, PhaseRecord, UpdateRecord

if TYPE_CHECKING:
    from raygp.store import Card, Duplicates, Manifest


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened."""


Listener = Callable[[Event], None]
"""Is told of events. It may be called from another thread than the one that works on the line, never by two at once."""


def unheard(event: Event) -> None:
    """A listener that does nothing."""


# -- ingest -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SamplesChecked(Event):
    """An ingest has checked and stored so many samples."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class FilesCopied(Event):
    """Files of a source at a URL have been copied here; the numbers are bytes."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Published(Event):
    """An arrival is in the line."""

    manifest: Manifest
    quarantine: str
    """Address of the list of rows that were left out; empty if none were."""

    @property
    def duplicates(self) -> Duplicates:
        """How many rows of the source were there already, and what became of them."""
        return self.manifest.duplicates


@dataclass(frozen=True, kw_only=True)
class AllKnown(Event):
    """Nothing is published: the line has every row of the source that could be used."""

    root: str
    source: str
    rows: int
    """Of the source."""
    duplicates: Duplicates
    unusable: int
    """Rows that the line does not have, as they cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Withdrawn(Event):
    """An arrival that no version has seen is out of the line again."""

    manifest: Manifest
    """What it was."""
    left: int
    """How many arrivals the line has now."""
    short: tuple[str, ...] = ()
    """Later arrivals that were published without rows which the line had already, maybe in this one."""


# -- adoption ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RowsMeasured(Event):
    """A model that is being adopted has answered so many held-out rows."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Adopted(Event):
    """A dense model that somebody trained is the line's first version."""

    card: Card
    """Its ``origin`` has the names that were not in the file, were left over or had another shape."""
    prefix: str
    """What stood before the names in the file: "module." and the like; empty if nothing did."""
    head_is_new: bool
    """Whether the output layer is untrained."""
    without_rows: tuple[str, ...]
    """Its classes that no arrival has a training row of: updates may forget them."""
    new_classes: tuple[str, ...]
    """Classes of the line that it does not know: they come by the updates that follow."""
    test_left_out: int
    """Test rows of classes that it does not know."""
    guesses: bool
    """Whether it is no better than guessing on validation."""
    notes: tuple[str, ...] = ()
    """What of the file was not used, or is used in a way that a person has to know of."""


# -- the life of a line -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NothingNew(Event):
    """There is nothing to update: the head has seen every arrival that has training rows."""

    root: str
    head: str | None
    arrivals: int
    """How many the head has seen."""
    waiting: tuple[str, ...] = ()
    """Arrivals without training rows: what they hold out counts from the next update on."""


@dataclass(frozen=True, kw_only=True)
class UpdatesWaiting(Event):
    """Updates are about to run, one for each arrival that waits; Ray is started next."""

    root: str
    arrivals: int
    fold: bool = False
    """Whether there is one for all of them."""


@dataclass(frozen=True, kw_only=True)
class Drifted(Event):
    """An arrival is unlike what the line has seen, and how. What is done about it is ``drift.then``: note, warn, sweep
    (its update becomes one) or wait (no update starts)."""

    version: str
    """What the candidate of its update will be called."""
    arrival: str
    """The newest of those that were compared."""
    drift: DriftRecord


@dataclass(frozen=True, kw_only=True)
class UpdateStarted(Event):
    """An update, or a sweep of updates, begins."""

    version: str
    """What its candidate will be called."""
    arrival: str
    """Of several the newest."""
    parent: str | None
    """None: an initial synthesis."""
    plan: str
    """Name of the plan."""
    metric: str = ""
    """What accuracies are called where they are no shares of right answers, such as ``R2``. Else empty."""
    beside: tuple[str, ...] = ()
    """Other arrivals that are folded in together with it, oldest first; some may have no training rows."""
    old_rows: int = 0
    """Training rows of the arrivals that the parent has seen."""
    new_rows: int = 0
    """Those of the arrivals that this update folds in."""
    update: str = ""
    """Id of the update, which is the same when it goes on after an interruption."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the plan, as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Promoted(Event):
    """A candidate passed the gate and is the head."""

    card: Card
    reason: str = ""
    """What the gate said."""


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """The gate refused a candidate."""

    version: str
    arrival: str
    """Of several the newest."""
    reason: str
    head: str | None
    """What stays the head."""
    decided_by: str = "validation"
    """What decided, such as "class 7" (:class:`raygp.update.gate.Verdict`)."""
    advice: str = ""
    """What to try."""
    record: UpdateRecord | None = None
    """What the update did and measured."""
    beside: tuple[str, ...] = ()
    """Other arrivals that it folded in, oldest first."""


@dataclass(frozen=True, kw_only=True)
class AwaitsApproval(Event):
    """A candidate passed the gate and waits for a person (``promote: approve``); until then no update starts."""

    root: str
    card: Card
    since: str
    """UTC, ISO 8601."""
    reason: str = ""
    """What the gate said."""
    is_new: bool = False
    """Whether it waits from now on; if not, an update met it, and did nothing."""


@dataclass(frozen=True, kw_only=True)
class Approved(Event):
    """A person approved the candidate that waited. Promoted follows."""

    version: str
    by: str
    """Empty if that was not said."""
    before: str | None
    """The head until now."""


@dataclass(frozen=True, kw_only=True)
class Rejected(Event):
    """A person rejected the candidate that waited: its files are gone, and its update counts as refused."""

    card: Card
    """Of what was."""
    because: str
    by: str
    """Empty if that was not said."""
    head: str | None
    """What stays the head."""


@dataclass(frozen=True, kw_only=True)
class RolledBack(Event):
    """An earlier version is the head again."""

    version: str
    before: str
    """The head until now."""


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """What was being done to the line ended with an error that is no refusal. Told by whoever tells others
    (:func:`raygp.tell.listeners`), not by the line itself, which raises."""

    doing: str
    """Such as "raygp update"."""
    error: str
    exit_code: int
    """What the command ends with: 1 failed, 2 bad input, 3 somebody else was first."""


@dataclass(frozen=True, kw_only=True)
class TriedOut(Event):
    """Nothing happened: somebody tries out whether those who are to be told are told (``raygp tell --test``)."""

    text: str


# -- watching (raygp watch) --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WatchBegun(Event):
    """A watcher looks after a line from now on."""

    root: str
    interval_s: float
    """Seconds between two looks."""
    drop: str
    """Address of the drop folder; empty: there is none."""


@dataclass(frozen=True, kw_only=True)
class WatchIdle(Event):
    """A watcher has nothing to do. Told when that begins, and when what is left alone changes."""

    root: str
    head: str | None
    arrivals: int
    """How many the head has seen."""
    left: Mapping[str, str]
    """Arrivals that wait and are left alone, and why."""


@dataclass(frozen=True, kw_only=True)
class ArrivalSeen(Event):
    """A watcher has found a new arrival that somebody else published."""

    arrival: str
    rows: int
    """To train on."""


@dataclass(frozen=True, kw_only=True)
class PausedUntil(Event):
    """Something waits for an update, and a watcher does not start one yet."""

    until: str
    """UTC, ISO 8601; empty: until something changes, such as a person's answer or a new arrival."""
    kind: str
    """failure, storage, quiet (a window in which no update starts), budget, approval, refused, or others (somebody else
    is at work on the line)."""
    because: str


@dataclass(frozen=True, kw_only=True)
class AttemptFailed(Event):
    """An update failed: it is tried again after a pause, unless it has failed too often."""

    arrivals: tuple[str, ...]
    reason: str
    attempt: int
    """Attempts so far, this one included."""
    attempts: int
    """As many as there will be."""


@dataclass(frozen=True, kw_only=True)
class GaveUp(Event):
    """A watcher tries arrivals no more: until another one was folded in, or ``raygp watch --retry``."""

    arrivals: tuple[str, ...]
    attempts: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class SetAside(Event):
    """A watcher leaves out arrivals from now on, until ``raygp watch --retry``."""

    arrivals: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class DropTaken(Event):
    """Something in the drop folder is complete and is ingested now."""

    name: str
    arrival: str
    """What it will be called."""
    files: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class DropDone(Event):
    """Something in the drop folder is in the line."""

    name: str
    arrival: str
    """Empty: the line had every row of it."""


@dataclass(frozen=True, kw_only=True)
class DropRefused(Event):
    """Something in the drop folder cannot be used: it stays there, and is looked at again when it changes."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Retried(Event):
    """A person has asked a watcher to try again what it leaves alone."""

    arrivals: tuple[str, ...]
    drops: tuple[str, ...]
    """Names in the drop folder."""


# -- inside an update -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """A line of text for people."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Working(Event):
    """What an update is busy with outside its training steps. Told when it begins if it is known to take long, and now
    and then while it goes on."""

    what: str
    """In words, such as "decoding rows"."""
    done: int = 0
    """How much of it is done."""
    total: int = 0
    """How much there is; 0 where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class StopAsked(Event):
    """A signal has asked the update to end: it does so after its next checkpoint. A second signal ends it at once."""

    signal: str = "SIGTERM"
    """Its name; Ctrl-C is SIGINT."""


@dataclass(frozen=True)
class PlannedPhase:
    """What a phase of a plan is going to do."""

    kind: str
    epochs: int
    """Training epochs of a round."""
    rounds: int
    """How many rounds it has at most."""
    steps: int
    """Training steps of an epoch."""


@dataclass(frozen=True, kw_only=True)
class PlanStarted(Event):
    """A plan is carried out from here on, fitted to the arrival. A safer one that follows it is told again."""

    phases: tuple[PlannedPhase, ...]


@dataclass(frozen=True, kw_only=True)
class RungStarted(Event):
    """A plan was fitted to the arrival; or the plan before did not hold or was passed over, and a safer one starts from
    the same parent."""

    rung: int
    """Position on the ladder, from 0."""
    rungs: int
    name: str
    changes: Mapping[str, Any]
    """Settings in which the plan differs from the one that was asked for, by dotted name."""
    because: str
    """What became of the rung before; of the first one, what is unusual about the arrival; empty if nothing is."""


@dataclass(frozen=True, kw_only=True)
class InPhase(Event):
    """Something inside a phase of an update."""

    phase: int
    """Position in the plan, from 0."""
    phases: int
    kind: str
    round: int
    """Rounds of the phase that are finished."""
    epoch: int
    """Epochs of the round that are finished."""
    epochs: int
    """Epochs that the round has."""
    density: float
    """Of the whole model, now."""


@dataclass(frozen=True, kw_only=True)
class Resumed(InPhase):
    """An update goes on from a checkpoint, at this place."""

    step: int
    """Steps of the running epoch that are finished."""


@dataclass(frozen=True, kw_only=True)
class PhaseStarted(InPhase):
    """A round of a phase has grown or cut, and trains next."""

    densities: Mapping[str, float] = field(default_factory=dict)
    """By layer: the part of its connections that is active."""


@dataclass(frozen=True, kw_only=True)
class StepsDone(InPhase):
    """An epoch has come so far."""

    step: int
    steps: int
    loss: float
    """Training loss, mean over the epoch so far on rank 0."""
    examples_per_s: float
    """All workers together."""


@dataclass(frozen=True, kw_only=True)
class EpochEnded(InPhase):
    """An epoch is over and has been evaluated."""

    record: EpochRecord
    ledger: CostLedger
    """What the update has spent."""


@dataclass(frozen=True, kw_only=True)
class PhaseEnded(InPhase):
    """A phase is over."""

    record: PhaseRecord


@dataclass(frozen=True, kw_only=True)
class CheckpointStored(Event):
    """The update can go on from here if it is interrupted."""

    epochs: int
    """Epochs of the update that are finished."""


# -- sweeps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SweepStarted(Event):
    """Trials of plans are about to run."""

    version: str
    trials: int


@dataclass(frozen=True, kw_only=True)
class WorkShared(Event):
    """What all trials have in common was computed once."""

    version: str
    examples: float
    """What that cost."""
    saved: float
    """What it saves at most."""
    trials: int


@dataclass(frozen=True, kw_only=True)
class TrialEnded(Event):
    """A trial finished, was stopped, failed, or was lost and is tried again."""

    version: str
    number: int
    """Trials that have ended, this one included."""
    trials: int
    """Trials there will be."""
    point: Mapping[str, Any]
    state: str
    """finished, stopped, failed or lost."""
    epochs: int = 0
    val_accuracy: float = 0.0
    active_connections: int | None = None
    examples: float = 0.0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class BudgetSpent(Event):
    """A sweep ends because a budget of its settings is spent."""

    version: str
    budget: str
    """Such as "2 hours" or "1,000 examples"."""
