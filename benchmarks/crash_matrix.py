"""Kills an update at random moments and looks at what is left.

    python benchmarks/crash_matrix.py [--n 50] [--per-update 1] [--seed S] [--out DIR]

A line on scikit-learn's digits has one version and an arrival that waits. Its update (LeNet-300-100, two workers, one
step per checkpoint, so that epochs are cut in two) is first run undisturbed. Then, n times on a copy of the line, it is
started and after a seeded random part of the undisturbed time a victim is killed with -9: a training worker, the
driver, or the cluster (raylet and GCS). The same command is run until it says that it is done. With ``--per-update 5``,
an update meets five of the kills before it may end: the first at its random moment or after a seeded number of
checkpoints, whichever comes first, the others a seeded number of checkpoints after it has gone on; what it came to
counts for all five. Counted as losses: an arrival that is not folded in exactly once, a head that is not the version,
masks or weights that differ by a bit from the undisturbed run's, anything left in flight. One line of
``DIR/crashes.jsonl`` a kill; what is there is not repeated. Exit status 1 on any loss. Linux only: it looks for Ray's
processes in /proc, by their environment.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from drills.crashes import is_loss, run_matrix


def table_of(rows: list[dict[str, Any]]) -> Table:
    """A line a kill."""
    table = Table()
    for name in ("moment", "victim", "phase", "killed", "recovered", "folded once", "identical", "runs", "s lost"):
        table.add_column(name)
    for row in rows:
        flags = ["yes" if row[key] else "NO" for key in ("killed", "recovered", "once", "identical")]
        table.add_row(
            row["moment"], row["victim"], row["phase"], *flags, str(row["attempts"]), f"{row['seconds_lost']}"
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--per-update", type=int, default=1, help="kills that one update meets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/crashes", metavar="DIR")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows = run_matrix(options.n, options.seed, Path(options.out).resolve(), console, options.per_update)
    console.print(table_of(rows))
    losses = sum(map(is_loss, rows))
    console.print(f"{len(rows)} kills, {losses} with a loss or a difference")
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
