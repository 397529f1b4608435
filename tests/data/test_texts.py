"""Texts with classes: tables, folders, and what is told of bad ones."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygp.data.sources import Source, guess_source, notes_of, open_source, passed_over_lines, tell_labels
from raygp.errors import InputError

CSV = 'Text,Label\n"Cats, and more\nof them, ""many""",cat\nDogs,dog\n'


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def opened(path: Path | str) -> Source:
    source = open_source(f"texts:{path}")
    tell_labels(source, True)
    return source


def rows(source: Source) -> list[tuple[str | None, str, str, bytes]]:
    assert not any(sample.problem for sample in source.samples())
    return [(sample.split, sample.label, sample.key, sample.load()) for sample in source.samples()]


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        list(opened(path).samples())
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path}", "X")


def test_a_table_of_text_gives_texts_with_the_lines_where_they_begin(tmp_path: Path) -> None:
    expected = [("cat", "t.csv#000002", b'Cats, and more\nof them, "many"'), ("dog", "t.csv#000004", b"Dogs")]
    write(tmp_path, {"t.csv": CSV})
    assert [row[1:] for row in rows(opened(tmp_path / "t.csv"))] == expected
    assert [row[1:] for row in rows(opened(tmp_path))] == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", "label\ttext\ncat\tmiaow\ndog\twuff\n"),
        ("t.csv", "sentence;class\r\nmiaow;cat\r\nwuff;dog\r\n".encode("utf-16")),
        ("t.jsonl", '{"content": "miaow", "label": "cat"}\n{"label": "dog", "content": "wuff"}\n'),
    ],
)
def test_each_kind_of_table_and_name_of_column(name: str, content: str | bytes, tmp_path: Path) -> None:
    write(tmp_path, {name: content})
    assert [(label, text) for _, label, _, text in rows(opened(tmp_path))] == [("cat", b"miaow"), ("dog", b"wuff")]


@pytest.mark.parametrize(
    "heading",
    ["Review,Sentiment", "body,category", "tweet,topic", "message,target", "text,label,topic", "content,label,comment"],
)
def test_names_of_columns_of_texts_and_classes(heading: str, tmp_path: Path) -> None:
    more = ",more" * heading.count(",label,")
    write(tmp_path, {"t.csv": f"{heading}\nmiaow,cat{more}\nwuff,dog{more}\n"})
    assert [(label, text) for _, label, _, text in rows(opened(tmp_path))] == [("cat", b"miaow"), ("dog", b"wuff")]


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "title,text,label\nA,miaow,cat\nB,wuff,dog\n", "u.csv": "text,label\nmuh,cow\n"})
    source = opened(tmp_path)
    assert len(rows(source)) == 3
    assert notes_of(source) == [
        "t.csv: columns that are not used: title (the text is 'text', the label 'label')",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "label": ["pos"]}', 'X line 2: column label holds a list (["pos"]): expected one value, such'),
        ('{"text": "a", "label": {"id": 0}}', 'X line 2: column label holds an object ({"id": 0}): expected one value'),
        ('{"text": ["a", "b"], "label": "x"}', 'X line 2: column text holds a list (["a", "b"]): expected one value'),
        ('{"text": "a", "label": "x", "spans": [1, 2]}', ""),
    ],
)
def test_lists_and_objects_in_json_lines_are_no_texts(content: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, {"t.jsonl": f'{{"text": "b", "label": "y"}}\n{content}\n'})
    path = tmp_path / "t.jsonl"
    assert (not message and len(rows(opened(path))) == 2) or refusal(path).startswith(message)


def test_two_columns_that_may_be_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "text,topic,sentiment\nmiaow,pet,good\n"})
    assert refusal(tmp_path / "t.csv") == (
        "X has the columns 'sentiment' and 'topic': call the one that is meant 'label'"
    )


def test_parquet_of_texts_with_names_of_classes_and_splits_by_file(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}
    for split, texts in (("train", ["a", "b"]), ("test", ["c", "d"])):
        table = pa.table({"text": texts, "label": [1, 0]})
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
        pq.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    expected = [("test", "good", b"c"), ("test", "bad", b"d"), ("train", "good", b"a"), ("train", "bad", b"b")]
    for kind in ("texts", "parquet"):
        source = open_source(f"{kind}:{tmp_path}")
        tell_labels(source, True)
        assert [(split, label, text) for split, label, _, text in rows(source)] == expected


def test_a_text_is_stored_in_one_form(tmp_path: Path) -> None:
    table = pa.table({"text": ["\ufeff \tif e\u0301:\r\n\tgo\u200b\r\n\n", "x"], "label": ["a", "b"]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert rows(opened(tmp_path))[0][3].decode() == "if é:\n\tgo"


def test_rows_without_text_or_label_and_half_characters_are_bad_rows(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "label": "x"}', '{"text": " ", "label": "x"}', '{"text": "b"}',
        '{"text": "\\ud800", "label": "y"}',
    ]  # fmt: skip
    write(tmp_path, {"t.jsonl": "\n".join(lines)})
    found = list(opened(tmp_path).samples())
    assert [sample.label for sample in found] == ["x", "x", "", "y"]
    assert [sample.problem for sample in found] == [
        "", "there is no text in it", "", "it is not UTF-8 (byte 0): save it as UTF-8",
    ]  # fmt: skip


def test_class_folders_of_text_files_with_splits(tmp_path: Path) -> None:
    files = {
        "README": "read me", "train/pos/1.txt": "good\n", "train/neg/2.txt": "bäd".encode("utf-16"),
        "train/unsup/3.txt": "what", "train/pos/x.feat": "0:1", "test/pos/4.txt": "fine", "test/neg/5.TXT": "poor",
    }  # fmt: skip
    write(tmp_path, {f"aclImdb/{name}": content for name, content in files.items()})
    source = opened(tmp_path)
    assert rows(source) == [
        ("test", "neg", "test/neg/5.TXT", b"poor"),
        ("test", "pos", "test/pos/4.txt", b"fine"),
        ("train", "neg", "train/neg/2.txt", "bäd".encode()),
        ("train", "pos", "train/pos/1.txt", b"good"),
    ]
    assert passed_over_lines(source) == [
        "files that are no .txt: 2, such as aclImdb/README",
        "texts without labels: 1, such as aclImdb/train/unsup/3.txt",
    ]
    assert pickle.loads(pickle.dumps(next(iter(source.samples())).load))() == b"poor"


def test_a_text_file_that_is_none_is_named_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"a/1.txt": "größe".encode("latin-1"), "b/2.txt": "x"})
    with pytest.raises(InputError) as caught:
        next(iter(opened(tmp_path).samples())).load()
    assert str(caught.value) == (
        f"{tmp_path}/a/1.txt: line 1 is not UTF-8: save the file as UTF-8 (it looks like Latin-1/Windows-1252)"
    )


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv") == "X does not exist"
    write(tmp_path / "both", {"t.csv": CSV, "cat/1.txt": "x"})
    assert refusal(tmp_path / "both") == (
        "X holds tables (t.csv) and text files (cat/1.txt): give the one that is meant"
    )
    write(tmp_path / "one", {"1.txt": "x"})
    assert refusal(tmp_path / "one/1.txt") == (
        "X is one text, which has no label: give a folder of class folders, or a table"
    )
    assert "X holds no .tsv or .csv" not in refusal(tmp_path / "one")
    write(tmp_path / "bare", {"t.csv": "text,stars\na,b\n"})
    assert refusal(tmp_path / "bare").endswith(
        "t.csv has no column of labels: expected one of label, labels, fine_label, class, "
        "sentiment, category, topic, target, found text, stars"
    )
    write(tmp_path / "images", {"t.csv": "name,label\na,b\n"})
    assert "t.csv has no column of texts: expected one of text, sentence," in refusal(tmp_path / "images")


def test_a_quotation_mark_that_is_not_closed_is_told(tmp_path: Path) -> None:
    for damaged in (CSV.replace('many""",', 'many"",'), CSV.replace("Dogs", '"Dogs')):
        write(tmp_path, {"t.csv": damaged})
        assert "t.csv line " in refusal(tmp_path) and "a quotation mark opens a text" in refusal(tmp_path)


def test_a_folder_of_loose_texts_has_no_classes(tmp_path: Path) -> None:
    write(tmp_path, {"1.txt": "x", "2.txt": "y"})
    assert refusal(tmp_path) == (
        "X holds no class folders; expected one folder of texts for each class, or such folders in train, val and test"
    )


def test_a_test_set_without_labels_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"train.csv": "text,label\na,x\nb,y\n", "test.csv": "id,text\n1,c\n"})
    source = opened(tmp_path)
    assert [row[:2] for row in rows(source)] == [("train", "x"), ("train", "y")]
    assert passed_over_lines(source) == [
        "rows of the test split, of which none has a label: 1, such as test.csv#000002"
    ]


def test_a_folder_without_a_kind_is_recognised(tmp_path: Path) -> None:
    write(tmp_path, {"a/1.txt": "x", "b/2.txt": "y"})
    assert guess_source(str(tmp_path)) == f"texts:{tmp_path}"
