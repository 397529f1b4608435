"""Taking in what comes into the drop folder: once each, over kills and over any number of watchers."""

from __future__ import annotations

from collections.abc import Callable

from raygp.errors import ConflictError, InputError, RaygpError
from raygp.events import DropDone, DropRefused, DropTaken, Listener
from raygp.store import Location, arrival_names, find_manifest, line_lease
from raygp.store.documents import instant, seconds
from raygp.store.watched import Drop, Watched, WatchNotes
from raygp.watch.drop import DropFolder, Item, arrival_name
from raygp.watch.hands import Hands, Intake
from raygp.watch.policy import pause_s
from raygp.watch.settings import WatchSettings

INTAKE_FILE = "watching.json"
"""The claim of the watcher that ingests from the drop folder."""


class DropIntake:
    """Ingests what is complete in a drop folder.

    Before something is ingested, its name and what it will be called in the line are noted. So a watcher that goes on
    after a kill uses the same name again, and finds what the one before has published.

    Args:
        folder: the drop folder.
        location: root of the line.
        notes: what watchers remember.
        policy: settings.
        hands: who ingests.
        clock: seconds since 1970.
        tell: told of what happens.
    """

    def __init__(
        self,
        folder: DropFolder,
        location: Location,
        notes: WatchNotes,
        policy: WatchSettings,
        hands: Hands,
        clock: Callable[[], float],
        tell: Listener,
    ) -> None:
        self.folder = folder
        self._location, self._notes, self._policy = location, notes, policy
        self._hands, self._clock, self._tell = hands, clock, tell
        self.problem: RaygpError | None = None
        """What went wrong last."""
        self.unsettled: list[Item] = []
        """What may not be complete yet."""

    def step(self) -> bool:
        """Look, and ingest what is complete; whether anything was done.

        Raises:
            RaygpError: storage failed, or the line's task cannot be made.
        """
        complete, self.unsettled = self.folder.look()
        noted = [item for item in self.unsettled if self._is_noted(item)]
        self.unsettled = [item for item in self.unsettled if item not in noted and self._is_new(item)]
        due = [item for item in (*complete, *noted) if self._is_due(item)]
        if not due:
            return False
        try:
            with line_lease(self._location, "raygp watch", INTAKE_FILE):
                # Another watcher may have been at it until now.
                self._notes.read()
                self._hands.check()  # Settings that do not fit are no fault of what came.
                return any([self._take(item) for item in due if self._is_due(item)])
        except ConflictError:
            return False  # Another watcher is at it.

    def note_unsettled(self) -> None:
        """Remember what may not be complete, for a watcher that looks only once: what has not changed until the next
        run is complete."""
        items, now = self.unsettled, instant(self._clock())

        def noted(notes: Watched) -> Watched:
            drops = {item.name: Drop(state="noted", digest=item.shape, since=now) for item in items}
            return notes.model_copy(update={"drops": {**notes.drops, **drops}})

        if items:
            self._notes.change(noted)

    def _is_noted(self, item: Item) -> bool:
        entry = self._notes.now.drops.get(item.name)
        return entry is not None and entry.state == "noted" and entry.digest == item.shape

    def _is_new(self, item: Item) -> bool:
        entry = self._notes.now.drops.get(item.name)
        return entry is None or entry.state == "noted" or entry.digest != item.digest

    def _is_due(self, item: Item) -> bool:
        entry = self._notes.now.drops.get(item.name)
        if entry is None or entry.state == "noted" or entry.digest != item.digest:
            return True
        waited = not entry.again or self._clock() >= seconds(entry.again)
        return waited and (entry.state == "taken" or (entry.state == "refused" and bool(entry.again)))

    def _take(self, item: Item) -> bool:
        """Ingest one; whether that came to something."""
        before = self._notes.now.drops.get(item.name)
        begun = before is not None and before.state == "taken"
        if begun and before is not None and find_manifest(self._location, before.arrival) is not None:
            # By a watcher that was killed before it could note it.
            self._done(item, before.arrival, before.digest)
            return before.digest == item.digest or self._take(item)
        entry = before if begun and before and before.digest == item.digest else self._claim(item, before)
        self._tell(DropTaken(name=item.name, arrival=entry.arrival, files=item.files, bytes=item.bytes))
        try:
            made = self._hands.ingest(Intake(self.folder.source(item), entry.arrival), self._tell)
        except ConflictError as error:
            if find_manifest(self._location, entry.arrival) is not None:
                return self._done(item, entry.arrival)
            return self._failed(item, entry, error)
        except InputError as error:
            self.problem = error
            return self._refused(item, entry, str(error))
        except RaygpError as error:
            return self._failed(item, entry, error)
        return self._done(item, made[0] if made else "")

    def _claim(self, item: Item, before: Drop | None) -> Drop:
        """Note that it is being ingested, and under which name."""
        taken = {*arrival_names(self._location), *(drop.arrival for drop in self._notes.now.drops.values())}
        if before is not None and before.state in ("taken", "refused"):
            taken -= {before.arrival}  # Never published: it can be used for what is there now.
        name = arrival_name(item.name, taken)
        entry = Drop(state="taken", digest=item.digest, since=instant(self._clock()), arrival=name)
        self._put(item, entry)
        return entry

    def _done(self, item: Item, arrival: str, digest: str = "") -> bool:
        now = instant(self._clock())
        self._put(item, Drop(state="done", digest=digest or item.digest, since=now, arrival=arrival))
        self._tell(DropDone(name=item.name, arrival=arrival))
        return True

    def _refused(self, item: Item, entry: Drop, reason: str, again: str = "") -> bool:
        self._put(item, entry.model_copy(update={"state": "refused", "reason": reason, "again": again}))
        self._tell(DropRefused(name=item.name, reason=reason))
        return True

    def _failed(self, item: Item, entry: Drop, error: RaygpError) -> bool:
        """Storage failed, a process was lost or somebody was in the way: it is tried again, the first time at once, so
        that what came together stays together; then after pauses, but not for ever."""
        self.problem, attempts = error, entry.attempts + 1
        counted = entry.model_copy(update={"attempts": attempts})
        if attempts == 1 < self._policy.attempts:
            self._put(item, counted)
            return self._take(item)
        if attempts >= self._policy.attempts:
            return self._refused(item, counted, f"failed {attempts} times: {error}")
        again = instant(self._clock() + pause_s(self._policy, attempts - 1))
        self._put(item, counted.model_copy(update={"reason": str(error), "again": again}))
        self._tell(DropRefused(name=item.name, reason=f"{error}; it is tried again"))
        return True

    def _put(self, item: Item, entry: Drop) -> None:
        self._notes.change(lambda notes: notes.model_copy(update={"drops": {**notes.drops, item.name: entry}}))
