"""What an update costs against training from scratch, fine-tuning, and growing and pruning from scratch.

    python benchmarks/training_cost.py --workload lenet-300-100 --source idx:DIR [--method best,tfs,nft,gp-fs,raygp]
        [--new-share 0.5,0.25,0.1] [--seeds 3] [--first-seed 0] [--out DIR] [--device cpu] [--ray]

Every method runs its recorded recipe (``benchmarks/recipes``, found by ``benchmarks/tune_baselines.py``). Cost is
counted until validation accuracy is within 0.1 point of the reference (the best of training from scratch, mean over
seeds) and the final density is reached; a run that never gets there counts whole and is shown as not reached, its cuts
in brackets. Each finished run is one line of ``DIR/<workload>.jsonl``; runs that are there are not repeated unless
their recipe has changed; a killed run goes on from its last finished epoch. ``benchmarks/results`` holds runs behind
the README's table: copied into DIR, they are shown without being made again. One process and no Ray, unless --ray asks
for two Ray Train workers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.console import Console

from benchmarks.cost.methods import FROM_SCRATCH, METHODS, Method, make_method, read_recipes
from benchmarks.cost.protocol import cost_table, markdown_row, orders_row, reference_accuracy, with_reached
from benchmarks.cost.runs import Key, Row, is_of, run_method
from benchmarks.cost.workloads import TASKS, TITLES, Workload, load_workload
from raygp.errors import RaygpError
from raygp.events import EpochEnded, Event, InPhase

_SHOW_INTERVAL_S = 10.0


def wanted_runs(names: list[str], shares: list[float], seeds: range, workload: str) -> Iterator[Key]:
    """Runs in the order in which they are made: references first, then seed by seed."""
    for seed in seeds:
        for name in names:
            if name in FROM_SCRATCH:
                yield Key(workload, name, 1.0, seed)
    for seed in seeds:
        for share in shares:
            for name in names:
                if name not in FROM_SCRATCH:
                    yield Key(workload, name, share, seed)


def read_rows(file: Path) -> list[Row]:
    """Rows of finished runs; a line cut short by a kill is left out."""
    rows = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def write_rows(file: Path, rows: list[Row]) -> None:
    """Replace the file, with what the reference says of each run."""
    reference = reference_accuracy(rows)
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(with_reached(row, reference)) + "\n" for row in rows))
    part.replace(file)


class Line:
    """Says how far a run is, at most every ten seconds, with the time that is left."""

    def __init__(self, console: Console, key: Key, run: int, runs: int, rate: Any) -> None:
        self._console, self._key, self._where, self._left = console, key, f"[{run}/{runs}]", rate
        self._shown = time.monotonic()

    def __call__(self, what: str, event: Event) -> None:
        """Show how far it is if it is time."""
        if not isinstance(event, InPhase) or time.monotonic() - self._shown < _SHOW_INTERVAL_S:
            return
        self._shown = time.monotonic()
        val = f"  val {event.record.val_accuracy:.2%}" if isinstance(event, EpochEnded) else ""
        self._console.print(
            f"{self._where} {what} share {self._key.new_share:g} seed {self._key.seed}: {event.kind} "
            f"epoch {event.epoch}/{event.epochs}{val}  {self._left()}"
        )


def run_all(workload: Workload, recipes: dict[str, Any], options: argparse.Namespace, console: Console) -> list[Row]:
    """Make the runs that are missing, one after the other."""
    precision = options.precision or ("bf16" if options.device == "cuda" else recipes.get("precision", "fp32"))
    file = options.out / f"{workload.name}{'-ray' if options.ray else ''}.jsonl"
    options.out.mkdir(parents=True, exist_ok=True)
    rows = read_rows(file)
    shares = [float(share) for share in options.new_share.split(",")]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    done = {(row["method"], row["new_share"], row["seed"]): row for row in rows}
    wanted: list[tuple[Key, Method]] = []
    for key in wanted_runs(options.method.split(","), shares, seeds, workload.name):
        method = make_method(key.method, workload.task.name, recipes, key.new_share, precision)
        row = done.get((key.method, key.new_share, key.seed))
        if row is not None and is_of(row, method):
            continue
        if row is not None:
            console.print(f"{key.method} share {key.new_share:g} seed {key.seed}: had another recipe, is run again")
            rows.remove(row)
        wanted.append((key, method))
    started = time.monotonic()
    for number, (key, method) in enumerate(wanted):

        def left(number: int = number) -> str:
            if number == 0:
                return ""
            each = (time.monotonic() - started) / number
            return f"about {each * (len(wanted) - number) / 60:.0f} min left"

        line = Line(console, key, number + 1, len(wanted), left)
        twin = next((row for row in rows if row["seed"] == key.seed and is_of(row, method)), None)
        if twin is not None and not method.incremental:
            row = twin | {"method": key.method}  # As where the most accurate dense recipe is also the cheapest.
        elif options.ray:
            from benchmarks.cost.with_ray import run_with_ray

            row = run_with_ray(workload, method, key, options.out / "lines", line)
        else:
            row = run_method(workload, method, key, options.out, options.device, line)
        rows.append(row)
        write_rows(file, rows)
        shutil.rmtree(options.out / "in-flight", ignore_errors=True)
        console.print(
            f"[{number + 1}/{len(wanted)}] {key.method} share {key.new_share:g} seed {key.seed}: "
            f"val {row['val_accuracy']:.2%}, {row['examples'] / row['train_rows']:.2f} passes  {left()}"
        )
    # Runs of other seeds may have been added by hand, with a reference of their own.
    write_rows(file, rows)
    return read_rows(file)


def show(rows: list[Row], options: argparse.Namespace, console: Console) -> None:
    """Print a table for each share, and draw the curves."""
    shares = [float(share) for share in options.new_share.split(",")]
    for share in shares:
        console.print(cost_table(rows, share, "accuracy"))
    console.print(
        "Cuts: examples / sparse FLOPs / seconds (of the CPU; on a GPU, elapsed), in per cent "
        "(-: of different processors). ±: half of the range."
    )
    if options.markdown:
        for share in shares:
            print(markdown_row(rows, share, TITLES[options.workload]))
        for share in sorted({row["new_share"] for row in rows if row["method"] == "paper"}, reverse=True):
            print(orders_row(rows, share, TITLES[options.workload]))
    from benchmarks.cost.figures import draw_curves

    for file in draw_curves(rows, options.workload, options.out):
        console.print(f"wrote {file}")


def main() -> int:
    """Run what is missing, then print tables and draw curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", required=True, choices=list(TASKS))
    parser.add_argument("--source", required=True, help="as raygp ingest takes it: idx:DIR, imagefolder:FILE.tar")
    parser.add_argument("--method", default=",".join(METHODS), help="comma-separated; default: all")
    parser.add_argument("--new-share", default="0.5,0.25,0.1", help="shares, comma-separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("training-cost"))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--precision", default=None, choices=["fp32", "bf16"], help="default: the recipe's, bf16 on cuda"
    )
    parser.add_argument("--paper-size", action="store_true", help="the paper's model and size, not the small preset")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    parser.add_argument("--markdown", action="store_true", help="print the README's lines for each share as well")
    parser.add_argument("--ray", action="store_true", help="run each method as Ray Train jobs with two workers")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=160)
    try:
        recipes = read_recipes(options.workload)
        workload = load_workload(options.workload, options.source, paper_size=options.paper_size)
        show(run_all(workload, recipes, options, console), options, console)
    except RaygpError as error:
        print(f"training_cost: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
