"""What a watcher tells (``raygp watch``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raygp.events.base import Event


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
    """failure, storage, input (settings that do not fit, or a document that cannot be read), quiet (a window of time in
    which no update starts), budget, approval, refused, or others (somebody else is at work on the line)."""
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
