"""What could mean two things, or was never seen, is asked for or told."""

from __future__ import annotations

from pathlib import Path

import pytest

import raygp
from raygp.cli import main
from raygp.tasks import Unfit, make_task
from raygp.tasks.tabular import fit_classes
from tests.tables.tables import HOUSES, REGRESSION, Taken, houses, write
from tests.tables.test_scale import fit

PLACES = {name.lower(): place for place, name in enumerate(HOUSES)}


def with_cells(count: int, seed: int, column: str, cells: dict[int, str]) -> list[list[str]]:
    rows = houses(count, seed)
    for number, row in enumerate(rows):
        row[PLACES["age"]] = str(20 + number % 60)
        row[-1] = str(100 + number)
        row[PLACES[column]] = cells.get(number, row[PLACES[column]])
    return rows


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["690", "2.727"], "column 'a' holds '2.727' beside '690', so whether its point stands between thousands is "
         "not plain: write 2727 if it does, 2.7270 (and 690.0) if it is a decimal point"),
        (["2.727", "-14.000"], ""),
        (["690", "2.727", "1.5"], ""),
        (["0.125", "1"], ""),
        (["1234.567", "1"], ""),
        ([690, 2.727], ""),
        (["690.0", "2.7270"], ""),
        (["50,123"], "'50,123' has a comma before three digits: write 50123 if it stands between thousands, 50.1230"),
        (["-50,123"], "write -50123 if it stands between thousands, -50.1230 if not"),
        (["0,123"], "'0,123' has a decimal comma"),
        (["50,1234"], "'50,1234' has a decimal comma"),
    ],
)  # fmt: skip
def test_a_point_that_may_stand_between_thousands_is_asked_about(cells: list[str | float], message: str) -> None:
    if not message:
        assert fit(cells * 50).columns[0].kind == "number"
        return
    with pytest.raises(Unfit) as caught:
        fit(cells * 50)
    assert message in str(caught.value)


def test_so_is_one_of_labels() -> None:
    with pytest.raises(Unfit, match=r"the column of labels holds '2.727' beside '690'") as caught:
        fit(["1", "2", "3"] * 40, ["690", "2.727", "15"] * 40)
    assert caught.value.sample == 1


@pytest.mark.parametrize(
    ("column", "value", "refused", "said"),
    [
        ("age", "60.000", "b.csv#000009: column 'age' holds '60.000' where the line has whole numbers", ""),
        ("price", "2.727", "b.csv#000009: column 'price' holds '2.727' where the line has whole numbers", ""),
        ("age", "60.5", "", ""),
        (
            "age",
            "900",
            "",
            "column 'age': 1 of 100 values lie far outside what the line has seen, such as 900 (seen we",
        ),
        ("age", "1e300", "", ""),
        (
            "garden",
            "",
            "",
            "column 'garden': 1 of 100 values are missing, and the line has seen none missing: the mean",
        ),
        (
            "city",
            "",
            "",
            "column 'city': 1 of 100 values are missing, and the line has seen none missing: an untrained",
        ),
        ("price", "99999999", "", "column 'price': 1 of 100 values lie far outside what the line has seen, such as 1e"),
    ],
)
def test_later_arrivals_are_looked_at(tmp_path: Path, column: str, value: str, refused: str, said: str) -> None:
    first = write(tmp_path / "a.csv", HOUSES, with_cells(200, 1, "age", {}))
    assert not Taken(tmp_path / "line", first, dict(REGRESSION)).refused
    taken = Taken(tmp_path / "line", write(tmp_path / "b.csv", HOUSES, with_cells(100, 2, column, {7: value})))
    assert taken.refused.startswith(refused) and bool(taken.refused) == bool(refused)
    assert [line[: len(said)] for line in taken.said] == [said] * bool(said)


def test_a_column_that_is_empty_now_is_named(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", HOUSES, houses(200, 1))
    assert not Taken(tmp_path / "line", first, dict(REGRESSION)).refused
    rows = houses(50, 2)
    for row in rows:
        row[PLACES["built"]] = "NA"
    assert Taken(tmp_path / "line", write(tmp_path / "b.csv", HOUSES, rows)).said == [
        "column 'built' is empty in all 50 rows"
    ]


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("$5{:04d}", "50003"),
        ("1,2{:02d},567", "1203567"),
        ("5{} 123", "53123"),
        ("12{} kg", "123"),
        ("1{:03d}€", "1003"),
    ],
)
def test_texts_that_are_numbers_to_people_say_so(pattern: str, written: str) -> None:
    cells = [pattern.format(i % 90 + 3) for i in range(90)]
    reason = fit(cells).left_out["a"]
    assert reason.endswith(f"it looks like numbers: write {written} for '{cells[0]}'")
    [doubt] = fit([pattern.format(i % 3 + 3) for i in range(90)]).doubts
    assert doubt.startswith("column 'a' is taken as categories: it looks like numbers: write ")


def test_codes_with_zeros_before_them_get_a_hint_and_texts_do_not() -> None:
    [doubt] = fit([f"{i % 50:03d}" for i in range(100)]).doubts
    assert "such as '000': if they are codes, --categories a takes them as categories" in doubt
    assert fit([str(i % 50) for i in range(100)]).doubts == () and fit(["flat 3", "Rome"] * 50).doubts == ()


def test_a_row_without_any_value_is_a_bad_row(tmp_path: Path) -> None:
    rows = houses(200, 1)
    rows[9] = ["", "NA", *[""] * 5, "7"]
    taken = Taken(tmp_path / "line", write(tmp_path / "a.csv", HOUSES, rows), dict(REGRESSION))
    assert not taken.refused and taken.manifests[0].quarantined == 1
    bad = (tmp_path / "line" / "arrivals" / "arrival-000" / "quarantine.jsonl").read_text()
    assert "every cell of the row is empty" in bad


@pytest.mark.parametrize(("labels", "refused"), [(30, True), (4, False)])
def test_numbers_that_are_measured_are_no_classes(labels: int, refused: bool) -> None:
    plain = make_task({"name": "tabular"})
    rows = [(f'{{"a": {i % 7}}}'.encode(), f"{i % labels}.5") for i in range(300)]
    if not refused:
        assert fit_classes(plain.spec, rows).columns  # type: ignore[attr-defined]
        return
    with pytest.raises(Unfit, match="--task tabular-regression learns numbers"):
        fit_classes(plain.spec, rows)  # type: ignore[attr-defined]


def test_a_column_without_values_cannot_be_categories(tmp_path: Path) -> None:
    rows = with_cells(100, 1, "zone", dict.fromkeys(range(100), ""))
    taken = Taken(tmp_path / "line", write(tmp_path / "a.csv", HOUSES, rows), REGRESSION)
    assert "--categories zone: the column has no values in the training rows" in taken.refused


def test_answers_come_with_what_the_line_has_not_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "a.csv", HOUSES, houses(150, 1))
    line = raygp.open(str(tmp_path / "line"))
    line.ingest(first, task=dict(REGRESSION))
    line.update()
    rows = houses(20, 2)
    rows[3][PLACES["city"]] = "Paris"
    rows[5][PLACES["age"]], rows[6][PLACES["garden"]] = "60.000", ""
    rows[7][PLACES["zone"]], rows[8][PLACES["built"]] = "9", "2999-01-01"
    write(tmp_path / "b.csv", HOUSES, rows)
    main(["predict", "--root", str(tmp_path / "line"), str(tmp_path / "b.csv")])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 21
    for expected in (
        "column 'city': 1 of 20 rows have a category that the line does not know ('Paris' 1): taken as 'other'",
        "column 'zone': 1 of 20 rows have a category that the line does not know ('9' 1): taken as 'other'",
        "column 'age' holds '60.000', read as 60: if the point stands between thousands, write 60000 (1 like it)",
        "column 'garden': 1 of 20 values are missing, and the line has seen none missing: the mean is taken",
        "column 'built': 1 of 20 values lie far outside what the line has seen",
    ):
        assert expected in said.err
