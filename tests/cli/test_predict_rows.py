"""``raygp predict`` on tables that are not as they should be: each bad row is named, and the rest is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raygp
from raygp.cli import main
from raygp.line import Line
from raygp.settings import load_settings

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line over tables: whether ``a`` is large; ``city`` says the same."""
    where = tmp_path_factory.mktemp("rows")
    found = [(a, "Rome" if a > 60 else "Bern", "large" if a > 60 else "small") for a in range(120)]
    table = ["a,city,label", *(f"{a},{city},{label}" for a, city, label in found)]
    (where / "first.csv").write_text("\n".join(table))
    line = raygp.open(str(where / "line"))
    line.ingest(f"table:{where / 'first.csv'}", task={"name": "tabular"})
    line.update(load_settings(line.task, overrides=["synthesis.epochs=8"]))
    return line


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def asked(line: Line, capsys: Capture, *arguments: str) -> tuple[int, list[tuple[str, str]], str]:
    """The exit code, names with errors ("" where there is an answer), and standard error."""
    code = main(["predict", "--root", line.root, "--json", *arguments])
    out, err = capsys.readouterr()
    found = [json.loads(row) for row in out.splitlines()]
    return code, [(row["file"], row.get("error", "")) for row in found], err


QUOTE = "a quotation mark opens a text and is not closed as it should be"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param(
            "ragged.csv",
            b"a,city\n1,Bern\n2,Rome,Oslo\n40,Rome\n5\n41,Rome\n",
            {2: "", 3: "it has 3 fields, but the heading has 2; a text with commas", 4: "", 5: "it has 1 field", 6: ""},
            id="fields",
        ),
        pytest.param("t.tsv", b"a\tcity\n1\tx\ty\n2\tBern\n", {2: "it has 3 fields, but the heading", 3: ""}, id="tsv"),
        pytest.param(
            "quotes.csv",
            b'a,city\n1,Bern\n2,Rome\n3,"Ro\n4,Rome\n5,Bern\n',
            {2: "", 3: "", 4: f"{QUOTE}~Everything after line 3 is left out."},
            id="quotes",
        ),
        pytest.param("latin.csv", b"a,city\n1,Z\xfcrich\n2,Rome\n", {2: "it is not UTF-8: save", 3: ""}, id="latin-1"),
        pytest.param("nul.csv", b"a,city\n1,Ro\0me\n2,Rome\n", {2: "it holds a NUL character", 3: ""}, id="nul"),
        pytest.param(
            "words.csv", b"a,city\nmany,Rome\n2,Rome\n", {2: "column 'a' holds 'many'", 3: ""}, id="no number"
        ),
    ],
)
def test_a_bad_row_is_one_bad_sample(
    rows: Line, capsys: Capture, name: str, content: bytes, expected: dict[int, str]
) -> None:
    Path(name).write_bytes(content)
    code, found, err = asked(rows, capsys, name)
    assert [where for where, _ in found] == [f"{name}#{line:06d}" for line in expected]
    for (where, error), start in zip(found, expected.values(), strict=True):
        first, _, last = start.partition("~")
        assert error.startswith(first) and error.endswith(last) and bool(error) == bool(start), where
    bad = sum(map(bool, expected.values()))
    assert code == 2 and f"raygp: predict: {bad} of {len(expected)} could not be read, such as {name}#" in err


def test_a_bad_row_of_a_parquet_file(rows: Line, capsys: Capture) -> None:
    pq.write_table(pa.table({"a": [1, 2], "city": pa.array([b"x", None])}), "t.parquet")
    code, found, _ = asked(rows, capsys, "t.parquet")
    assert code == 2 and found == [
        ("t.parquet#000000", "column city holds bytes: a cell is a number, a text, a date, true or false"),
        ("t.parquet#000001", ""),
    ]


@pytest.mark.parametrize("column", ["split", "set", "partition"])
def test_splits_mean_nothing_for_answers(rows: Line, capsys: Capture, column: str) -> None:
    Path("t.csv").write_text(f"a,city,{column}\n1,Bern,monday\n2,Rome,train\n")
    assert asked(rows, capsys, "t.csv")[:2] == (0, [("t.csv#000002", ""), ("t.csv#000003", "")])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "a,city\n", "there are no rows in it"),
        ("t.csv", "", "it is empty: expected a heading with the names of columns"),
        ("t.csv", "city\nBern\n", "it lacks the column 'a', which the line's model sees"),
        ("t.jsonl", "", "there are no rows in it"),
        ("t.xlsx", "PK", "it is a spreadsheet: save it as CSV"),
    ],
)
def test_a_file_without_rows_is_said_and_named_once(
    rows: Line, capsys: Capture, name: str, content: str, message: str
) -> None:
    Path(name).write_text(content)
    code, found, err = asked(rows, capsys, name)
    [(where, error)] = found
    assert (code, where) == (2, name) and error.startswith(message)
    assert err.splitlines()[-1].startswith(f"raygp: predict: {name}: {message}")


def test_unknown_categories_are_counted(rows: Line, capsys: Capture) -> None:
    Path("t.csv").write_text("a,city\n1,Oslo\n2,Oslo\n3,Bern\n4,Paris\n")
    Path("u.jsonl").write_text('{"a": 1, "city": "Oslo"}\n{"a": \n{"a": 2, "city": null}\n')
    code, found, err = asked(rows, capsys, "t.csv", "u.jsonl")
    assert code == 2 and [where for where, error in found if error] == ["u.jsonl#000002"]
    assert len(found) == 7
    said = "column 'city': 4 of 6 rows have a category that the line does not know ('Oslo' 3, 'Paris' 1): taken as"
    assert said in err


def test_names_of_files_in_json(rows: Line, capsys: Capture) -> None:
    names = ["line\nend.json", "caf\u00e9\x9b.json", "caf\udce9.json"]
    for name in names:
        Path(name).write_text('{"a": 1, "city": "Bern"}')
    assert main(["predict", "--root", rows.root, "--json", *names]) == 0
    out = capsys.readouterr().out
    assert [json.loads(row)["file"] for row in out.splitlines()] == names
    assert '"line\\nend.json"' in out and '"caf\u00e9\\u009b.json"' in out and '"caf\\udce9.json"' in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("form", [["--json"], []])
def test_a_full_disk_is_one_line(rows: Line, form: list[str]) -> None:
    Path("t.json").write_text('{"a": 1, "city": "Bern"}')
    command = [sys.executable, "-m", "raygp", "predict", "--root", rows.root, *form, "t.json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "raygp: predict: answers cannot be written: No space left on device\n"


@pytest.mark.parametrize("more", [[], ["t.json"]])
def test_a_file_that_looks_like_an_option(rows: Line, capsys: Capture, more: list[str]) -> None:
    Path("-dash.json").write_text("{}")
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--root", rows.root, *more, "-dash.json"])
    assert caught.value.code == 2
    assert "-dash.json is a file: write ./-dash.json, or put -- before it" in capsys.readouterr().err
