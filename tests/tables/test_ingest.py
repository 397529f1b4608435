"""Tables on their way into a line: what is found of their columns, and what later arrivals may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygp.data.ingest import IngestSettings
from raygp.data.parts import PartJob
from raygp.store import Location, open_line, read_shard
from raygp.tasks import make_task
from tests.tables.tables import HOUSES, REGRESSION, Rows, Taken, houses, write


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A line of 200 houses."""
    taken = Taken(tmp_path / "line", write(tmp_path / "first.csv", HOUSES, houses(200, 1)), REGRESSION)
    assert not taken.refused
    return tmp_path / "line"


def test_columns_are_found_from_the_first_arrivals_training_rows_and_stay(tmp_path: Path) -> None:
    taken = Taken(tmp_path / "line", write(tmp_path / "a.csv", HOUSES, houses(200, 1)), REGRESSION)
    [manifest] = taken.manifests
    assert manifest.labels == {} and manifest.rows("train") + manifest.rows("val") + manifest.rows("test") == 200
    assert taken.said == [
        "columns of the table, numbers: age; true or false: garden; dates: built; categories: city (3), zone (3)",
        f"column 'id' is left out: an id or free text ({manifest.rows('train')} different values in "
        f"{manifest.rows('train')} rows)",
        "column 'country' is left out: constant ('EU')",
    ]
    task = open_line(Location(str(tmp_path / "line"))).task
    train: list[tuple[dict[str, str | None], float]] = []
    for shard in manifest.shards_of("train"):
        table = read_shard(Location(str(tmp_path / "line")), manifest.arrival, shard)
        both = zip(table["sample"].to_pylist(), table["label"].to_pylist(), strict=True)
        train += [(json.loads(sample), float(label)) for sample, label in both]
    ages = [float(row["age"]) for row, _ in train if row["age"] is not None]
    [age] = [column for column in task["columns"] if column["name"] == "age"]
    assert age["mean"] == pytest.approx(sum(ages) / len(ages)) and age["missing"]
    assert task["target_mean"] == pytest.approx(sum(label for _, label in train) / len(train))
    assert list(train[0][0]) == [name.lower() for name in HOUSES[:-1]]


def test_the_same_rows_are_known_again_whatever_the_order_of_columns(line: Path, tmp_path: Path) -> None:
    turned = [row[::-1] for row in houses(200, 1)]
    taken = Taken(line, write(tmp_path / "b.csv", HOUSES[::-1], turned), REGRESSION)
    assert taken.manifests == [] and not taken.refused


def test_a_later_arrival_may_have_more_columns_and_other_categories_and_says_so(line: Path, tmp_path: Path) -> None:
    rows = [[*row, "?"] for row in houses(100, 2)]
    for number, city in ((3, "Paris"), (4, "Paris"), (5, "Lyon")):
        rows[number][2] = city
    rows[7][-2] = "cheap"
    taken = Taken(line, write(tmp_path / "b.csv", [*HOUSES, "roof"], rows))
    assert taken.said == [
        "passed over: columns that the line does not know: 1, such as 'roof' of b.csv",
        "column 'city': 3 of 100 rows have a category that the line does not know ('Paris' 2, 'Lyon' 1): taken as "
        "'other'",
    ]
    assert taken.manifests[0].quarantined == 1
    [bad] = (line / "arrivals" / "arrival-001" / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(bad)["reason"] == "label 'cheap' is no number" and json.loads(bad)["key"] == "b.csv#000009"
    strict = Taken(line, write(tmp_path / "c.csv", [*HOUSES, "roof"], rows), None, IngestSettings(strict=True))
    assert "columns that the line does not know" in strict.refused


@pytest.mark.parametrize("word", ["None", "NA"])
def test_a_class_that_reads_like_no_label_is_named(word: str, tmp_path: Path) -> None:
    rows = [[number, (word, "some")[number % 2]] for number in range(40)]
    taken = Taken(
        tmp_path / "line", write(tmp_path / "a.csv", ["size", "kind"], rows), {"name": "tabular", "label": "kind"}
    )
    assert taken.refused == (
        "20 of 40 rows cannot be used, which is more than --max-bad-share 0.01; the first of them is a.csv#000002: "
        f"label '{word}' is taken for no label: if it is a class, give it another name"
    )


@pytest.mark.parametrize(
    ("heading", "message"),
    [
        ([*HOUSES[:1], "age_years", *HOUSES[2:]], "b.csv lacks the column 'age' (is it 'age_years' now?), which the"),
        ([*HOUSES[:2], "x", "y", *HOUSES[4:]], "b.csv lacks the columns 'city', 'built'"),
        ([*HOUSES[:-1], "cost"], "b.csv has no column 'price', the labels"),
    ],
)
def test_a_column_that_is_missing_is_an_error(line: Path, tmp_path: Path, heading: list[str], message: str) -> None:
    taken = Taken(line, write(tmp_path / "b.csv", heading, houses(50, 2)))
    assert message in taken.refused and taken.manifests == []


def test_what_the_model_does_not_see_may_be_missing(line: Path, tmp_path: Path) -> None:
    rows = [row[1:] for row in houses(50, 2)]
    assert Taken(line, write(tmp_path / "b.csv", HOUSES[1:], rows)).manifests[0].quarantined == 0


def test_a_text_among_numbers_is_a_bad_row(line: Path, tmp_path: Path) -> None:
    rows = houses(200, 2)
    rows[3][1] = "old"
    taken = Taken(line, write(tmp_path / "b.csv", HOUSES, rows))
    assert taken.manifests[0].quarantined == 1
    many = houses(200, 3)
    for row in many[:20]:
        row[1] = "old"
    taken = Taken(line, write(tmp_path / "c.csv", HOUSES, many))
    assert "column 'age' holds 'old', where the line has numbers" in taken.refused


def changed(place: int, value: str, every: int = 1) -> Rows:
    rows = houses(120, 4)
    for row in rows[::every]:
        row[place] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "task", "message"),
    [
        (changed(1, "old", 3), {}, "column 'age' holds numbers such as"),
        (changed(3, "31/12/2020"), {}, "column 'built': '31/12/2020' may be a date"),
        (changed(1, "3,5"), {}, "column 'age': '3,5' has a decimal comma"),
        (changed(7, "5"), {}, "all labels are 5: there is nothing to learn"),
        (changed(0, "u"), {"label": "city"}, "labels are none; --task tabular learns classes"),
        (changed(0, "u"), {"name": "tabular"}, "--task tabular-regression learns numbers"),
        (changed(0, "u"), {"drop": ["roof"]}, "there is no column 'roof'; the columns are id, age, city"),
        (changed(0, "u"), {"hidden": []}, "hidden: Tuple should have at least 1 item"),
    ],
)
def test_a_table_that_is_not_plain_is_refused_with_advice(
    tmp_path: Path, rows: Rows, task: dict[str, object], message: str
) -> None:
    taken = Taken(tmp_path / "line", write(tmp_path / "a.csv", HOUSES, rows), REGRESSION | task)
    assert message in taken.refused and not (tmp_path / "line" / "line.json").exists()


def test_the_row_that_is_not_plain_is_named(tmp_path: Path) -> None:
    rows = houses(120, 4)
    for number in range(40):
        rows[number][1] = "old"
    refused = Taken(tmp_path / "line", write(tmp_path / "a.csv", HOUSES, rows), REGRESSION).refused
    line = int(refused.removeprefix("a.csv#")[:6])
    assert rows[line - 2][1] == "old"


def test_columns_can_be_dropped_or_be_categories(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", HOUSES, changed(1, "old", 3))
    taken = Taken(tmp_path / "line", source, REGRESSION | {"categories": ["age"], "drop": ["Built"]})
    assert not taken.refused and not any("built" in said for said in taken.said)
    kinds = {column["name"]: column["kind"] for column in open_line(Location(str(tmp_path / "line"))).task["columns"]}
    assert kinds["age"] == "category" and "built" not in kinds and kinds["zone"] == "number"


def test_an_ingest_that_was_interrupted_goes_on_with_the_same_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.csv", HOUSES, houses(200, 1))
    settings, done = IngestSettings(part_rows=32), []
    do = PartJob.do

    def interrupted(job: PartJob, *rest: object) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(job.number)
        return do(job)

    with monkeypatch.context() as patch:
        patch.setattr(PartJob, "do", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Taken(tmp_path / "line", source, REGRESSION, settings)
    before = (tmp_path / "line" / "line.json").read_bytes()
    assert json.loads(before)["task"]["columns"]
    with monkeypatch.context() as patch:
        patch.setattr(PartJob, "do", lambda job, *rest: done.append(job.number) or do(job))
        assert Taken(tmp_path / "line", source, REGRESSION, settings).manifests
    assert len(done) == len(set(done)), "no part is written twice"
    assert (tmp_path / "line" / "line.json").read_bytes() == before


def test_the_task_of_a_line_is_named_without_what_was_fitted(line: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "b.csv", HOUSES, houses(50, 2))
    assert Taken(line, more, REGRESSION).manifests
    other = Taken(line, more, REGRESSION | {"hidden": [8]})
    assert "for another task (hidden: [128, 64] there, [8] here)" in other.refused


def test_rows_that_are_alike_are_observations_and_stay_together(tmp_path: Path) -> None:
    # Sixty rows of three kinds: each kind has both labels.
    rows = [[kind, "yes" if number % 4 else "no"] for number in range(20) for kind in "abc"]
    rows += [[f"{letter}{digit}", "yes"] for letter in "defghij" for digit in range(3)]
    source = write(tmp_path / "a.csv", ["kind", "label"], rows)
    task = {"name": "tabular", "categories": ["kind"]}
    taken = Taken(tmp_path / "line", source, task)
    [manifest] = taken.manifests
    assert sum(shard.rows for shard in manifest.shards) == len(rows) and manifest.quarantined == 0
    location, places = Location(str(tmp_path / "line")), dict[str, set[str]]()
    for shard in manifest.shards:
        table = read_shard(location, manifest.arrival, shard)
        for sample in table["sample"].to_pylist():
            places.setdefault(json.loads(sample)["kind"], set()).add(shard.split)
    assert all(len(found) == 1 for found in places.values()), "what is held out is never trained on"
    again = Taken(tmp_path / "line", write(tmp_path / "b.csv", ["kind", "label"], [["a", "yes"], ["z", "no"]] * 3))
    assert make_task(open_line(location).task).labels_are_classes and not again.refused
