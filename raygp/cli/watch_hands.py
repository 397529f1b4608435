"""The process that ingests and updates for ``raygp watch``: see :mod:`raygp.watch.process`. Nobody calls it by hand."""

from __future__ import annotations

import sys

from raygp.errors import StoppedError
from raygp.stopping import Terminated, leave, on_sigterm
from raygp.watch.hands import OwnHands
from raygp.watch.process import opening, serve, settings_of


def main() -> int:
    """Do what the watcher asks, until it asks for nothing more. Returns the exit code."""
    descriptor = int(sys.argv[1])
    try:
        with on_sigterm(leave):
            given, requests = opening()
            from raygp.cluster.runner import RayRunner
            from raygp.line import Line

            line = Line(
                given["root"],
                single_writer=given["single_writer"],
                task=given["task"],
                task_changed=given["task_changed"],
            )
            hands = OwnHands(line, settings_of(given["settings"]), RayRunner(given["verbose"]))
            serve(requests, hands, descriptor)
    except (KeyboardInterrupt, Terminated):
        return StoppedError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
