"""Lines of tables that are trained: on scikit-learn's bundled tables, in this process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn import datasets
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import raygp
from raygp.cli.printer import Printer
from raygp.data.ingest import IngestSettings
from raygp.errors import RejectedError
from raygp.line import Line
from raygp.report.parts import worst_line
from raygp.report.tables import phases_table, versions_table
from raygp.report.verdict import verdict_line
from raygp.store import read_shard
from raygp.store.documents import encode
from tests.tables.tables import CITIES, HOUSES, REGRESSION, houses, write


def bundled(folder: Path, name: str) -> str:
    """One of scikit-learn's tables as a CSV file."""
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.to_csv(folder / f"{name}.csv", index=False)
    return f"table:{folder / name}.csv"


def price_of(house: dict[str, str | None]) -> float:
    """The price of a house without its noise; of one of unknown age, of the mean age."""
    age = 40.5 if house["age"] is None else float(house["age"])
    return 3 * age + CITIES[str(house["city"])] + 40 * (house["garden"] == "true")


def rows_of(line: Line, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Cells and labels of a split, as numbers."""
    cells, labels = [], []
    for manifest in line.arrivals():
        for shard in manifest.shards:
            if shard.split == split:
                table = read_shard(line.location, manifest.arrival, shard)
                cells += [list(map(float, json.loads(sample).values())) for sample in table["sample"].to_pylist()]
                labels += map(float, table["label"].to_pylist())
    return np.array(cells), np.array(labels)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_classes_of_rows_are_learnt(tmp_path: Path, name: str) -> None:
    line = raygp.open(str(tmp_path / "line"))
    line.ingest(bundled(tmp_path, name), task={"name": "tabular"})
    [version] = line.update()
    assert version.metrics["val"] > 0.93 and version.metrics["test accuracy"] > 0.9
    assert version.card.density < 0.31 and version.card.metric == "" and version.card.by_class
    assert "metric" not in json.loads(encode(version.card)), "what most versions say nothing of is not stored"


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line of numbers in two arrivals, updated."""
    folder = tmp_path_factory.mktemp("diabetes")
    line = raygp.open(str(folder / "line"))
    settings = IngestSettings(["first", "second"], [0.7, 0.3], test_share=0.25)
    line.ingest(bundled(folder, "diabetes"), settings, task={"name": "tabular-regression"})
    said: list[str] = []
    console = Console(file=io.StringIO(), width=160)
    line.listen(Printer(console, line.location))
    line.update()
    said += console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    line.said = said  # type: ignore[attr-defined]
    return line


def test_numbers_are_learnt_about_as_well_as_by_ridge_regression(diabetes: Line) -> None:
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(*rows_of(diabetes, "train"))
    cells, labels = rows_of(diabetes, "test")
    deviation = diabetes.task["target_deviation"]

    def r2(predicted: Any) -> float:
        return 1 - float(np.mean((np.asarray(predicted) - labels) ** 2)) / deviation**2

    head = diabetes.head
    assert head is not None
    samples = []
    for manifest in diabetes.arrivals():
        for shard in manifest.shards_of("test"):
            samples += read_shard(diabetes.location, manifest.arrival, shard)["sample"].to_pylist()
    ours = r2([answer.value for answer in head.predict(samples)])
    assert ours == pytest.approx(head.metrics["test R2"], abs=1e-4)
    assert ours > r2(ridge.predict(cells)) - 0.08 and ours > 0.3


def test_a_regression_is_never_told_in_per_cent(diabetes: Line) -> None:
    cards = [version.card for version in diabetes.versions()]
    assert [card.metric for card in cards] == ["R2"] * len(cards) and all(not card.by_class for card in cards)
    assert json.loads(encode(cards[-1]))["metric"] == "R2"
    assert cards[-1].classes == [] and list(cards[-1].test_metrics) == ["R2"]
    told = [verdict_line(cards[-1]), worst_line(cards[-1]), *diabetes.said]  # type: ignore[attr-defined]
    console = Console(file=io.StringIO(), width=200)
    for table in (versions_table(cards), phases_table(cards[-1])):
        table.show(console)
    told += console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert not [line for line in told if "%" in line or "right" in line]
    assert any("validation R2 0." in line and "parent R2 0." in line for line in told)
    assert any("val R2" in line for line in told)


def test_a_first_version_that_is_no_better_than_the_mean_is_refused(tmp_path: Path) -> None:
    rows = houses(120, 1)
    for number, row in enumerate(rows):
        row[-1] = str((number * 7919) % 101)
    line = raygp.open(str(tmp_path / "line"))
    line.ingest(write(tmp_path / "a.csv", HOUSES, rows), task=dict(REGRESSION))
    with pytest.raises(RejectedError, match=r"R2 -\d\.\d+ is no better than always answering with the mean"):
        line.update()


def test_later_arrivals_are_folded_in_also_by_a_safer_plan_with_the_parents_answers(tmp_path: Path) -> None:
    line = raygp.open(str(tmp_path / "line"))
    line.ingest(write(tmp_path / "a.csv", HOUSES, houses(300, 1)), task=dict(REGRESSION))
    line.update()
    line.ingest(write(tmp_path / "b.csv", HOUSES, houses(150, 2)))
    taught = line.settings(None, "plan.distillation.weight=0.5", "plan.replay.by_class=auto")
    [version] = line.update(taught)
    assert set(version.card.by_arrival) == {"arrival-000", "arrival-001"}
    # Where the age is missing, nobody can know the price: this is what the rule itself comes to.
    wanted, rule = [], []
    for manifest in line.arrivals():
        for shard in manifest.shards_of("val"):
            table = read_shard(line.location, manifest.arrival, shard)
            wanted += map(float, table["label"].to_pylist())
            rule += [price_of(json.loads(sample)) for sample in table["sample"].to_pylist()]
    errors = np.array(rule) - np.array(wanted)
    best = 1 - float(np.mean(errors**2)) / line.task["target_deviation"] ** 2
    assert 0.8 < best - 0.05 < version.metrics["val"]
    one = b'{"age": 40, "city": "Oslo", "built": null, "garden": "true", "zone": 1, "id": "x", "country": "EU"}'
    [answer] = version.predict([one])
    assert answer.value == pytest.approx(3 * 40 + 60 + 40, abs=25) and answer.label == f"{answer.value:.10g}"


def test_an_arrival_of_held_out_numbers_alone_counts_and_can_be_withdrawn(tmp_path: Path) -> None:
    line = raygp.open(str(tmp_path / "line"))
    line.ingest(write(tmp_path / "a.csv", HOUSES, houses(150, 1)), task=dict(REGRESSION))
    held_out = [[*row, "val"] for row in houses(30, 2)]
    line.ingest(write(tmp_path / "b.csv", [*HOUSES, "split"], held_out))
    line.ingest(write(tmp_path / "c.csv", HOUSES, houses(60, 3)))
    assert [found.problems for found in line.verify()] == [[], [], []]
    assert line.withdraw("arrival-001").manifest.rows("val") == 30
