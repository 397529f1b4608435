"""Who watches an update: is told of events, is offered checkpoints. Without torch: a mere listener starts fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from raygp.events import Event

if TYPE_CHECKING:
    from raygp.update.state import Checkpoint


class Observer(Protocol):
    """Watches an update; changes nothing in it."""

    def event(self, event: Event) -> None:
        """Called with what happens inside the update, on every rank."""

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Called after every finished epoch, and inside long ones now and then, on every rank. ``make`` is cheap to
        pass and costs a copy to call."""

    def leaving(self) -> bool:
        """Called inside epochs about every second, on every rank after the same step: whether these workers are about
        to go. They are then offered a checkpoint at once. The same answer on every rank."""
        ...


class Silent:
    """An observer that does nothing."""

    def event(self, event: Event) -> None:
        """Ignore it."""

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        """Ignore it."""

    def leaving(self) -> bool:
        """No."""
        return False
