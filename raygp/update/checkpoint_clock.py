"""When a checkpoint inside an epoch is due, agreed on by all workers."""

from __future__ import annotations

import time

from raygp.update.learner import Learner
from raygp.update.observer import Observer

_ASK_S, _ASK_STEPS = 0.5, 20
"""Ranks ask rank 0's clock so often, and after so many steps at most: a broadcast of a few bytes."""
_LOOK_S = 1.0
"""How often they ask the observer whether they have to leave: a round trip of some milliseconds."""


class CheckpointClock:
    """Says after each step whether a checkpoint is due: the last one is old, or the workers are about to leave.

    Rank 0's clock decides, as those of ranks differ. Every rank calls it after the same steps.
    """

    def __init__(self, seconds: float | None, learner: Learner, observer: Observer) -> None:
        """It starts now.

        Args:
            seconds: how old a checkpoint may get; 0: after every step; None: never inside an epoch.
            learner: through which ranks agree.
            observer: asked whether the workers are leaving.
        """
        self._seconds, self._learner, self._observer = seconds, learner, observer
        self._made = self._asked = self._looked = time.monotonic()
        self._ask_after, self._unasked = 1, 0

    def due(self) -> bool:
        """Whether one is; the same on every rank. To be called after every step but an epoch's last."""
        self._unasked += 1
        if self._seconds is None or self._unasked < self._ask_after:
            return False
        now = time.monotonic()
        most = _ASK_STEPS if self._seconds > 0 else 1
        often = int(_ASK_S * self._unasked / max(now - self._asked, 1e-6))
        old, look, self._ask_after = self._learner.agree(
            now - self._made >= self._seconds, now - self._looked >= _LOOK_S, min(max(often, 1), most)
        )
        self._asked, self._unasked = now, 0
        if look:
            self._looked = now
        return bool((look and self._observer.leaving()) or old)

    def restart(self) -> None:
        """A checkpoint has been offered."""
        self._made = self._asked = time.monotonic()
        self._unasked = 0
