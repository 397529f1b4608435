"""Two classes at a time: what raygp's updates keep of the earlier ones, beside methods of continual learning.

    python benchmarks/continual.py --source idx:DIR [--method raygp,uniform,...] [--seeds 3] [--first-seed 0]
        [--out DIR] [--markdown]
    python benchmarks/continual.py --source idx:DIR --search [--method ...] [--seeds 1]

SplitMNIST: five arrivals of two digits, in their order; after each, every class that has arrived is asked for, without
a hint which arrival a row is from. All methods train a network 784-100-100-10, on the same rows, in batches of 10 new
(and 10 replayed) examples, and see each arrival once. A twelfth of the training set is held out of all; the test set is
read after each arrival and never used. ER, DER++ and GDumb are avalanche-lib's, an optional extra:

    pip install -e '.[continual]'

Every method runs its recorded recipe (``benchmarks/recipes/continual.yaml``). ``--search`` finds them: it tries
``benchmarks/stream/spaces.py`` on seeds of its own (from 100), loads no test set, and takes what is best on the
held-out rows. Each finished run is one line of ``DIR/continual.jsonl`` (of a search: of ``benchmarks/recipes``); runs
that are there are not repeated unless their recipe has changed. ``benchmarks/results/continual`` holds the runs behind
docs/results/continual.md: copied into DIR, they are shown without being made again. One process, no Ray.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.cost.protocol import mean_and_spread
from benchmarks.cost.spaces import recipes_of
from benchmarks.stream.arrivals import Stream, load_stream
from benchmarks.stream.methods import METHODS, RECIPES, Row, is_of, read_recipes, recipe_of, run
from benchmarks.stream.spaces import SPACES
from benchmarks.training_cost import read_rows
from raygp.errors import RaygpError

_SEARCH_SEED = 100
_COLUMNS = ("method", "test %", "val %", "forgetting, points", "passes", "last update", "GFLOP", "active")


def make_runs(wanted: list[tuple[str, dict[str, Any], int]], stream: Stream, file: Path, console: Console) -> list[Row]:
    """Make the runs that the file does not have, one after the other; each is appended when it is finished.

    Returns:
        The wanted runs, in their order.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = read_rows(file)
    found = [_find(rows, stream, *key) for key in wanted]
    missing = sum(row is None for row in found)
    started, made = time.monotonic(), 0
    for place, (method, recipe, seed) in enumerate(wanted):
        if found[place] is not None:
            continue
        where = f"[{made + 1}/{missing}] {method} seed {seed}"

        def told(arrival: int, after: dict[str, list[float]], where: str = where) -> None:
            val = stream.mean_accuracy("val", after["val"])
            console.print(f"{where}: arrival {arrival + 1} of {len(stream.arrivals)}, val {val:.2%}")

        row = run(method, stream, recipe, seed, told)
        made += 1
        _append(file, row)
        found[place] = row
        left = (time.monotonic() - started) / made * (missing - made) / 60
        console.print(f"{where}: val {row['val_accuracy']:.2%}, {row['cpu_seconds']:.0f} s  about {left:.0f} min left")
    return [row for row in found if row is not None]


def _append(file: Path, row: Row) -> None:
    """Add a line, behind one that a kill may have cut short."""
    cut_short = file.exists() and not file.read_bytes().endswith(b"\n")
    with file.open("a") as out:
        out.write(("\n" if cut_short else "") + json.dumps(row) + "\n")


def _find(rows: list[Row], stream: Stream, method: str, recipe: dict[str, Any], seed: int) -> Row | None:
    """The youngest run of this method with this recipe and seed."""
    for row in reversed(rows):
        if (row["method"], row["seed"]) == (method, seed) and is_of(row, stream, recipe):
            return row
    return None


def cells(rows: list[Row]) -> list[str]:
    """A line of the table: means over the runs of one method, with half of the range."""
    known = [row for row in rows if row["test_forgetting"] is not None]
    return [
        METHODS[rows[0]["method"]],
        mean_and_spread([100 * row["test_accuracy"] for row in rows]),
        mean_and_spread([100 * row["val_accuracy"] for row in rows]),
        mean_and_spread([100 * row["test_forgetting"] for row in known]) if known else "-",
        f"{statistics.mean(row['examples'] / row['train_rows'] for row in rows):.2f}",
        f"{statistics.mean(row['spent']['examples'][-1] for row in rows):,.0f}",
        f"{statistics.mean(row['sparse_flops'] for row in rows) / 1e9:.1f}",
        f"{statistics.mean(row['active_connections'] for row in rows):,.0f}",
    ]


def show(rows: list[Row], console: Console, markdown: bool) -> None:
    """Print the table."""
    lines = [cells([row for row in rows if row["method"] == method]) for method in METHODS
             if any(row["method"] == method for row in rows)]  # fmt: skip
    table = Table(*_COLUMNS, title="two classes at a time")
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print(
        "forgetting: mean over classes of the best test accuracy ever less the final one. passes: examples trained on "
        "over all training rows; last update: examples of the last arrival. ±: half of the range over seeds."
    )
    if markdown:
        print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
        for line in lines:
            print(f"| {' | '.join(line)} |")


def search(methods: list[str], stream: Stream, seeds: range, file: Path, console: Console) -> None:
    """Try the recipes of each method's space, and record the best of them on the held-out rows."""
    for method in methods:
        if method not in SPACES:
            continue
        tried = recipes_of(SPACES[method], sys.maxsize, seed=0)
        wanted = [(method, recipe, seed) for recipe in tried for seed in seeds]
        rows = make_runs(wanted, stream, file, console)
        by_recipe = [rows[at : at + len(seeds)] for at in range(0, len(rows), len(seeds))]
        best = max(by_recipe, key=lambda runs: statistics.mean(row["val_accuracy"] for row in runs))
        # Read now: a search of other methods may run beside this one.
        recipes = read_recipes() if RECIPES.exists() else {}
        recipes[method] = best[0]["recipe"]
        RECIPES.write_text(yaml.safe_dump(recipes, sort_keys=False, width=120))
        console.print(f"{method}: {recipes[method]}, val {best[0]['val_accuracy']:.2%}")


def main() -> int:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="as raygp ingest takes it: idx:DIR")
    parser.add_argument("--method", default=",".join(METHODS), help="comma-separated; default: all")
    parser.add_argument("--seeds", type=int, default=None, help="how many; default: 3, and 1 of a search")
    parser.add_argument("--first-seed", type=int, default=None, help=f"default: 0, and {_SEARCH_SEED} of a search")
    parser.add_argument("--out", type=Path, default=Path("continual"), help="where runs are kept; not of a search")
    parser.add_argument("--search", action="store_true", help="find recipes instead of running the recorded ones")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--markdown", action="store_true", help="print the table of the page as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=140)
    methods = options.method.split(",")
    first = options.first_seed if options.first_seed is not None else (_SEARCH_SEED if options.search else 0)
    seeds = range(first, first + (options.seeds or (1 if options.search else 3)))
    try:
        if options.search:
            stream = load_stream(options.source, test=False)
            search(methods, stream, seeds, RECIPES.with_suffix(".search.jsonl"), console)
            return 0
        recipes = read_recipes()
        chosen = [(method, recipe_of(recipes, method), seed) for seed in seeds for method in methods]
        stream = load_stream(options.source)
        show(make_runs(chosen, stream, options.out / "continual.jsonl", console), console, options.markdown)
    except RaygpError as error:
        print(f"continual: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
