"""From ``ray job submit`` to the first training step, on a cluster that already runs on this machine.

    python benchmarks/submit_time.py [--rounds 3] [-- OPTION ...]

Submits ``jobs/imagenet_incremental.py`` on its embedded default (options after ``--`` are passed on), each round with a
new line, and stops the job at its first training step. Printed are the seconds since ``ray job submit`` was started at
which its output says how far it is, median and range: one round more is run first, and not counted. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from drills.checkout import PROJECT
from drills.heads import RAY, Head, head_node

STAGES = {
    "submitted successfully": "uploaded and accepted",
    "published arrival-000": "imports, first arrival published",
    "starting Ray ...": "the others published",
    "initial synthesis": "Ray joined",
    " step 1/": "data decoded, workers started, first training step",
}
"""What the output says when a stage is over; the stages in order."""


def submit(head: Head, root: str, options: list[str]) -> dict[str, float]:
    """Seconds from the start of ``ray job submit`` to the end of each stage; the job is stopped then.

    Raises:
        RuntimeError: the job ended before its first step.
    """
    begun, reached, said = time.monotonic(), dict[str, float](), ""
    job = subprocess.Popen(
        [str(RAY), "job", "submit", "--address", head.address, "--working-dir", ".", "--",
         sys.executable, "jobs/imagenet_incremental.py", "--root", root, *options],
        env=dict(head.environment) | {"PYTHONUNBUFFERED": "1"}, cwd=PROJECT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert job.stdout is not None
        for line in job.stdout:
            said += line
            for mark, stage in STAGES.items():
                if mark in line:
                    reached.setdefault(stage, time.monotonic() - begun)
            if len(reached) == len(STAGES):
                return reached
    finally:
        job.kill()
        job.wait()
        for name in [found["submission_id"] for found in head.jobs() if found["status"] == "RUNNING"]:
            head.ray("job", "stop", "--address", head.address, name)
    raise RuntimeError(f"the job ended before its first step: {said}")


def table_of(rounds: list[dict[str, float]]) -> Table:
    """A line a stage: when it was over, and how long it took."""
    table = Table()
    table.add_column("stage")
    for name in ("over after s", "lowest - highest", "took s"):
        table.add_column(name, justify="right")
    before = [0.0] * len(rounds)
    for stage in STAGES.values():
        ends = [reached[stage] for reached in rounds]
        took = statistics.median(end - start for end, start in zip(ends, before, strict=True))
        table.add_row(stage, f"{statistics.median(ends):.1f}", f"{min(ends):.1f} - {max(ends):.1f}", f"{took:.1f}")
        before = ends
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("options", nargs="*", help="of the job")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    rounds = []
    with head_node() as head, tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds + 1):
            reached = submit(head, f"{folder}/line-{number}", options.options)
            console.print(f"round {number}: {max(reached.values()):.1f} s{'' if number else ', not counted'}")
            rounds.append(reached)
    console.print(table_of(rounds[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
