"""How often drift is found: where there is none (false alarms), and where there is some (power), by data set and shift.

    python benchmarks/drift.py --data DIR [--data-set digits,cifar10] [--draws 20] [--out DIR]

``DIR`` of --data holds cifar10/cifar10-small.tar, tiny-imagenet/tiny-imagenet-20.tar and an4/an4.tar.gz; what is
missing is said and left out. ``digits``, ``breast-cancer`` and ``diabetes`` need nothing.

Of each data set a line is made, with one version. Rows that the version was not trained on are divided at random, draw
by draw, into what the line has seen (500 rows at most) and an arrival of 64 or of up to 500 rows, to which a shift is
done. ``same`` is no shift; ``same, trained`` neither, but the arrival is compared with rows that the version was
trained on, which raygp does not do. The levels of raygp/drift/statistics.py were chosen on ``digits`` alone.

Each finished cell is one line of ``OUT/drift.jsonl``; cells that are there are not repeated. One process, no Ray.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torchvision.transforms import functional as TF

import raygp
from raygp.data.catalog import Catalog, ShardRef
from raygp.data.ingest_settings import IngestSettings
from raygp.data.reading import read_examples
from raygp.data.sources import open_source
from raygp.data.sources.source import SourceSample
from raygp.drift import Sample, compare
from raygp.drift.features import FeatureWatch, outputs_by_row
from raygp.errors import RaygpError
from raygp.line import Version
from raygp.tasks.traits import labels_are_numbers

_SEEN, _SIZES, _BATCH = 500, (64, 500), 64
Rows = list[np.ndarray]
Row = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """A source, its task, how the version is made, and which shifts of its samples make sense."""

    source: str
    task: dict[str, Any]
    rows: int | None = None
    settings: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ("brighter", "noisy", "blurred", "rotated")


DATA_SETS = {
    "digits": DataSet("digits", {"name": "lenet-300-100", "image_size": 28}),
    "cifar10": DataSet(
        "imagefolder:{data}/cifar10/cifar10-small.tar", {"name": "lenet-5", "channels": 3}, 4_000,
        ("synthesis.epochs=8",),
    ),
    "tiny-imagenet": DataSet(
        "imagefolder:{data}/tiny-imagenet/tiny-imagenet-20.tar", {"name": "lenet-5", "channels": 3}, 4_000,
        ("synthesis.epochs=8",),
    ),
    "breast-cancer": DataSet("table:{out}/breast-cancer.csv", {"name": "tabular"}, shifts=("noisy",)),
    "diabetes": DataSet("table:{out}/diabetes.csv", {"name": "tabular-regression"}, shifts=("noisy",)),
    "an4": DataSet(
        "an4:{data}/an4/an4.tar.gz", {"name": "deepspeech2-small"}, 600, ("synthesis.epochs=2",), ("noisy",)
    ),
}  # fmt: skip


def _images(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Rows, np.random.Generator], Rows]:
    return lambda rows, draws: list(change(torch.from_numpy(np.stack(rows))).numpy())


def _noisy(rows: Rows, draws: np.random.Generator) -> Rows:
    """Half of the data's own spread, added to every number; of tables, the spread of its column."""
    if rows[0].ndim == 1 and len({row.shape for row in rows}) == 1:
        spread = 0.5 * np.stack(rows).astype(np.float64).std(axis=0)
    else:
        spread = 0.5 * np.concatenate([row.ravel() for row in rows]).astype(np.float64).std()
    noisy = [row + draws.normal(scale=spread, size=row.shape) for row in rows]
    if rows[0].dtype == np.uint8:
        noisy = [row.clip(0, 255) for row in noisy]
    return [row.astype(rows[0].dtype) for row in noisy]


CHANGES: dict[str, Callable[[Rows, np.random.Generator], Rows]] = {
    "brighter": _images(lambda images: (images.float() * 1.6 + 30.0).clamp(0, 255).to(torch.uint8)),
    "noisy": _noisy,
    "blurred": _images(lambda images: TF.gaussian_blur(images, 5)),
    "rotated": _images(lambda images: TF.rotate(images, 25.0)),
}


@dataclass
class Known:
    """What a version makes of rows."""

    labels: list[Any]
    features: np.ndarray | None
    outputs: np.ndarray
    parts: dict[str, Any] = field(default_factory=dict)

    def sample(self, rows: np.ndarray, classes: bool) -> Sample:
        """Some of them, as an arrival would show them."""
        labels = [self.labels[row] for row in rows]
        features = None if self.features is None else self.features[rows]
        counts = Counter(map(str, labels)) if classes else Counter()
        return Sample(counts, None if classes else np.array(labels, float), features, self.outputs[rows])


class Some:
    """A part of a source."""

    def __init__(self, source: Any, rows: int) -> None:
        self.name, samples = source.name, list(source.samples())
        keep = np.random.default_rng(0).permutation(len(samples))[:rows]
        self._samples = [samples[row] for row in sorted(keep.tolist())]

    def samples(self) -> Iterator[SourceSample]:
        return iter(self._samples)


def version_of(name: str, data: Path, out: Path) -> Version:
    """The version of a data set's line, made if it is not there."""
    chosen, line = DATA_SETS[name], raygp.open(str(out / f"line-{name}"))
    if not line.exists:
        form = chosen.source.format(data=data, out=out)
        source = Some(open_source(form), chosen.rows) if chosen.rows else form
        line.ingest(source, IngestSettings(["first"], [1.0], 0.3, 0.3), task=chosen.task)
    if line.head is None:
        line.update(line.settings(None, *chosen.settings))
    assert line.head is not None
    return line.head


def write_tables(out: Path) -> None:
    """Two tables that scikit-learn brings."""
    from sklearn import datasets

    for name, load in (("breast-cancer", datasets.load_breast_cancer), ("diabetes", datasets.load_diabetes)):
        if not (file := out / f"{name}.csv").exists():
            bunch = load()
            with open(file, "w", newline="") as opened:
                writer = csv.writer(opened)
                writer.writerow([*(str(column).replace(" ", "_") for column in bunch.feature_names), "target"])
                labels = bunch.target_names[bunch.target] if name == "breast-cancer" else bunch.target
                writer.writerows([*row, label] for row, label in zip(bunch.data, labels, strict=True))


def decoded(version: Version, splits: Sequence[str]) -> tuple[Rows, list[Any]]:
    """Rows of some splits, and the label of each: a class, a number, or the length of a text."""
    line, task = raygp.open(version.location), version.task
    [manifest] = line.arrivals()
    catalog = Catalog(version.location, (), {}, 0, tuple(version.classes))
    inputs, labels = [], []
    for shard in (shard for shard in manifest.shards if shard.split in splits):
        for part in read_examples(catalog, ShardRef(manifest.arrival, shard, 0), task):
            inputs += list(part["inputs"])
            labels += [len(target) if task.sequences else target.item() for target in part["targets"]]
    return inputs, labels


def known(version: Version, rows: Rows, labels: list[Any]) -> Known:
    """What the version makes of rows."""
    features, outputs = [], []
    with FeatureWatch(version.predictor.model, version.task.classifier) as watch:
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            found = version.predictor.outputs(batch)
            features.append(watch.by_row(len(batch), found))
            outputs.append(outputs_by_row(version.task, found, version.classes))
    return Known(labels, np.concatenate(features), np.concatenate(outputs))  # type: ignore[arg-type]


def chosen_rows(
    kind: str, labels: list[Any], rows: np.ndarray, classes: bool, draws: np.random.Generator
) -> np.ndarray:
    """Of an arrival with other labels, the rows that are in it."""
    values = np.array(labels)[rows]
    if kind == "half":  # The lower half of the classes, numbers or lengths.
        return rows[values <= np.median(np.unique(values) if classes else values)]
    if kind == "unbalanced":  # The n-th class comes with a share of 0.7^n.
        order = draws.permutation(np.unique(values))
        keep = {value: 0.7**place for place, value in enumerate(order.tolist())}
        return rows[draws.random(len(rows)) < np.array([keep[value] for value in values.tolist()])]
    return rows


def run_cell(version: Version, kind: str, size: int, draws: int, cache: dict[str, Known]) -> Row:
    """So many comparisons of one kind."""
    classes = version.task.labels_are_classes and not labels_are_numbers(version.task)
    if "same" not in cache:
        cache["same"] = known(version, *decoded(version, ("val", "test")))
        cache["trained"] = known(version, *decoded(version, ("train",)))
    if kind in CHANGES and kind not in cache:
        rows, labels = decoded(version, ("val", "test"))
        cache[kind] = known(version, CHANGES[kind](rows, np.random.default_rng(1)), labels)
    plain, changed = cache["same"], cache.get(kind, cache["same"])
    total, found = len(plain.labels), []
    for draw in range(draws):
        generator = np.random.default_rng([draw, size])
        order = generator.permutation(total)
        cut = min(_SEEN, total // 2)
        new = chosen_rows(kind, plain.labels, order[cut:], classes, generator)[:size]
        seen = plain.sample(order[:cut], classes)
        if kind == "same, trained":
            rows = generator.permutation(len(cache["trained"].labels))[:_SEEN]
            seen = cache["trained"].sample(rows, classes)
        parts = compare(changed.sample(new, classes), seen, draw)
        found.append({name: [round(part.effect, 4), part.p, part.level] for name, part in parts.items()})
    right = np.mean(changed.outputs.argmax(axis=1) == np.array(plain.labels)) if classes else None
    accuracy = None if right is None else round(float(right), 4)
    return {"kind": kind, "size": len(new), "wanted": size, "seen": cut, "accuracy": accuracy, "draws": found}


def run_all(options: argparse.Namespace) -> list[Row]:
    """Make the cells that are missing."""
    options.out.mkdir(parents=True, exist_ok=True)
    write_tables(options.out)
    file = options.out / "drift.jsonl"
    cells = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for name in options.data_set:
        try:
            version = version_of(name, options.data, options.out)
        except RaygpError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        kinds = ["same", "same, trained", *DATA_SETS[name].shifts, "half"]
        kinds += ["unbalanced"] if version.task.labels_are_classes else []
        cache: dict[str, Known] = {}
        for size in _SIZES:
            for kind in kinds:
                if any((cell["data"], cell["kind"], cell["wanted"]) == (name, kind, size) for cell in cells):
                    continue
                draws = options.draws if kind.startswith("same") else options.draws // 2
                cells.append({"data": name, **run_cell(version, kind, size, draws, cache)})
                with open(file, "a") as opened:
                    opened.write(json.dumps(cells[-1]) + "\n")
                print(row_of(cells[-1]), flush=True)
    return cells


def row_of(cell: Row) -> str:
    """A line of the results page: how many draws found something, by part; the middle effect in brackets."""
    texts, whole = [], sum(any(part[2] != "none" for part in draw.values()) for draw in cell["draws"])
    for name in ("labels", "features", "together", "outputs"):
        parts = [draw[name] for draw in cell["draws"] if name in draw]
        texts.append(f"{sum(p[2] != 'none' for p in parts)} ({np.median([p[0] for p in parts]):.2f})" if parts else "-")
    large = sum(any(part[2] == "large" for part in draw.values()) for draw in cell["draws"])
    counts = f"{whole} of {len(cell['draws'])} | {large}"
    shown = cell["accuracy"] is not None and (cell["kind"] in CHANGES or cell["kind"] == "same")
    right = f"{cell['accuracy']:.1%}" if shown else "-"
    return f"| {cell['data']} | {cell['kind']} | {cell['size']} | {right} | {counts} | {' | '.join(texts)} |"


def main() -> int:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--data-set", type=lambda text: text.split(","), default=list(DATA_SETS), metavar="NAMES")
    parser.add_argument("--draws", type=int, default=20, help="of same data; half as many of each shift")
    parser.add_argument("--out", type=Path, default=Path("drift-results"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = run_all(options)
    print("\n| data | arrival | rows | right | found | large | labels | features | together | outputs |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    print(*map(row_of, cells), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
