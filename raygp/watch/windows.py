"""Windows of time in which no update starts, on the clock of a place: over midnight, and over daylight saving."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_FORM = re.compile(r"(?:(?P<days>[a-z,\s-]+)\s+)?(?P<start>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2})")
FORM = "[DAYS] HH:MM-HH:MM, such as 'mon-fri 08:00-18:00', 'sat,sun 00:00-24:00' or '22:00-06:00'"


@dataclass(frozen=True)
class Window:
    """A window that comes every week. One that ends at or before its start ends on the day after."""

    days: frozenset[int]
    """On which it begins; Monday is 0."""
    start: int
    """Minutes after midnight."""
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """What a setting says.

        Raises:
            ValueError: it has another form.
        """
        found = _FORM.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(f"expected {FORM}, not '{text}'")
        start, end = _minutes(found["start"], text), _minutes(found["end"], text)
        if start == _DAY_MINUTES:
            raise ValueError(f"a window begins before 24:00, not as '{text}'")
        return cls(frozenset(_days(found["days"], text)), start, end)

    @property
    def length(self) -> int:
        """In minutes on the clock."""
        return self.end - self.start if self.end > self.start else self.end - self.start + _DAY_MINUTES

    @cached_property
    def minutes(self) -> frozenset[int]:
        """Minutes of the week that lie in it; Monday 00:00 is 0."""
        begins = (day * _DAY_MINUTES + self.start for day in self.days)
        return frozenset((begin + minute) % _WEEK_MINUTES for begin in begins for minute in range(self.length))


class Quiet:
    """All windows of a line.

    Args:
        windows: as settings spell them.
        zone: name of a time zone such as ``Europe/Berlin``; empty: that of this machine.

    Raises:
        ValueError: a window has another form, no time is left, or there is no such time zone.
    """

    def __init__(self, windows: Sequence[str], zone: str = "") -> None:
        self._zone = _zone(zone)
        parsed = [Window.parse(window) for window in windows]
        self._minutes: frozenset[int] = frozenset().union(*(window.minutes for window in parsed))
        if len(self._minutes) == _WEEK_MINUTES:
            raise ValueError("these windows leave no time in which an update could start")

    def until(self, now: float) -> float | None:
        """When the window ends in which a moment lies, and any that follows on it; None if it lies in none.

        Args:
            now: seconds since 1970.

        Returns:
            Seconds since 1970.
        """
        if not self._inside(now):
            return None
        # Minute by minute, at most a week of them: so it needs no rules for days on which clocks change.
        moment = now - now % 60
        while self._inside(moment):
            moment += 60.0
        return moment

    def _inside(self, moment: float) -> bool:
        local = datetime.fromtimestamp(moment, self._zone)
        return local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute in self._minutes


def _zone(name: str) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone '{name}': expected one such as Europe/Berlin or UTC") from error


def _minutes(text: str, window: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > _DAY_MINUTES:
        raise ValueError(f"there is no time {text} in '{window}'")
    return hours * 60 + minutes


def _days(text: str | None, window: str) -> set[int]:
    if not text:
        return set(range(7))
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"there is no day '{part}' in '{window}': days are {', '.join(_DAYS)}")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {(begin + day) % 7 for day in range((end - begin) % 7 + 1)}
    return found
