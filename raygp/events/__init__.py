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

from raygp.events.arrivals import Adopted, AllKnown, FilesCopied, Published, RowsMeasured, SamplesChecked, Withdrawn
from raygp.events.base import Event, Listener, unheard
from raygp.events.json_form import as_json, type_name
from raygp.events.lines import (
    Approved,
    AwaitsApproval,
    Drifted,
    Failed,
    NothingNew,
    Promoted,
    Refused,
    Rejected,
    RolledBack,
    TriedOut,
    UpdateStarted,
    UpdatesWaiting,
)
from raygp.events.sweeps import BudgetSpent, SweepStarted, TrialEnded, WorkShared
from raygp.events.updates import (
    CheckpointStored,
    EpochEnded,
    InPhase,
    Notice,
    PhaseEnded,
    PhaseStarted,
    PlannedPhase,
    PlanStarted,
    Resumed,
    RungStarted,
    StepsDone,
    StopAsked,
    Working,
)
from raygp.events.watching import (
    ArrivalSeen,
    AttemptFailed,
    DropDone,
    DropRefused,
    DropTaken,
    GaveUp,
    PausedUntil,
    Retried,
    SetAside,
    WatchBegun,
    WatchIdle,
)

__all__ = [
    "Adopted",
    "AllKnown",
    "Approved",
    "ArrivalSeen",
    "AttemptFailed",
    "AwaitsApproval",
    "BudgetSpent",
    "CheckpointStored",
    "Drifted",
    "DropDone",
    "DropRefused",
    "DropTaken",
    "EpochEnded",
    "Event",
    "Failed",
    "FilesCopied",
    "GaveUp",
    "InPhase",
    "Listener",
    "NothingNew",
    "Notice",
    "PausedUntil",
    "PhaseEnded",
    "PhaseStarted",
    "PlanStarted",
    "PlannedPhase",
    "Promoted",
    "Published",
    "Refused",
    "Rejected",
    "Resumed",
    "Retried",
    "RolledBack",
    "RowsMeasured",
    "RungStarted",
    "SamplesChecked",
    "SetAside",
    "StepsDone",
    "StopAsked",
    "SweepStarted",
    "TrialEnded",
    "TriedOut",
    "UpdateStarted",
    "UpdatesWaiting",
    "WatchBegun",
    "WatchIdle",
    "Withdrawn",
    "WorkShared",
    "Working",
    "as_json",
    "type_name",
    "unheard",
]
