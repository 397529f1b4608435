"""What a watcher does next, as a function of where the line stands, what is remembered, and the settings.

Nothing is read or written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from raygp.store.documents import instant, seconds
from raygp.store.watched import Failing, Left, Watched, Why
from raygp.watch.settings import WatchSettings

Kind = Literal["failure", "storage", "input", "quiet", "budget", "approval", "refused", "others"]


@dataclass(frozen=True)
class Stand:
    """Where a line stands, as far as a watcher decides by it."""

    head: str | None
    pending: Mapping[str, int]
    """Arrivals that wait, oldest first, with their training rows."""
    settings: str
    """Digest of what decides about updates: with other settings, it is another update."""
    waiting: str = ""
    """The candidate that waits for a person; empty: none does."""


@dataclass(frozen=True)
class Update:
    """Fold these in now."""

    arrivals: tuple[str, ...]
    """All that go into it, those without training rows too."""


@dataclass(frozen=True)
class Pause:
    """Something waits, and no update starts yet."""

    kind: Kind
    because: str
    until: str = ""
    """UTC, ISO 8601; empty: until something changes."""


@dataclass(frozen=True)
class Idle:
    """There is nothing to do."""


Decision = Update | Pause | Idle


def decide(stand: Stand, notes: Watched, policy: WatchSettings, now: float) -> Decision:
    """What to do about what waits. Windows and budgets are looked at elsewhere, once this says that there is an update.

    Args:
        stand: where the line stands.
        notes: what is remembered.
        policy: settings.
        now: seconds since 1970.
    """
    if stand.waiting:
        return Pause("approval", f"{stand.waiting} waits for raygp approve or raygp reject")
    failing = notes.failing
    if failing is not None and now < seconds(failing.again) and set(failing.arrivals) & set(stand.pending):
        return Pause("failure", failing.reason, failing.again)
    resting = {
        name: notes.left[name] for name in stand.pending if name in notes.left and rests(notes.left[name], stand)
    }
    refused = [name for name, entry in resting.items() if entry.why == "refused"]
    if refused and policy.refused == "wait":
        return Pause("refused", f"{_names(refused)}: {resting[refused[0]].reason}")
    fresh = [name for name in stand.pending if name not in resting]
    if not any(stand.pending[name] for name in fresh):
        return Idle()
    trained = [name for name in fresh if stand.pending[name]]
    together = [name for name in trained if name not in notes.apart]
    if not together:
        return Update(_with_held_out(trained[:1], fresh, stand))
    # What was refused goes with what is new. What is tried by itself comes after it, so that it holds nothing up.
    chosen = {*refused, *_with_held_out(together, fresh, stand)}
    return Update(tuple(name for name in stand.pending if name in chosen))


def rests(left: Left, stand: Stand) -> bool:
    """Whether an arrival is still left alone."""
    return left.why == "aside" or (left.head, left.settings) == (stand.head, stand.settings)


def _with_held_out(chosen: Sequence[str], fresh: Sequence[str], stand: Stand) -> tuple[str, ...]:
    """Arrivals, and those without training rows that wait beside them."""
    return tuple(name for name in fresh if name in chosen or not stand.pending[name])


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


# -- what is remembered of an outcome ---------------------------------------------------------------------------------


def after_success(notes: Watched, arrivals: Sequence[str]) -> Watched:
    """They are in a version."""
    return _without(notes, arrivals)


def after_refusal(
    notes: Watched, arrivals: Sequence[str], reason: str, stand: Stand, policy: WatchSettings, now: float
) -> Watched:
    """The gate refused their candidate."""
    notes = _without(notes, arrivals)
    trained = [name for name in arrivals if stand.pending.get(name)]
    if policy.refused == "aside" and len(trained) > 1:
        return notes.model_copy(update={"apart": [*notes.apart, *trained]})
    why: Literal["aside", "refused"] = "aside" if policy.refused == "aside" else "refused"
    return leave(notes, trained, why, reason, stand, now)


def after_drift(notes: Watched, arrivals: Sequence[str], reason: str, stand: Stand, now: float) -> Watched:
    """They are so unlike what the line has seen that the settings say to wait. Of several, each is looked at by
    itself; on another head, again."""
    notes = _without(notes, arrivals)
    trained = [name for name in arrivals if stand.pending.get(name)]
    if len(trained) == 1:
        notes = leave(notes, trained, "drifted", reason, stand, now)
    return notes.model_copy(update={"apart": [*notes.apart, *trained]})


def after_failure(
    notes: Watched, arrivals: Sequence[str], reason: str, stand: Stand, policy: WatchSettings, now: float
) -> tuple[Watched, Failure]:
    """Their update failed. What fails too often together is tried once more one by one: maybe only one is at fault."""
    trained = [name for name in arrivals if stand.pending.get(name)]
    failing = notes.failing
    before = failing.attempts if failing and set(failing.arrivals) & set(arrivals) else 0
    attempts = max([before, *(notes.left[name].attempts for name in arrivals if name in notes.left)]) + 1
    if attempts < policy.attempts:
        again = instant(now + pause_s(policy, attempts))
        failing = Failing(arrivals=list(arrivals), attempts=attempts, reason=reason, again=again)
        return notes.model_copy(update={"failing": failing}), Failure(attempts)
    if len(trained) > 1:
        once = Failing(arrivals=trained, attempts=policy.attempts - 1 or 1, reason=reason, again=instant(now))
        apart = [*notes.apart, *(name for name in trained if name not in notes.apart)]
        return notes.model_copy(update={"failing": once, "apart": apart}), Failure(attempts, one_by_one=True)
    notes = leave(_without(notes, arrivals), trained, "failed", reason, stand, now, attempts)
    # On another head it is tried again, and by itself.
    return notes.model_copy(update={"apart": [*notes.apart, *trained]}), Failure(attempts, gave_up=True)


@dataclass(frozen=True)
class Failure:
    """What follows from a failure."""

    attempts: int
    """So far."""
    one_by_one: bool = False
    """Whether its arrivals are tried one by one from now on."""
    gave_up: bool = False
    """Whether it is left alone from now on."""


def leave(
    notes: Watched,
    arrivals: Sequence[str],
    why: Why,
    reason: str,
    stand: Stand,
    now: float,
    attempts: int = 0,
) -> Watched:
    """Leave arrivals alone."""
    entry = Left(
        why=why, reason=reason, since=instant(now), head=stand.head, settings=stand.settings, attempts=attempts
    )
    apart = [name for name in notes.apart if name not in arrivals]
    return notes.model_copy(update={"left": {**notes.left, **dict.fromkeys(arrivals, entry)}, "apart": apart})


def after_rollback(
    notes: Watched, arrivals: Sequence[str], stand: Stand, policy: WatchSettings, rolled_back: str, now: float
) -> Watched:
    """A person has gone back to an earlier version: what only later ones had seen is not folded in again as it was.

    Args:
        notes: what is remembered.
        arrivals: what the versions after it had seen.
        stand: where the line stands.
        policy: settings; such an arrival is treated as one that was refused.
        rolled_back: time of the rollback.
        now: seconds since 1970.
    """
    why: Literal["aside", "refused"] = "aside" if policy.refused == "aside" else "refused"
    reason = f"a person went back to {stand.head}, which has not seen it"
    notes = leave(notes, arrivals, why, reason, stand, now) if arrivals else notes
    return notes.model_copy(update={"rolled_back": rolled_back})


def forget(notes: Watched) -> Watched:
    """Try everything again."""
    kept = {name: drop for name, drop in notes.drops.items() if drop.state != "refused"}
    drops = {name: drop.model_copy(update={"attempts": 0, "again": ""}) for name, drop in kept.items()}
    return notes.model_copy(update={"failing": None, "left": {}, "apart": [], "drops": drops})


def tidy(notes: Watched, stand: Stand) -> Watched:
    """Without what is said of arrivals that do not wait any more."""
    said = {*notes.left, *notes.apart, *(notes.failing.arrivals if notes.failing else ())}
    return _without(notes, [name for name in said if name not in stand.pending])


def _without(notes: Watched, arrivals: Sequence[str]) -> Watched:
    failing = notes.failing
    if failing is not None:
        rest = [name for name in failing.arrivals if name not in arrivals]
        failing = failing.model_copy(update={"arrivals": rest}) if rest else None
    return notes.model_copy(
        update={
            "failing": failing,
            "left": {name: left for name, left in notes.left.items() if name not in arrivals},
            "apart": [name for name in notes.apart if name not in arrivals],
        }
    )


def pause_s(policy: WatchSettings, failures: int) -> float:
    """How long to wait after so many failures in a row, in seconds."""
    return float(min(policy.pause_s * 2.0 ** min(failures - 1, 60), policy.max_pause_s))
