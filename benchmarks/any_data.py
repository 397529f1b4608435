"""Data sets x kinds of arrival x methods, with one default for all: does an update hold on data nobody tuned it for?

    python benchmarks/any_data.py --data DIR [--data-set digits,mnist] [--arrival half,tenth] [--method raygp]
        [--seeds 3] [--out DIR]

``DIR`` of --data holds mnist/, an4/an4.tar.gz, cifar10/cifar10-small.tar, tiny-imagenet/tiny-imagenet-20.tar and
imagenette/imagenette-small.tar; what is missing is said and left out. ``digits`` and ``tones`` need nothing. Methods:

- ``raygp``: the default plan of the task's model, with the ladder; ``raygp-first``: without the ladder
- ``by-class``: as ``raygp``, with replay drawn by class where an arrival is uneven; ``third``, ``third-by-class``: 30 %
  of the earlier rows are replayed, whatever the arrival is, at random or so
- ``hardest``, ``paper``: the plans of these names, without the ladder
- ``fine-tuning``: a dense network of the first arrival, five epochs over everything at half of its learning rate
- ``scratch``: a dense network, trained on everything

The gate judges raygp's candidates and fine-tuning's alike, each against its own parent. Each finished run is one line
of ``OUT/any-data.jsonl``; runs that are there are not repeated, unless the plan has changed. One process, no Ray.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.console import Console

from benchmarks.anydata.arrivals import KINDS, parts
from benchmarks.anydata.datasets import DATA_SETS, load
from benchmarks.anydata.methods import METHODS
from benchmarks.anydata.runs import Row, run_cell
from benchmarks.anydata.tables import cells_table, markdown_rows, summary_row, summary_table
from benchmarks.training_cost import read_rows
from raygp.errors import RaygpError
from raygp.update.plan import Plan


def run_all(options: argparse.Namespace, console: Console) -> list[Row]:
    """Make the runs that are missing, data set by data set."""
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "any-data.jsonl"
    rows = read_rows(file)
    for name in options.data_set:
        try:
            loaded = load(name, options.data)
        except RaygpError as error:
            console.print(f"{name}: left out: {error}")
            continue
        kinds = [kind for kind in options.arrival if loaded.task.labels_are_classes or not KINDS[kind].classes_only]
        for left_out in sorted(set(options.arrival) - set(kinds)):
            console.print(f"{name}: {left_out} makes no sense for texts, left out")
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for kind in kinds:
                cut = parts(loaded, kind, seed)
                for method_name in options.method:
                    method = METHODS[method_name](loaded.task.name)
                    plan = method.plan.identity()
                    same = [row for row in rows if _of(row) == (name, kind, method_name, seed)]
                    if any(Plan.model_validate(row["plan"]).identity() == plan for row in same):
                        continue
                    started = time.monotonic()
                    console.print(f"{name}, {kind}, {method_name}, seed {seed} ...")
                    row = run_cell(loaded, kind, cut, method_name, method, seed, options.out)
                    rows = [other for other in rows if other not in same] + [row]
                    _write(file, rows)
                    held = "" if row["promoted"] else ", refused"
                    console.print(
                        f"{name}, {kind}, {method_name}, seed {seed}: val {row['val_accuracy']:.2%}, "
                        f"test {row['test_accuracy']:.2%}, {row['examples'] / row['train_rows']:.2f} passes{held}, "
                        f"{time.monotonic() - started:.0f} s"
                    )
    return rows


def _of(row: Row) -> tuple[str, str, str, int]:
    return row["data"], row["arrival"], row["method"], row["seed"]


def _write(file: Path, rows: list[Row]) -> None:
    part = file.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in rows))
    part.replace(file)


def _names(known: list[str]) -> type:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := sorted(set(names) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        return names

    return parse  # type: ignore[return-value]  # argparse takes any callable.


def main() -> int:
    """Run what is missing, then print every cell and a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--data-set", type=_names(list(DATA_SETS)), default=list(DATA_SETS), metavar="NAMES")
    parser.add_argument("--arrival", type=_names(list(KINDS)), default=list(KINDS), metavar="NAMES")
    parser.add_argument(
        "--method", type=_names(list(METHODS)), default=["raygp", "paper", "fine-tuning", "scratch"], metavar="NAMES"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--out", type=Path, default=Path("any-data"))
    parser.add_argument("--markdown", action="store_true", help="print the lines of the results page as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(highlight=False, width=140)
    try:
        rows = run_all(options, console)
    except RaygpError as error:
        print(f"any_data: {error}", file=sys.stderr)
        return error.exit_code
    console.print(cells_table(rows))
    console.print(summary_table(rows))
    if options.markdown:
        print(*markdown_rows(rows), sep="\n")
        for name in sorted({row["data"] for row in rows}):
            print(summary_row([row for row in rows if row["data"] == name], name))
        print(summary_row(rows, "all"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
