"""A ``raygp`` command as a process with a Ray cluster of its own, any part of which can be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from drills.checkout import PROJECT

_PATIENCE_S = 300.0


class Command:
    """``raygp update`` of a line as a process, with a Ray cluster of its own, or on the one at ``address``."""

    def __init__(self, root: Path, log: Path, options: Sequence[str], address: str = "") -> None:
        # Ray's sockets want a short path.
        self.scratch = tempfile.mkdtemp(prefix="rgp-", dir="/tmp")
        self.log, self.started = log, time.monotonic()
        environment = {**os.environ, "RAY_TMPDIR": self.scratch, "PYTHONPATH": str(PROJECT)}
        # A driver gives its cluster up after so long; the default is a minute.
        environment["RAY_gcs_rpc_server_reconnect_timeout_s"] = "10"
        environment.pop("RAY_ADDRESS", None)
        if address:
            environment["RAY_ADDRESS"] = address
        with log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raygp", "update", "--root", str(root), *options],
                env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self, patience: float = _PATIENCE_S) -> int:
        """The exit code; that of SIGKILL if it had to be killed."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def ray_processes(self, name: str = "") -> list[int]:
        """Ids of the processes of this command's cluster whose command line contains ``name``."""
        mark, found = f"RAY_TMPDIR={self.scratch}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                mine = mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != self.process.pid
                if mine and name.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def kill(self, victim: str) -> bool:
        """Kill it with -9; False if there is none (yet, or any more)."""
        if victim == "driver":
            self.process.kill()
            return True
        if victim == "worker":
            targets = self.ray_processes("RayTrainWorker")[:1]
        else:
            targets = self.ray_processes("raylet/raylet") + self.ray_processes("gcs_server")
        for target in targets:
            _kill(target)
        return bool(targets)

    def clean_up(self) -> None:
        """End what is left of the cluster."""
        for process in self.ray_processes():
            _kill(process)
        shutil.rmtree(self.scratch, ignore_errors=True)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
