"""The watcher: looks, ingests, decides, updates, remembers; and waits in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from raygp.errors import ConflictError, DriftedError, InputError, RaygpError, RejectedError, StoppedError
from raygp.events import (
    ArrivalSeen,
    AttemptFailed,
    EpochEnded,
    Event,
    GaveUp,
    Listener,
    Notice,
    PausedUntil,
    Refused,
    Retried,
    SetAside,
    UpdateStarted,
    WatchBegun,
    WatchIdle,
)
from raygp.record import CostLedger
from raygp.store import list_versions
from raygp.store.card import find_card
from raygp.store.documents import instant, seconds
from raygp.store.watched import Watched, WatchNotes
from raygp.watch import policy
from raygp.watch.budget import note, room_from, spendings
from raygp.watch.drop import DropFolder
from raygp.watch.hands import Hands
from raygp.watch.intake import DropIntake
from raygp.watch.looks import Looks
from raygp.watch.policy import Decision, Idle, Pause, Stand, Update
from raygp.watch.settings import WatchSettings
from raygp.watch.windows import Quiet

if TYPE_CHECKING:
    from raygp.line import Line, LineState


class Watcher:
    """Keeps a line up to date by itself. Several may look after the same line: one of them updates at a time.

    What must outlive a watcher lies in storage: kill it at any moment, and the next one goes on.

    Args:
        line: the line.
        settings: when to look, ingest and update.
        hands: who ingests and updates.
        tell: told of what happens, besides the line's own listeners.
        digest: of the settings of updates (:func:`raygp.watch.hands.digest_of`): with another one, what was refused or
            failed is tried again.
        clock: seconds since 1970.
        sleep: waits so many seconds.

    Raises:
        InputError: there is no drop folder at the address that the settings give.
    """

    def __init__(
        self,
        line: Line,
        settings: WatchSettings,
        hands: Hands,
        tell: Listener,
        digest: str = "",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._line, self._policy, self._digest = line, settings, digest
        self._hands, self._tell_one, self._clock, self._sleep = hands, tell, clock, sleep
        self._notes = WatchNotes(line.location)
        self._looks = Looks(line.location)
        self._quiet = Quiet(self._policy.quiet, self._policy.timezone)
        drop = self._policy.drop
        self._intake = None
        if drop.folder:
            folder = DropFolder(drop)
            self._intake = DropIntake(folder, line.location, self._notes, self._policy, hands, clock, self._tell)
        self._due: float | None = 0.0
        """When to consider again although nothing has changed; None: not before something changes."""
        self._said: Event | None = None
        self._seen: set[str] = set()
        self._failures = self._looked = self._empty = 0
        self._ledger, self._key = CostLedger(), ""
        self._running: tuple[str, ...] = ()
        """Arrivals of the update that was begun last."""
        self.problem: RaygpError | None = None
        """What went wrong last: an update that failed or was refused, something that could not be ingested, or somebody
        else at work."""

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self, once: bool = False) -> None:
        """Look after the line until the process is asked to end, or with ``once`` until nothing is left to do now.

        Raises:
            InputError: there is no line, its documents cannot be read, or the settings do not fit.
            StoppedError: the process was asked to end during an update; the next watcher goes on from its checkpoint.
            RaygpError: with ``once``: storage failed.
        """
        self._begin()
        try:
            if once:
                self._run_once()
                return
            self._check()
            while True:
                if not self._step_or_pause():
                    self._hands.rest()
                    self._sleep(self._wait_s())
        finally:
            self._hands.rest()

    def _check(self) -> None:
        """Settings that do not fit are a reason not to begin; anything else may have passed when there is something to
        do.

        Raises:
            InputError: they do not fit.
        """
        try:
            self._hands.check()
        except InputError:
            raise
        except RaygpError as error:
            self._tell(Notice(text=f"warning: {error}"))
        self._hands.rest()

    def _run_once(self) -> None:
        """Do what is to do now. What is new in the drop folder is looked at twice, as it may not be complete."""
        while self._step_once():
            pass
        if self._intake is None:
            return
        if self._intake.unsettled:
            self._sleep(self._policy.interval_s)
            while self._step_once():
                pass
        self._intake.note_unsettled()
        self.problem = self.problem or self._intake.problem

    def retry(self) -> Watched:
        """Forget what is left alone, so that this watcher or one that runs tries it again; what was remembered.

        Raises:
            InputError: there is no line, or what is remembered cannot be read.
            ConflictError: watchers keep changing it.
        """
        _ = self._line.state  # Raises where there is no line.
        before = self._notes.read()
        self._notes.change(policy.forget)
        drops = tuple(name for name, drop in before.drops.items() if drop.state == "refused")
        failing = before.failing.arrivals if before.failing else []
        self._tell(Retried(arrivals=tuple(dict.fromkeys([*failing, *before.left])), drops=drops))
        return before

    def _begin(self) -> None:
        _ = self._line.refresh()  # Raises where there is no line.
        self._notes.read()
        drop = self._intake.folder.address if self._intake else ""
        self._tell(WatchBegun(root=self._line.root, interval_s=self._policy.interval_s, drop=drop))

    def _step_or_pause(self) -> bool:
        """A step; a storage that fails is waited for."""
        try:
            done = self._step_once()
        except StoppedError:
            raise
        except RaygpError as error:
            self._failures += 1
            self._due = self._clock() + policy.pause_s(self._policy, self._failures)
            kind = "input" if isinstance(error, InputError) else "storage"
            self._say(PausedUntil(until=instant(self._due), kind=kind, because=str(error)))
            return False
        self._failures = 0
        return done

    def _wait_s(self) -> float:
        """Until the next look, in seconds."""
        if self._failures and self._due is not None:
            return max(self._due - self._clock(), 0.0)
        soon = self._policy.interval_s if not self._due else max(self._due - self._clock(), 0.0)
        return min(soon, self._policy.interval_s)

    def _step_once(self) -> bool:
        """Look; do one thing if there is one to do; whether something was done.

        Raises:
            StoppedError: the process was asked to end.
            RaygpError: storage failed, or the line cannot be read.
        """
        self._looked += 1
        taken = False
        # A drop folder elsewhere costs a request, too: now and then the rest of the line has its turn.
        remote = self._intake is not None and not self._intake.folder.is_local
        if self._intake and (not remote or self._looked % 4 != 0):
            taken = self._intake.step()
        budget = 1 if remote and self._looked % 4 != 0 else 2
        due = self._due is not None and self._clock() >= self._due
        if not (taken or due or self._looks.changed(budget)):
            return False
        return self._consider() or taken

    # -- deciding -----------------------------------------------------------------------------------------------------

    def _consider(self) -> bool:
        """Read where the line stands and act on it; whether an update was tried."""
        names = self._looks.names()
        state = self._line.refresh()
        self._notes.read()
        waiting = self._line.waiting
        pending = {manifest.arrival: manifest.rows("train") for manifest in state.pending}
        stand = Stand(state.version, pending, self._digest, waiting.version if waiting else "")
        self._meet(state)
        self._notice_rollback(state, stand)
        self._notes.change(lambda notes: policy.tidy(notes, stand))
        self._looks.settle(names, state, self._notes.content, stand.waiting)
        decision = self._allowed(policy.decide(stand, self._notes.now, self._policy, self._clock()))
        if isinstance(decision, Update):
            return self._update(decision.arrivals, stand)
        self._rest(decision, state)
        return False

    def _allowed(self, decision: Decision) -> Decision:
        """The decision, unless a window or the budget says that no update starts now."""
        if not isinstance(decision, Update):
            return decision
        now = self._clock()
        if (until := self._quiet.until(now)) is not None:
            return Pause("quiet", "no update starts in this window of time", instant(until))
        if self._policy.budget.is_set:
            spent = spendings(list_versions(self._line.location), self._notes.now, now)
            if room := room_from(self._policy.budget, spent, now):
                return Pause("budget", room[1], instant(room[0]))
        return decision

    def _rest(self, decision: Pause | Idle, state: LineState) -> None:
        """Say what is waited for, if that is new."""
        if isinstance(decision, Pause):
            self._due = seconds(decision.until) if decision.until else None
            self._say(PausedUntil(until=decision.until, kind=decision.kind, because=decision.because))
            return
        self._due = None
        left = {name: entry.reason for name, entry in sorted(self._notes.now.left.items())}
        arrivals = len(state.seen)
        self._say(WatchIdle(root=self._line.root, head=state.version, arrivals=arrivals, left=left))

    def _meet(self, state: LineState) -> None:
        """Say which arrivals are new."""
        for manifest in state.pending:
            if manifest.arrival not in self._seen:
                self._tell(ArrivalSeen(arrival=manifest.arrival, rows=manifest.rows("train")))
        self._seen = {manifest.arrival for manifest in state.pending}

    def _notice_rollback(self, state: LineState, stand: Stand) -> None:
        """What a person has gone back from is not made again at once."""
        head = state.head
        if head is None or head.last is None or head.updated == self._notes.now.rolled_back:
            return
        last = find_card(self._line.location, head.last)
        undone = [name for name in (last.arrivals if last else ()) if name in stand.pending]
        now, moved = self._clock(), head.updated
        self._notes.change(lambda notes: policy.after_rollback(notes, undone, stand, self._policy, moved, now))

    # -- updating -----------------------------------------------------------------------------------------------------

    def _update(self, arrivals: tuple[str, ...], stand: Stand) -> bool:
        """Try an update, and remember what came of it; whether it was tried."""
        self._ledger, self._key, self._due, self._running = CostLedger(), "", 0.0, ()
        self._hands.check()  # Settings that do not fit are no fault of what waits: nothing is noted of it.
        try:
            made = self._hands.update(arrivals, self._hear)
        except ConflictError as error:
            self.problem = error
            self._due = self._clock() + self._policy.interval_s
            self._say(PausedUntil(until="", kind="others", because=str(error)))
            return False
        except StoppedError:
            raise
        except RejectedError as error:
            self.problem = error
            self._refused(self._running or arrivals, error, stand)
        except RaygpError as error:
            self.problem = error
            self._failed(self._running or arrivals, str(error), stand)
        else:
            self._notes.change(lambda notes: policy.after_success(notes, arrivals))
            self._empty = 0 if made else self._empty + 1
        self._said = None
        if self._empty > 1:
            # Twice nothing came of it, nor an error: the rest of the interval is not spent on asking again.
            self._due = self._clock() + self._policy.interval_s
            return False
        return True

    def _refused(self, arrivals: tuple[str, ...], error: RejectedError, stand: Stand) -> None:
        now, reason, drifted = self._clock(), str(error), isinstance(error, DriftedError)

        def changed(notes: Watched) -> Watched:
            notes = self._with_cost(notes, now)
            if drifted:
                return policy.after_drift(notes, arrivals, reason, stand, now)
            return policy.after_refusal(notes, arrivals, reason, stand, self._policy, now)

        notes = self._notes.change(changed)
        if aside := tuple(name for name in arrivals if name in notes.left and notes.left[name].why == "aside"):
            self._tell(SetAside(arrivals=aside, reason=reason))
        elif single := [name for name in arrivals if name in notes.apart and name not in notes.left]:
            self._tell(Notice(text=f"{', '.join(single)} were refused together: they are tried one by one"))

    def _failed(self, arrivals: tuple[str, ...], reason: str, stand: Stand) -> None:
        now = self._clock()
        failure = policy.Failure(0)

        def changed(notes: Watched) -> Watched:
            nonlocal failure
            notes, failure = policy.after_failure(
                self._with_cost(notes, now), arrivals, reason, stand, self._policy, now
            )
            return notes

        self._notes.change(changed)
        self._tell(
            AttemptFailed(arrivals=arrivals, reason=reason, attempt=failure.attempts, attempts=self._policy.attempts)
        )
        if failure.gave_up:
            self._tell(GaveUp(arrivals=arrivals, attempts=failure.attempts, reason=reason))
        elif failure.one_by_one:
            self._tell(Notice(text=f"{', '.join(arrivals)} failed together: they are tried one by one"))

    def _with_cost(self, notes: Watched, now: float) -> Watched:
        return note(notes, self._key, self._ledger, now) if self._key and self._ledger.examples else notes

    # -- telling ------------------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        """What an update tells: passed on, and its cost kept for the budget."""
        if isinstance(event, UpdateStarted):
            # One that was begun over a part of what waits goes on first: what came since is not to blame for it.
            self._key, self._running = event.update, (*event.beside, event.arrival)
        elif isinstance(event, EpochEnded):
            self._ledger = event.ledger
        elif isinstance(event, Refused) and event.record is not None:
            self._ledger = event.record.ledger
        self._tell(event)

    def _say(self, event: Event) -> None:
        """Tell what state the watcher is in, unless that was the last thing told of it."""
        if event != self._said:
            self._said = event
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self._tell_one(event)
