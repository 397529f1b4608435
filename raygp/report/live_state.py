"""What the live view shows of an update or a sweep: it follows the events, and draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from raygp.events import (
    CheckpointStored,
    EpochEnded,
    Event,
    InPhase,
    PhaseEnded,
    PhaseStarted,
    PlannedPhase,
    PlanStarted,
    RungStarted,
    StepsDone,
    StopAsked,
    SweepStarted,
    TrialEnded,
    UpdateStarted,
    UpdatesWaiting,
    Working,
    WorkShared,
)
from raygp.record import CostLedger
from raygp.report.baseline import FineTuning

_BASIS_S, _BASIS_STEPS = 4.0, 3
"""Time and steps that have to be behind before anything is said of the time that is left."""
_KEPT = 512
"""Values of a curve. Where there are more, neighbours are merged."""


@dataclass
class Busy:
    """Something that is done outside training steps."""

    what: str
    since: float
    """By the clock of the state."""
    done: int = 0
    total: int = 0
    """0 where nobody knows."""


@dataclass
class Trials:
    """What has come of a sweep's trials."""

    total: int
    ended: dict[str, int] = field(default_factory=dict)
    """How many, by how they ended: finished, stopped, failed."""
    best: float | None = None
    """The highest accuracy of those that finished."""
    examples: float = 0.0

    def note(self, event: TrialEnded) -> None:
        """One ended, or was lost and is tried again."""
        if event.state == "lost":
            return
        self.ended[event.state] = self.ended.get(event.state, 0) + 1
        self.examples += event.examples
        if event.state == "finished":
            self.best = max(event.val_accuracy, self.best if self.best is not None else event.val_accuracy)


class TimeLeft:
    """How long the plan that runs will take, from the steps that this process has seen done."""

    def __init__(self, phases: tuple[PlannedPhase, ...] = ()) -> None:
        """Nothing is known yet of how long the steps of these phases take."""
        self._phases = phases
        self._begun: float | None = None
        self._seen = 0
        self._place: tuple[int, int] = (-1, -1)
        self._in_round = 0
        self._at = 0.0
        self._left = 0

    def note(self, event: InPhase, step: int, now: float) -> None:
        """So many steps of the running epoch are done."""
        if event.phase >= len(self._phases):
            return
        phase, place = self._phases[event.phase], (event.phase, event.round)
        in_round = event.epoch * phase.steps + step
        if self._begun is None:
            self._begun = now
        elif place == self._place:
            self._seen += max(0, in_round - self._in_round)
        else:
            self._seen += in_round
        self._place, self._in_round, self._at = place, in_round, now
        rounds = max(1, phase.rounds - event.round)
        here = rounds * phase.epochs * phase.steps - in_round
        self._left = here + sum(each.rounds * each.epochs * each.steps for each in self._phases[event.phase + 1 :])

    def seconds(self, now: float) -> float | None:
        """Seconds that are left; None before there is anything to tell it by."""
        if self._begun is None or self._at - self._begun < _BASIS_S or self._seen < _BASIS_STEPS:
            return None
        each = (self._at - self._begun) / self._seen
        return max(0.0, self._left * each - (now - self._at))

    @property
    def is_most(self) -> bool:
        """Whether it may be less: rounds of pruning end when they have what they want."""
        return any(phase.rounds > 1 for phase in self._phases[max(0, self._place[0]) :])


class LiveState:
    """Where an update stands. A value that :meth:`follow` changes; whoever draws it reads it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started = clock()
        self.update: UpdateStarted | None = None
        self.rung: RungStarted | None = None
        self.phases: tuple[PlannedPhase, ...] = ()
        self.place: InPhase | None = None
        """The last event inside a phase."""
        self.step = 0
        """Steps of the running epoch that are done."""
        self.steps = 0
        self.rate: float | None = None
        """Examples a second."""
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.densities: Mapping[str, float] = {}
        self.ledger: CostLedger | None = None
        self.fine_tuning: FineTuning | None = None
        self.busy: Busy | None = None
        self.trials: Trials | None = None
        self.stopping = False
        self.left = TimeLeft()

    def follow(self, event: Event) -> None:
        """Take up what has happened."""
        match event:
            case UpdatesWaiting():
                self._be_busy("starting Ray")
            case UpdateStarted():
                self.update, self.started = event, self.clock()
                self.fine_tuning = FineTuning.of(event.old_rows, event.new_rows)
                self._be_busy("reading what the update needs")
            case Working():
                self._be_busy(event.what, event.done, event.total)
            case RungStarted():
                self.rung = event
                self._forget()
            case PlanStarted():
                self.phases, self.left = event.phases, TimeLeft(event.phases)
            case SweepStarted():
                self.trials = Trials(event.trials)
                self._be_busy("computing what all trials have in common")
            case WorkShared():
                self._be_busy("trials are running")
            case TrialEnded():
                self.trials = self.trials or Trials(event.trials)
                self.trials.note(event)
                self._be_busy("trials are running", since=self.started)
            case StopAsked():
                self.stopping = True
            case CheckpointStored() if self.stopping:
                self._be_busy("stored a checkpoint; ending")
            case InPhase():
                self._inside(event)

    def _inside(self, event: InPhase) -> None:
        now = self.clock()
        self.place, self.step, self.busy = event, 0, None
        match event:
            case StepsDone():
                self.step, self.steps, self.rate = event.step, event.steps, event.examples_per_s
                _put(self.losses, event.loss)
                self.left.note(event, event.step, now)
                if event.step == event.steps:
                    self._be_busy("answering validation rows")
            case EpochEnded():
                _put(self.accuracies, event.record.val_accuracy)
                self.densities, self.ledger = event.record.densities, event.ledger
                self.left.note(event, 0, now)
            case PhaseStarted():
                self.densities = event.densities or self.densities
                self.left.note(event, 0, now)
            case PhaseEnded() if event.phase + 1 == event.phases:
                self._be_busy("judging and storing the candidate")

    def _forget(self) -> None:
        """Another rung starts from the parent: its curves are its own, the cost goes on."""
        self.place, self.step, self.rate, self.phases = None, 0, None, ()
        self.losses, self.accuracies, self.densities = [], [], {}

    def _be_busy(self, what: str, done: int = 0, total: int = 0, since: float | None = None) -> None:
        if self.busy is None or self.busy.what != what:
            self.busy = Busy(what, self.clock() if since is None else since)
        self.busy.done, self.busy.total = done, total


def _put(values: list[float], value: float) -> None:
    values.append(value)
    if len(values) > _KEPT:
        values[:] = [(one + two) / 2 for one, two in zip(values[::2], values[1::2], strict=False)]
