"""A process that does what a watcher asks, without a line: for tests of what happens to it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from raygp.errors import RejectedError, StoppedError
from raygp.events import Listener, Notice
from raygp.stopping import Asked, asking
from raygp.watch.hands import Intake
from raygp.watch.process import opening, serve


class Hands:
    """What an arrival is called says what happens."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def check(self) -> None:
        """They fit."""

    def ingest(self, intake: Intake, tell: Listener) -> list[str]:
        """Publishes nothing."""
        tell(Notice(text=intake.source))
        return [intake.arrival]

    def update(self, arrivals: Sequence[str], tell: Listener) -> list[str]:
        """Refuses, dies, or goes on until it is asked to end."""
        asked = Asked()
        # Before anything is told: whoever hears of it may ask for the end at once.
        with asking(asked):
            tell(Notice(text=f"process {os.getpid()}"))
            if "bad" in arrivals:
                raise RejectedError("v0001 is worse")
            if "crash" in arrivals:
                os.kill(os.getpid(), signal.SIGKILL)
            while "long" in arrivals:
                time.sleep(0.02)
                if asked:
                    (self._folder / "checkpoint").touch()
                    raise StoppedError("stopped on request")
        return ["v0001"]

    def rest(self) -> None:
        """Nothing."""


if __name__ == "__main__":
    given, requests = opening()
    serve(requests, Hands(given.get("folder", ".")), int(sys.argv[1]))
