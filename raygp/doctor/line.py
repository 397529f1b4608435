"""Whether a line is whole, and what of it waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from raygp.errors import RaygpError
from raygp.finding import Finding
from raygp.line import Line
from raygp.line.unfinished import update_folders
from raygp.store import Location, check_weights, read_refusal
from raygp.store.documents import read_document
from raygp.store.lease import BEAT_S, LAPSE_S, LEASE_FILE, PUBLISHING_FILE, Lease, is_gone
from raygp.store.watched import WatchNotes

_OLD_ARRIVAL_S = 7 * 86_400
_SHOWN = 5


def check_line(location: Location) -> Iterator[Finding]:
    """All findings about the line at a root. Nothing is written."""
    line = Line(location)
    try:
        if not line.exists:
            yield Finding("line", "ok", f"{location.root} holds no line yet: raygp ingest makes one")
            return
        state = line.state
    except RaygpError as error:
        yield Finding("line", "problem", str(error), f"raygp versions --root {location.root} shows what can be read")
        return
    yield Finding("line", "ok", f"task {state.task.get('name')}, {len(state.seen)} arrivals in the head")
    yield _head(line)
    yield _waiting(line)
    yield from _approval(line)
    yield from _refused(line)
    yield from _unfinished(line)
    yield from _watched(location)
    for file, what in ((LEASE_FILE, "update"), (PUBLISHING_FILE, "ingest")):
        yield from _lease(location, file, what)


def _head(line: Line) -> Finding:
    card = line.state.card
    if card is None:
        return Finding("head", "ok", "there is no version yet: raygp update makes the first")
    try:
        check_weights(line.location, card)
    except RaygpError as error:
        return Finding("head", "problem", str(error), f"raygp rollback to an earlier version; {card.version} stays")
    return Finding("head", "ok", f"{card.version} can be read, and every digest is right")


def _waiting(line: Line) -> Finding:
    pending = line.pending
    if not pending:
        return Finding("arrivals", "ok", "none waits")
    age = _age_s(pending[0].published)
    names = ", ".join(manifest.arrival for manifest in pending[:_SHOWN]) + (" ..." if len(pending) > _SHOWN else "")
    text = f"{len(pending)} wait ({names}), the oldest for {_long(age)}"
    if age > _OLD_ARRIVAL_S:
        return Finding("arrivals", "warning", f"{text}: nothing updates this line", f"raygp update --root {line.root}")
    return Finding("arrivals", "ok", text)


def _approval(line: Line) -> Iterator[Finding]:
    if waiting := line.waiting:
        says = f"{waiting.version} waits for a person since {waiting.since[:19]} UTC: {waiting.reason}"
        advice = f"raygp approve {waiting.version}, or raygp reject {waiting.version}: no update starts before"
        yield Finding("approval", "warning", says, advice)


def _refused(line: Line) -> Iterator[Finding]:
    for manifest in line.pending:
        for folder in update_folders(line.location, manifest.arrival):
            try:
                refusal = read_refusal(line.location, folder)
            except RaygpError as error:
                yield Finding("refusals", "problem", str(error), "delete that file: the update is then tried again")
                continue
            if refusal is not None:
                says = f"an update of {manifest.arrival} was refused: {refusal.reason}"
                advice = "other settings, or raygp withdraw; the same update is not tried again"
                yield Finding("refusals", "warning", says, advice)


def _unfinished(line: Line) -> Iterator[Finding]:
    for unfinished in line.unfinished() if line.pending else []:
        what = "a sweep" if unfinished.sweep else "an update"
        done = "no checkpoint yet" if unfinished.epochs is None else f"{unfinished.epochs} epochs done"
        says = f"{what} of {unfinished.arrival} to {unfinished.version}, {done}: it runs, or was interrupted"
        yield Finding("unfinished", "warning", says, "the same command goes on with it")


def _watched(location: Location) -> Iterator[Finding]:
    """What watchers of the line have noted: failures, and what they leave alone."""
    try:
        notes = WatchNotes(location).read()
    except RaygpError as error:
        yield Finding("watcher", "problem", str(error), "delete it: watchers then ask again, and do nothing twice")
        return
    if failing := notes.failing:
        times = "once" if failing.attempts == 1 else f"{failing.attempts} times"
        says = f"an update of {', '.join(failing.arrivals)} failed {times}: {failing.reason}"
        yield Finding("watcher", "warning", says, f"nothing: it is tried again at {failing.again[:19]} UTC")
    for arrival, left in notes.left.items():
        says = f"{arrival} is left alone ({left.why}): {left.reason}"
        yield Finding("watcher", "warning", says, "raygp watch --retry tries it again, raygp withdraw takes it out")
    for name, drop in notes.drops.items():
        if drop.state == "refused":
            says = f"{name} of the drop folder was not taken in: {drop.reason}"
            yield Finding("watcher", "warning", says, "change it or take it away: changed, it is tried again")


def _lease(location: Location, file: str, what: str) -> Iterator[Finding]:
    """Who claims the line, if anybody does, and whether that process lives."""
    name = f"{what}'s lease"
    try:
        lease = read_document(location, file, Lease)
    except RaygpError as error:
        advice = f"delete {location.url(file)}, where no update runs"
        yield Finding(name, "problem", str(error), advice)
        return
    if lease is None:
        return
    who = f"{lease.what} (process {lease.pid} on {lease.host}, since {lease.since[:19]} UTC)"
    if is_gone(lease):
        says = f"{who} has ended without giving the line free"
        yield Finding(name, "warning", says, "nothing: the next takes it over")
        return
    # Each beat comes a little later than its time, so that a long life is allowed a tenth.
    age = _age_s(lease.since)
    silent = age - lease.beats * BEAT_S
    if silent > 4 * LAPSE_S + age / 10:
        says = f"{who} seems dead: its last sign of life came about {_long(silent)} ago"
        yield Finding(name, "warning", says, f"nothing: the next waits {LAPSE_S:.0f} s for a sign, then takes it over")
    else:
        yield Finding(name, "ok", f"{who} is at work on the line")


def _age_s(moment: str) -> float:
    """Seconds since a time of a document (UTC, ISO 8601)."""
    then = datetime.fromisoformat(moment)
    return (datetime.now(UTC) - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()


def _long(seconds: float) -> str:
    """``3 days``, ``5 h``, ``2 min``."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
