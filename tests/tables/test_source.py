"""Rows of CSV, TSV and Parquet files as samples."""

from __future__ import annotations

import datetime
import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygp.data.sources import Source, SourceSample, open_source, passed_over_lines
from raygp.errors import InputError
from tests.tables.tables import write

OPEN: list[Source] = []
"""Rows can be read as long as their source is there."""


def listed(source: str, **options: Any) -> list[SourceSample]:
    OPEN[:] = [open_source(source, **options)]
    return list(OPEN[0].samples())


def cells(sample: SourceSample) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sample.load())
    return found


def test_each_row_is_an_object_of_its_cells_without_label_and_split(tmp_path: Path) -> None:
    rows = [["1", " Zürich  Nord ", "cat", "train"], ["NA", 'a "b", c', "dog", "test"], ["", "x\ny", "cat", ""]]
    source = write(tmp_path / "a.csv", ["Age", " Town", "Label", "split"], rows)
    found = listed(source)
    assert [(s.key, s.label, s.split) for s in found] == [
        ("a.csv#000002", "cat", "train"), ("a.csv#000003", "dog", "test"), ("a.csv#000004", "cat", None),
    ]  # fmt: skip
    assert found[0].load() == '{"age":"1","town":"Zürich Nord"}'.encode()
    assert [cells(s) for s in found[1:]] == [{"age": None, "town": 'a "b", c'}, {"age": None, "town": "x y"}]


@pytest.mark.parametrize("how", ["tsv", "semicolons", "utf-16", "gz", "crlf", "bom"])
def test_a_table_is_read_however_it_is_written(tmp_path: Path, how: str) -> None:
    text, name = "a,b,y\n1,ä,no\n2,ö,yes\n", "t.csv"
    if how == "tsv":
        text, name = text.replace(",", "\t"), "t.tsv"
    if how == "semicolons":
        text = text.replace(",", ";")
    content = {"utf-16": text.encode("utf-16"), "bom": b"\xef\xbb\xbf" + text.encode()}.get(how, text.encode())
    if how == "crlf":
        content = content.replace(b"\n", b"\r\n")
    if how == "gz":
        content, name = gzip.compress(content), "t.csv.gz"
    (tmp_path / name).write_bytes(content)
    found = listed(f"table:{tmp_path / name}")
    assert [(cells(s), s.label) for s in found] == [({"a": "1", "b": "ä"}, "no"), ({"a": "2", "b": "ö"}, "yes")]


def test_parquet_keeps_numbers_and_writes_dates(tmp_path: Path) -> None:
    day = datetime.date(2024, 1, 31)
    table = pa.table({"N": [1.5, None], "flag": [True, False], "when": [day, day], "kind": ["a", "b"], "class": [1, 0]})
    pq.write_table(table, tmp_path / "t.parquet")
    found = listed(f"table:{tmp_path / 't.parquet'}")
    assert [s.key for s in found] == ["t.parquet#000000", "t.parquet#000001"]
    assert cells(found[0]) == {"n": 1.5, "flag": True, "when": "2024-01-31", "kind": "a"} and found[0].label == "1"
    assert cells(found[1])["n"] is None and found[1].label == "0"
    pq.write_table(pa.table({"a": [[1, 2]], "class": [1]}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=r"list\.parquet row 0: column a holds list: a cell is a number"):
        listed(f"table:{tmp_path / 'list.parquet'}")


def test_several_files_are_one_source_and_their_names_may_say_a_split(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", ["a", "b", "target"], [["1", "2", "x"]])
    write(tmp_path / "test.tsv", ["b", "target", "a"], [["4", "y", "3"]], "\t")
    write(tmp_path / "val.csv", ["a", "b"], [["5", "6"]])
    (tmp_path / "notes.txt").write_text("none of it")
    source = open_source(f"table:{tmp_path}")
    found = list(source.samples())
    assert [(s.key, s.split, s.label, cells(s)) for s in found] == [
        ("test.tsv#000002", "test", "y", {"b": "4", "a": "3"}),
        ("train.csv#000002", "train", "x", {"b": "2", "a": "1"}),
    ]
    said = "\n".join(passed_over_lines(source))
    assert "without a column of labels: 1, such as val.csv" in said and "notes.txt" in said
    write(tmp_path / "more.csv", ["a", "c", "target"], [["1", "2", "x"]])
    with pytest.raises(InputError, match=r"same columns: 'b' is only in test.tsv; 'c' is only in more.csv|'b' is only"):
        listed(f"table:{tmp_path}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,2,3\n", "t.csv line 2 has 3 fields, but the heading has 2"),
        ("a,y\n1,x\n\n2\n", "t.csv line 4 has 1 field, but the heading has 2"),
        ("a,b\n1,2\n", "t.csv has no column of labels: expected one of label, labels, fine_label, class, target, y, "),
        ("a,a,y\n1,2,3\n", "t.csv: column 'a' is there 2 times"),
        ('a,y\n1,"x\n2,y\n', "t.csv line 2: a quotation mark opens a text and is not closed"),
        ("", "t.csv is empty"),
        ("a,y\n", "there are no rows in it"),
        ("a,split,y\n1,monday,x\n", "t.csv line 2: split 'monday' is none of train, val, test"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        listed(f"table:{tmp_path / 't.csv'}")
    assert message in str(caught.value)


def test_a_wrong_encoding_is_named_with_its_line_far_into_a_file(tmp_path: Path) -> None:
    lines = [b"a,y"] + [b"%d %s,x" % (number, b"-" * 200) for number in range(8_000)]
    lines[7_000] = b"Z\xfcrich,x"
    (tmp_path / "t.csv").write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match=r"t\.csv: line 7001 is not UTF-8: save the file as UTF-8 \(it looks like L"):
        listed(f"table:{tmp_path / 't.csv'}")


def test_a_subset_that_says_something_else_is_a_column(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", ["a", "set", "y"], [["1", "train", "p"], ["2", "blue", "q"]])
    assert [(s.split, cells(s)["set"]) for s in listed(source)] == [(None, "train"), (None, "blue")]
    source = write(tmp_path / "u.csv", ["a", "set", "y"], [["1", "train", "p"], ["2", "test", "q"]])
    assert [(s.split, cells(s)) for s in listed(source)] == [("train", {"a": "1"}), ("test", {"a": "2"})]


def test_rows_without_labels_are_for_answers_only(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", ["a", "b"], [["1", "2"]])
    [row] = listed(source, unlabelled=True)
    assert row.label == "" and cells(row) == {"a": "1", "b": "2"}
    source = write(tmp_path / "u.csv", ["a", "price"], [["1", "2"]])
    [row] = listed(source, unlabelled=True, label="Price")
    assert row.label == "" and cells(row) == {"a": "1"}


def test_a_large_table_is_never_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w") as file:
        file.write("a,b,y\n")
        file.writelines(f"{'x' * 3000},{number},c\n" for number in range(3_000))
    tracemalloc.start()
    found = listed(f"table:{tmp_path / 't.csv'}")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 3_000 and cells(found[-1])["b"] == "2999"
    # The file has 9 MB. What stays is a key and a place for each row, and what is read at once.
    assert most < 6_000_000
