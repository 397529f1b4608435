"""Whether storage does what lines need: read, write, keep two writers apart, and agree about the time."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from raygp.doctor.machine import disk
from raygp.errors import ConflictError, RaygpError
from raygp.finding import Finding
from raygp.store import Location
from raygp.store.conditions import PROBES

_SLOW_S = 1.0
_CLOCK_OFF_S = 5.0
_CLOCK_WRONG_S = 300.0
"""S3 refuses requests whose time is a quarter of an hour off."""


@dataclass(frozen=True)
class Probe:
    """What came of a small file in storage."""

    seconds: float
    """Of one write and one read, the longer of the two."""
    created_twice: bool
    """Whether a second exclusive write was let through."""
    replaced_wrongly: bool
    """Whether a write that expected another content was let through."""
    ahead_s: float
    """How far the clock of storage is ahead of this machine's."""


def check_storage(location: Location, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """All findings about a root. A small file is written below ``probes/`` and deleted again; nothing else is touched.

    Args:
        location: the root.
        now: seconds since 1970 on this machine.
    """
    if location.is_local:
        yield disk("root's disk", location.local_path(), "the line")
        if not location.exists():
            says = f"{location.root} does not exist yet: raygp ingest makes it"
            yield Finding("storage", "ok", says)
            return
    try:
        probe = try_out(location, now)
    except RaygpError as error:
        yield Finding("storage", "problem", str(error), "the message says what; raygp needs to read, write and delete")
        return
    says = f"{location.root} can be written, read and deleted ({1000 * probe.seconds:,.0f} ms)"
    if probe.seconds > _SLOW_S:
        yield Finding("storage", "warning", f"{says}, which is slow", "run updates nearer to it, or use faster storage")
    else:
        yield Finding("storage", "ok", says)
    yield _conditions(location, probe)
    yield _clock(probe.ahead_s)


def try_out(location: Location, now: Callable[[], float] = time.time) -> Probe:
    """Write a small file, read it, try to write over it where that must be refused, and delete it.

    Raises:
        RaygpError: one of these fails otherwise, or what was read is not what was written.
    """
    path = f"{PROBES}/doctor-{uuid.uuid4().hex}"
    there = location.exists(PROBES) if location.is_local else True
    content = uuid.uuid4().hex.encode()
    try:
        begun, started = now(), time.monotonic()
        location.create(path, content)
        written = time.monotonic() - started
        middle = (begun + now()) / 2
        if location.read_bytes(path) != content:
            raise RaygpError(f"{location.url(path)} is not what was written a moment before")
        read = time.monotonic() - started - written
        modified = next((file.modified for file in location.walk(PROBES) if file.path == path), middle)
        twice = not _refused(lambda: location.create(path, b"second"))
        wrongly = not _refused(lambda: location.replace(path, b"third", b"expected"))
        honest = location.honours_conditions(path)
        return Probe(max(written, read), twice or not honest, wrongly, modified - middle)
    finally:
        with contextlib.suppress(RaygpError):
            location.delete(path)
            if not there:
                location.delete(PROBES)


def _refused(write: Callable[[], None]) -> bool:
    try:
        write()
    except ConflictError:
        return True
    return False


def _conditions(location: Location, probe: Probe) -> Finding:
    if not (probe.created_twice or probe.replaced_wrongly):
        return Finding("conditional writes", "ok", "a second write, and one over other content, are refused")
    says = f"{location.endpoint} ignores conditional writes: of two updates at once one would undo the other"
    advice = "use storage that honours If-None-Match and If-Match, or --single-writer if nothing else updates this line"
    return Finding("conditional writes", "problem", says, advice)


def _clock(ahead: float) -> Finding:
    text = f"storage's clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    advice = "set the clock: timedatectl set-ntp true, or chrony"
    if abs(ahead) > _CLOCK_WRONG_S:
        return Finding("clock", "problem", f"{text}: S3 refuses requests that are 15 minutes off", advice)
    if abs(ahead) > _CLOCK_OFF_S:
        says = f"{text}: the order of arrivals and the age that raygp gc goes by are as wrong"
        return Finding("clock", "warning", says, advice)
    return Finding("clock", "ok", "this machine and storage agree about the time")
