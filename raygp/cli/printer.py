"""The listener that prints: what happens to a line, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatchmethod

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID

from raygp.data.listing import listed
from raygp.events import (
    Adopted,
    AllKnown,
    Approved,
    AwaitsApproval,
    BudgetSpent,
    CheckpointStored,
    Drifted,
    EpochEnded,
    Event,
    FilesCopied,
    NothingNew,
    Notice,
    PhaseEnded,
    PhaseStarted,
    PlanStarted,
    Promoted,
    Published,
    Refused,
    Rejected,
    Resumed,
    RowsMeasured,
    RungStarted,
    SamplesChecked,
    StepsDone,
    StopAsked,
    SweepStarted,
    TrialEnded,
    UpdateStarted,
    UpdatesWaiting,
    Withdrawn,
    Working,
    WorkShared,
)
from raygp.record import UpdateRecord
from raygp.report.arrivals import rows_by_split
from raygp.report.duplicates import duplicates_line
from raygp.report.parts import parts_table
from raygp.report.progress import Progress, progress_on
from raygp.report.rungs import changes_in_words
from raygp.report.verdict import verdict_line, waiting_line
from raygp.store import Card, Location

_LISTED = 8
"""So many arrivals of an update are named."""
_DOING: dict[type[Event], str] = {
    FilesCopied: "copying files of the source",
    SamplesChecked: "checking and writing samples",
    RowsMeasured: "measuring held-out rows",
}
"""What a bar says for events that tell how far something is."""
_FOLLOWED = (
    UpdatesWaiting, UpdateStarted, Working, StopAsked, PlanStarted, RungStarted, PhaseStarted, StepsDone, EpochEnded,
    PhaseEnded, CheckpointStored, SweepStarted, WorkShared, TrialEnded,
)  # fmt: skip
"""Events of which the view of a running update takes note, after what is printed of them."""


@contextmanager
def printing(console: Console, location: Location) -> Iterator[Printer]:
    """A printer for the time of the block; what it rewrites in place is left as it is at the end."""
    printer = Printer(console, location)
    try:
        yield printer
    finally:
        printer.close()


class Printer:
    """Prints events: lines that stay, a bar while samples are checked, and while an update runs a view of it, which is
    redrawn in place on a terminal.

    Args:
        console: what to print on.
        location: root of the line, where pictures of sweeps are stored.
    """

    def __init__(self, console: Console, location: Location) -> None:
        self._console, self._location = console, location
        self._bar: Bar | None = None
        self._checking = TaskID(0)
        self._progress: Progress | None = None
        self._metric = self._approved = ""

    def __call__(self, event: Event) -> None:
        """Print one event; nothing for those that say nothing to a person."""
        if not isinstance(event, FilesCopied | SamplesChecked | RowsMeasured):
            self._end_bar()
        self._show(event)
        if isinstance(event, _FOLLOWED):
            self._view().follow(event)

    def close(self) -> None:
        """End whatever is rewritten in place."""
        self._end_bar()
        self._end_view()

    @singledispatchmethod
    def _show(self, event: Event) -> None:
        """Events that are not printed."""

    @_show.register(FilesCopied)
    @_show.register(SamplesChecked)
    @_show.register(RowsMeasured)
    def _(self, event: FilesCopied | SamplesChecked | RowsMeasured) -> None:
        what = _DOING[type(event)]
        if not self._console.is_interactive:
            self._view().follow(Working(what=what, done=event.done, total=event.total))
            return
        if self._bar is None:
            self._bar = Bar(console=self._console, transient=True)
            self._checking = self._bar.add_task(what, total=event.total)
            self._bar.start()
        self._bar.update(self._checking, completed=event.done, total=event.total)

    @_show.register
    def _(self, event: Adopted) -> None:
        self._end_view()
        from raygp.report.adopted import adopted_lines

        for line in adopted_lines(event):
            self._console.print(line, markup=False, soft_wrap=True)

    @_show.register
    def _(self, event: Published) -> None:
        self._end_view()
        manifest = event.manifest
        # Numbers, as a regression has them, are no classes.
        count = len(manifest.labels)
        classes = f", {count} class{'' if count == 1 else 'es'}" if count else ""
        self._print(f"published {manifest.arrival}: {rows_by_split(manifest)}{classes} ({manifest.source})")
        if event.quarantine:
            self._print(f"{manifest.arrival}: {manifest.quarantined:,} rows left out, see {event.quarantine}")
        if duplicates := duplicates_line(event.duplicates):
            self._console.print(f"{manifest.arrival}: {duplicates}", markup=False, soft_wrap=True)

    @_show.register
    def _(self, event: AllKnown) -> None:
        self._end_view()
        unusable = f"; {event.unusable:,} cannot be used" if event.unusable else ""
        self._console.print(
            f"nothing published: the line has all of {event.source} already ({event.rows:,} rows; "
            f"{duplicates_line(event.duplicates)}{unusable})",
            markup=False,
            soft_wrap=True,
        )

    @_show.register
    def _(self, event: Withdrawn) -> None:
        left = "1 arrival" if event.left == 1 else f"{event.left:,} arrivals" if event.left else "no arrival"
        gone = event.manifest
        text = f"withdrawn {gone.arrival}: {rows_by_split(gone)} ({gone.source}); {left} left"
        if event.short:
            short = ", ".join(event.short)
            text += f". Published without rows that the line had then: {short}; ingest their sources again to have them"
        self._console.print(text, markup=False, soft_wrap=True)

    @_show.register
    def _(self, event: NothingNew) -> None:
        head = event.head or "no version yet"
        if event.waiting:
            seen = f"{head} has seen every arrival that has training rows ({event.arrivals})"
            text = (
                f"nothing to train on: {seen}; what {', '.join(event.waiting)} holds out counts from the next update on"
            )
            self._console.print(text, markup=False, soft_wrap=True)
        else:
            self._print(f"nothing new: {head} has seen every arrival ({event.arrivals}) of {event.root}")

    @_show.register
    def _(self, event: UpdatesWaiting) -> None:
        waiting = "1 new arrival" if event.arrivals == 1 else f"{event.arrivals} new arrivals"
        folded = ", folded into one update" if event.fold and event.arrivals > 1 else ""
        self._print(f"{waiting} for {event.root}{folded}; starting Ray ...")

    @_show.register
    def _(self, event: Drifted) -> None:
        from raygp.report.drift import told_line

        if line := told_line(event.drift):
            self._say(line)

    @_show.register
    def _(self, event: UpdateStarted) -> None:
        start = f"from {event.parent}" if event.parent else "initial synthesis"
        arrivals = listed([*event.beside, event.arrival], _LISTED) + (" in one update" if event.beside else "")
        self._console.print(f"{event.version}: {arrivals}, {start}, plan '{event.plan}'", markup=False, soft_wrap=True)
        self._metric = event.metric

    @_show.register
    def _(self, event: Resumed) -> None:
        step = f", step {event.step}" if event.step else ""
        place = f"phase {event.phase + 1}/{event.phases} ({event.kind})"
        self._say(f"goes on from its last checkpoint: {place}, {event.epoch} of {event.epochs} epochs done{step}")

    @_show.register
    def _(self, event: RungStarted) -> None:
        self._view().end_line()
        if event.because:
            self._say(event.because)
        changes = f" with {changes_in_words(event.changes)}" if event.changes else ""
        self._say(f"plan {event.rung + 1} of {event.rungs}, '{event.name}'{changes}")

    @_show.register
    def _(self, event: Notice) -> None:
        self._say(event.text)

    @_show.register
    def _(self, event: StopAsked) -> None:
        self._say("asked to end: a checkpoint first; Ctrl-C again ends it at once")

    @_show.register(WorkShared)
    @_show.register(TrialEnded)
    @_show.register(BudgetSpent)
    def _(self, event: WorkShared | TrialEnded | BudgetSpent) -> None:
        from raygp.report.sweep import sweep_line

        self._console.print(sweep_line(event, event.version, self._metric), soft_wrap=True)

    @_show.register
    def _(self, event: AwaitsApproval) -> None:
        self._end_view()
        card = event.card
        if event.is_new:
            self._show_candidate(card)
            self._print(f"{card.version}: passed the gate, {verdict_line(card)}")
        self._console.print(waiting_line(event.root, card.version), markup=False, soft_wrap=True)

    @_show.register
    def _(self, event: Approved) -> None:
        by = f" by {event.by}" if event.by else ""
        self._print(f"{event.version}: approved{by}")
        self._approved = event.version

    @_show.register
    def _(self, event: Rejected) -> None:
        said = (f" by {event.by}" if event.by else "") + (f": {event.because}" if event.because else "")
        self._print(f"{event.card.version}: rejected{said}; {event.head or 'nothing'} stays the head")

    @_show.register
    def _(self, event: Promoted) -> None:
        self._end_view()
        card = event.card
        if card.version != self._approved:  # What a person has approved was shown when it was made.
            self._show_candidate(card)
        self._print(f"{card.version}: promoted, {verdict_line(card)}")

    def _show_candidate(self, card: Card) -> None:
        """The trials of its sweep, and accuracy by arrival and by class."""
        if card.sweep:
            from raygp.report.sweep import trials_table, write_sweep_figure

            trials_table(card.sweep, card.metric).show(self._console)
            self._print(f"{card.version}: trial {card.sweep['winner']} wins: {card.sweep['why']}")
            if figure := write_sweep_figure(self._location, card):
                self._print(f"{card.version}: trials drawn in {figure}")
        if card.parent:
            self._show_parts(card)

    @_show.register
    def _(self, event: Refused) -> None:
        self._end_view()
        if event.record is not None:
            self._show_parts(event.record)

    def _show_parts(self, record: UpdateRecord) -> None:
        """Accuracy by arrival and by class, if there are several."""
        if table := parts_table(record, every=False):
            table.show(self._console)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)

    def _say(self, text: str) -> None:
        """A line about the update that runs."""
        if self._progress:
            self._progress.interrupt(text)
        else:
            self._console.print(text, markup=False, soft_wrap=True)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _view(self) -> Progress:
        if self._progress is None:
            self._progress = progress_on(self._console)
        return self._progress

    def _end_view(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None
