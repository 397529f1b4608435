"""What a watcher costs while nothing happens: CPU time, requests and memory.

    python benchmarks/idle_watch.py [--looks 50]

Watches a line whose arrivals are all in its head: in a folder, and on moto's S3 server, there also with a drop folder
beside it. Printed are the CPU time of a look (median and most, this process alone), the most requests that a look made,
and the memory that the process holds at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from drills.checkout import PROJECT
from drills.fault_proxy import FaultProxy, Faults
from drills.servers import environment, moto_server
from raygp.events import Event
from raygp.line import Line
from raygp.settings import load_standing
from raygp.store import Location, create_line
from raygp.watch.hands import Intake
from raygp.watch.loop import Watcher

MAKE = """
import sys
from raygp.data.ingest_settings import IngestSettings
from raygp.line import Line
line = Line(sys.argv[1])
line.ingest("digits", IngestSettings(["one", "two"], [0.5, 0.5]), task={"name": "lenet-300-100"})
line.update(line.settings(None, "synthesis.epochs=2", "plan.epochs=1", "gate_tolerance=1"))
"""


class _Enough(BaseException):
    """As many looks as were wanted."""


class _NoHands:
    """Nothing is to be done."""

    def check(self) -> None:
        """They fit."""

    def ingest(self, intake: Intake, tell: object) -> list[str]:
        """Never asked for."""
        raise AssertionError(intake)

    def update(self, arrivals: Sequence[str], tell: object) -> list[str]:
        """Never asked for."""
        raise AssertionError(arrivals)

    def rest(self) -> None:
        """Nothing to let go of."""


def looks(
    root: str, overrides: list[str], number: int, proxy: FaultProxy | None = None
) -> tuple[list[float], list[int]]:
    """CPU seconds and requests of each look at a line, without the first, which reads all of it."""
    cpu, requests = list[float](), list[int]()
    mark = [time.process_time(), 0.0]

    def sleep(seconds: float) -> None:
        now, asked = time.process_time(), len(proxy.requests) if proxy else 0
        cpu.append(now - mark[0])
        requests.append(asked - int(mark[1]))
        if len(cpu) > number:
            raise _Enough
        mark[:] = [time.process_time(), asked]

    def unheard(event: Event) -> None:
        pass

    watcher = Watcher(Line(root), load_standing(None, overrides).watch, _NoHands(), unheard, sleep=sleep)
    with contextlib.suppress(_Enough):
        watcher.run()
    return cpu[1:], requests[1:]


def make(root: str) -> None:
    """A line with two versions, in a process of its own: this one stays without torch."""
    subprocess.run([sys.executable, "-c", MAKE, root], check=True, cwd=PROJECT)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--looks", type=int, default=50)
    options = parser.parse_args()
    table = Table("line", "CPU of a look, median", "most", "requests of a look, most")
    with tempfile.TemporaryDirectory() as folder, moto_server() as server:
        make(f"{folder}/line")
        rows = [("a folder", *looks(f"{folder}/line", [], options.looks))]
        with FaultProxy(server, Faults(), 0).running() as proxy:
            os.environ.update(environment(proxy.address))
            from raygp.store.s3_client import PatientS3

            PatientS3().mkdir("bench")
            target = Location("s3://bench/line")
            create_line(target, Line(f"{folder}/line").task)
            for file in Location(f"{folder}/line").walk():
                if not file.path.startswith("line.json"):
                    target.write_bytes(file.path, Location(f"{folder}/line").read_bytes(file.path))
            drop = ["watch.drop.folder=s3://bench/drop", "watch.drop.source=imagefolder"]
            rows.append(("S3", *looks(target.root, [], options.looks, proxy)))
            rows.append(("S3, with a drop folder there", *looks(target.root, drop, options.looks, proxy)))
    for name, cpu, requests in rows:
        median, most = (f"{1e3 * value:.1f} ms" for value in (statistics.median(cpu), max(cpu)))
        table.add_row(name, median, most, str(max(requests)) if max(requests) else "-")
    console = Console()
    console.print(table)
    memory = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
    console.print(f"memory: {memory:,.0f} MiB; torch is {'' if 'torch' in sys.modules else 'not '}loaded")


if __name__ == "__main__":
    main()
