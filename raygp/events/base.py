"""What every event is, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened."""


Listener = Callable[[Event], None]
"""Is told of events. It may be called from another thread than the one that works on the line, never by two at once."""


def unheard(event: Event) -> None:
    """A listener that does nothing."""
