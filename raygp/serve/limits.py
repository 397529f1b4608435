"""How much a server takes on."""

from __future__ import annotations

from dataclasses import dataclass

from raygp.serve.messages import Refused

RETRY_AFTER_S = 1
"""Seconds after which a request that found the server full should come again."""
_BODIES = 16
"""Bodies of the largest size that may be held at once."""


@dataclass(frozen=True)
class Limits:
    """What is refused, so that no client can use up a replica's memory or make the others wait without end."""

    max_bytes: int = 8 * 2**20
    """Of a request's body; more is answered 413."""
    max_batch: int = 64
    """Samples of one request, and of one pass through the model; more in a request is answered 413."""
    max_waiting: int = 1024
    """Samples that may wait for their turn in a replica; a request that finds more is answered 503."""

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies that a replica holds at once; a request beyond is answered 503."""
        return _BODIES * self.max_bytes


class Held:
    """Counts the bytes of bodies that are held at once. For one thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._bytes = limits, 0

    def take(self, size: int) -> None:
        """Count a piece of a body in. Raises Refused (503) where that is too much."""
        if self._bytes + size > self._limits.held_bytes:
            raise full("this replica holds as many bytes of requests as it may")
        self._bytes += size

    def give_back(self, size: int) -> None:
        """A body of this size is answered."""
        self._bytes -= size


def full(why: str) -> Refused:
    """The refusal of a request that comes when there are too many."""
    return Refused(503, f"too many requests: {why}; try again in {RETRY_AFTER_S} s", Retry_After=str(RETRY_AFTER_S))
