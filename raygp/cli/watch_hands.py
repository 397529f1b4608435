"""The process that ingests and updates for ``raygp watch``: see :mod:`raygp.watch.process`. Nobody calls it by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from raygp.errors import StoppedError
from raygp.events import Listener
from raygp.stopping import Terminated, leave, on_sigterm
from raygp.watch.hands import Intake, OwnHands
from raygp.watch.process import opening, serve

if TYPE_CHECKING:
    from raygp.line import Runner


class _Hands:
    """The hands of a line, made when they are needed: what is wrong with the settings is the answer to a request."""

    def __init__(self, given: dict[str, Any], runner: Callable[[bool], Runner]) -> None:
        self._given, self._runner = given, runner
        self._made: OwnHands | None = None

    def check(self) -> None:
        """Make the settings."""
        _ = self._hands

    def ingest(self, intake: Intake, tell: Listener) -> list[str]:
        """See :class:`raygp.watch.hands.Hands`."""
        return self._hands.ingest(intake, tell)

    def update(self, arrivals: Sequence[str], tell: Listener) -> list[str]:
        """See :class:`raygp.watch.hands.Hands`."""
        return self._hands.update(arrivals, tell)

    def rest(self) -> None:
        """This process ends when there is nothing to do."""

    @property
    def _hands(self) -> OwnHands:
        if self._made is None:
            from raygp.line import Line
            from raygp.settings import load_settings

            given = self._given
            line = Line(
                given["root"],
                single_writer=given["single_writer"],
                task=given["task"],
                task_changed=given["task_changed"],
            )
            if given["task"]:
                _ = line.code  # Looked up first: code that has changed may change the settings, too.
            said = given["settings"]
            settings = load_settings(line.task, said["file"], said["overrides"], **said["flags"])
            self._made = OwnHands(line, settings, self._runner(given["verbose"]))
        return self._made


def on_ray(verbose: bool) -> Runner:
    """What carries updates out for ``raygp watch``."""
    from raygp.cluster.runner import RayRunner

    return RayRunner(verbose)


def main(runner: Callable[[bool], Runner] = on_ray) -> int:
    """Do what the watcher asks, until it asks for nothing more.

    Args:
        runner: makes what carries updates out; is told whether Ray's logs are wanted.

    Returns:
        The exit code.
    """
    descriptor = int(sys.argv[1])
    try:
        with on_sigterm(leave):
            given, requests = opening()
            serve(requests, _Hands(given, runner), descriptor)
    except (KeyboardInterrupt, Terminated):
        return StoppedError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
