"""What a watcher prints: a line with the local time for each thing that happens, and nothing while nothing does."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import singledispatchmethod
from typing import IO

from raygp.data.listing import numbered
from raygp.events import (
    AllKnown,
    ArrivalSeen,
    AttemptFailed,
    AwaitsApproval,
    Drifted,
    DropDone,
    DropRefused,
    DropTaken,
    Event,
    GaveUp,
    Notice,
    PausedUntil,
    PhaseEnded,
    Promoted,
    Published,
    Refused,
    Resumed,
    Retried,
    RungStarted,
    SetAside,
    StopAsked,
    SweepStarted,
    UpdateStarted,
    WatchBegun,
    WatchIdle,
)
from raygp.record import called
from raygp.report.arrivals import rows_by_split

_TIME = "%Y-%m-%d %H:%M:%S"


class WatchLines:
    """A listener that prints one line for each event that says something to a person.

    Args:
        stream: where to.
    """

    def __init__(self, stream: IO[str] = sys.stdout) -> None:
        self._stream = stream
        self._version = self._metric = ""

    def __call__(self, event: Event) -> None:
        """Print one event."""
        for text in filter(None, (self._text(event) or "").splitlines()):
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"{datetime.now().astimezone():{_TIME}}  {text}", file=self._stream, flush=True)

    @singledispatchmethod
    def _text(self, event: Event) -> str | None:
        """Events that are not printed."""
        return None

    @_text.register
    def _(self, event: WatchBegun) -> str:
        drop = f", and after the drop folder {event.drop}" if event.drop else ""
        return f"looks after {event.root} every {event.interval_s:g} s{drop}"

    @_text.register
    def _(self, event: WatchIdle) -> str:
        seen = numbered(event.arrivals, "arrival")
        head = f"{event.head} has seen {seen}" if event.head else "there is no version yet"
        left = "".join(f"\n  {name} is left alone: {reason}" for name, reason in event.left.items())
        return f"nothing to do: {head}{left}"

    @_text.register
    def _(self, event: ArrivalSeen) -> str:
        return f"{event.arrival} waits: {numbered(event.rows, 'training row')}"

    @_text.register
    def _(self, event: PausedUntil) -> str:
        until = f"until {datetime.fromisoformat(event.until).astimezone():{_TIME}}" if event.until else "waits"
        return f"{until}: {event.because}"

    @_text.register
    def _(self, event: AttemptFailed) -> str:
        return f"{', '.join(event.arrivals)}: attempt {event.attempt} of {event.attempts} failed: {event.reason}"

    @_text.register
    def _(self, event: GaveUp) -> str:
        given_up = f"{', '.join(event.arrivals)}: given up after {numbered(event.attempts, 'attempt')}"
        return f"{given_up}, until another arrival is folded in, or raygp watch --retry"

    @_text.register
    def _(self, event: SetAside) -> str:
        return f"{', '.join(event.arrivals)}: left out from now on, until raygp watch --retry"

    @_text.register
    def _(self, event: Retried) -> str:
        names = (*event.arrivals, *event.drops)
        return f"tried again: {', '.join(names)}" if names else "nothing was left alone"

    @_text.register
    def _(self, event: DropTaken) -> str:
        size = f"{numbered(event.files, 'file')}, {event.bytes / 1e6:,.1f} MB"
        return f"{event.name} in the drop folder is complete ({size}): ingested as {event.arrival}"

    @_text.register
    def _(self, event: DropDone) -> str | None:
        return None if event.arrival else f"{event.name} in the drop folder has nothing new"

    @_text.register
    def _(self, event: DropRefused) -> str:
        return f"{event.name} in the drop folder cannot be used: {event.reason}"

    @_text.register
    def _(self, event: Published) -> str:
        manifest = event.manifest
        left_out = f"; {manifest.quarantined:,} left out, see {event.quarantine}" if event.quarantine else ""
        return f"published {manifest.arrival}: {rows_by_split(manifest)}{left_out}"

    @_text.register
    def _(self, event: AllKnown) -> str:
        return f"the line has all {event.rows:,} rows of {event.source} already"

    @_text.register
    def _(self, event: UpdateStarted) -> str:
        self._version, self._metric = event.version, event.metric
        start = f"from {event.parent}" if event.parent else "initial synthesis"
        arrivals = ", ".join((*event.beside, event.arrival))
        return f"{event.version}: {arrivals}, {start}, plan '{event.plan}'"

    @_text.register
    def _(self, event: Resumed) -> str:
        return f"{self._version}: goes on from its last checkpoint"

    @_text.register
    def _(self, event: RungStarted) -> str | None:
        return f"{self._version}: {event.because}; plan '{event.name}'" if event.because else None

    @_text.register
    def _(self, event: PhaseEnded) -> str:
        accuracy = called(event.record.val_accuracy, self._metric)
        phase = f"phase {event.phase + 1} of {event.phases} ({event.kind})"
        return f"{self._version}: {phase} ended, density {event.record.density_after:.3f}, validation {accuracy}"

    @_text.register
    def _(self, event: SweepStarted) -> str:
        return f"{event.version}: {numbered(event.trials, 'trial')}"

    @_text.register
    def _(self, event: Drifted) -> str:
        from raygp.drift.words import drift_line

        return f"{event.version}: {drift_line(event.drift)}"

    @_text.register
    def _(self, event: Promoted) -> str:
        from raygp.report.verdict import verdict_line

        return f"{event.card.version}: promoted, {verdict_line(event.card)}"

    @_text.register
    def _(self, event: Refused) -> str:
        hint = f". Try {event.advice}" if event.advice else ""
        return f"{event.version}: {event.reason}; {event.head or 'nothing'} stays the head{hint}"

    @_text.register
    def _(self, event: AwaitsApproval) -> str | None:
        version = event.card.version
        if not event.is_new:
            return None  # The watcher says what it waits for.
        return f"{version}: passed the gate, {event.reason}: raygp approve {version}, or raygp reject {version}"

    @_text.register
    def _(self, event: StopAsked) -> str:
        return f"{self._version}: stops after its next checkpoint"

    @_text.register
    def _(self, event: Notice) -> str:
        return event.text
