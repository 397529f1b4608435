"""Parquet files as people have them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import Source, SourceSample, open_source, passed_over_lines, tell_labels
from raygp.data.sources.columns import LABELS, MAYBE_SPLITS, SAMPLES, SPLITS, TRANSCRIPTS
from raygp.errors import InputError
from raygp.store import Location, Manifest, list_arrivals
from tests.checkout import PROJECT
from tests.data.test_tables_and_tars import TASK, png, refusal, wav, write_parquet

NAMES = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}


def of_feature(**features: Any) -> dict[str, Any]:
    return {"info": {"features": features}}


_opened: list[Source] = []
"""Samples can be read as long as their source is there."""


def listed(path: Path, classes: bool | None = True) -> list[SourceSample]:
    source = open_source(f"parquet:{path}")
    _opened[:] = [*_opened[-3:], source]
    if classes is not None:
        tell_labels(source, classes)
    return list(source.samples())


def labels(path: Path, classes: bool | None = True) -> list[str]:
    found = listed(path, classes)
    assert not any(sample.problem for sample in found)
    return [sample.label for sample in found]


def problems(path: Path, classes: bool = True) -> dict[int, str]:
    return {row: sample.problem for row, sample in enumerate(listed(path, classes)) if sample.problem}


def refused(path: Path, classes: bool | None = True) -> str:
    with pytest.raises(InputError) as caught:
        listed(path, classes)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path}", "X")


def passed(path: Path) -> list[str]:
    source = open_source(f"parquet:{path}")
    list(source.samples())
    return passed_over_lines(source)


def published(location: Location, path: Path, **settings: Any) -> Manifest:
    ingest(location, TASK, open_source(f"parquet:{path}"), IngestSettings(["a"], [1.0], 0.2, 0.2, **settings))
    return list_arrivals(location)[0]


def no_utf8(*values: bytes) -> pa.Array:
    return pa.array(values, pa.binary()).view(pa.string())


BOOL8 = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))
JSON = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2"]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["b", "a"]).dictionary_encode(), ["b", "a"]),
        (pa.array([b"b", b"a"]).dictionary_encode(), ["b", "a"]),
        (pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int8()), pa.array([7, 9])), ["9", "7"]),
        (pa.array([True, False]), ["true", "false"]),
        (BOOL8, ["true", "false"]),
        (pa.array([0.0, 3.0]), ["0", "3"]),
        (pa.array(np.array([1, 3], np.float16)), ["1", "3"]),
        (pa.array([-0.0, 2.0], pa.float32()), ["0", "2"]),
        (pa.array([200, 3], pa.uint8()), ["200", "3"]),
        (pa.array([2**63, 1], pa.uint64()), ["9223372036854775808", "1"]),
        (pa.array(["b", "a"], pa.large_string()), ["b", "a"]),
        (pa.array(["b", "a"], pa.string_view()), ["b", "a"]),
        (pa.array([b"caf\xc3\xa9", b"a"]), ["café", "a"]),
        (pa.array([b"b", b"a"], pa.large_binary()), ["b", "a"]),
        (pa.array([b"b", b"a"], pa.binary_view()), ["b", "a"]),
        (pa.array([b"bb", b"aa"], pa.binary(2)), ["bb", "aa"]),
        (JSON, ["1", "2"]),
    ],
    ids=str,
)
def test_labels_of_every_type_are_the_same_texts(tmp_path: Path, values: pa.Array, expected: list[str]) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": [png(1), png(2)], "label": values})
    assert labels(file) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["a", None]), ""),
        (pa.array(["a", None]).dictionary_encode(), ""),
        (pa.array([1.0, float("nan")]), ""),
        (pa.array([1.0, 3.5]), "label 3.5 is no whole number"),
        (pa.array([1.0, float("inf")]), "label inf is no whole number"),
        (pa.array([b"a", b"\xff"]), "label '\\xff' is no text in UTF-8"),
        (no_utf8(b"a", b"\xff"), "label '\\xff' is no text in UTF-8"),
    ],
    ids=str,
)
def test_a_label_that_is_none_is_one_bad_row(tmp_path: Path, values: pa.Array, expected: str) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": [png(1), png(2)], "label": values})
    first, second = listed(file)
    assert (first.label in ("a", "1"), first.problem) == (True, "")
    assert second.problem == expected and (second.problem or second.label == "")


def test_of_whole_numbers_without_names_minus_one_is_no_label_where_the_others_are_counted(tmp_path: Path) -> None:
    expected = "label -1, which stands for no label"

    def found(values: list[int], split: list[str] | None = None) -> dict[int, str]:
        columns = {"image": [png(1)] * len(values), "label": values} | ({"split": split} if split else {})
        return problems(write_parquet(tmp_path / "x.parquet", columns))

    assert found([0, 1, 2, -1, 1]) == {3: expected}
    assert found([1, 2, 3, -1]) == {3: expected}
    assert found([0, 1] * 99 + [-1]) == {198: expected}
    # Three feelings, two sides of a plane, two classes of a larger set: each is a class.
    assert found([0, 1, -1]) == found([1, -1]) == found([7, -1]) == found([70, 71, 72, -1]) == {}
    # A test set whose labels nobody knows is passed over.
    assert len(listed(write_parquet(tmp_path / "y.parquet", {
        "image": [png(1)] * 4, "label": [0, 1, -1, -1], "split": ["train", "train", "test", "test"],
    }))) == 2  # fmt: skip


def test_bad_rows_are_left_out_of_an_arrival_and_counted(location: Location, tmp_path: Path) -> None:
    contents: list[bytes | None] = [png(i % 250) for i in range(303)]
    values: list[int | None] = [0, 1] * 150 + [-1, 7, 0]
    contents[302] = None
    file = write_parquet(tmp_path / "x.parquet", {"image": contents, "label": values}, NAMES, row_group_size=50)
    manifest = published(location, file, max_bad_share=0.02, duplicates="keep")
    assert set(manifest.labels) == {"cat", "dog"} and manifest.quarantined == 3
    quarantine = location.read_bytes("arrivals/a/quarantine.jsonl").decode()
    for row, reason in {
        300: "label -1, which stands for no label",
        301: "label 7 is none of its 2 classes",
        302: "there is nothing in column image",
    }.items():
        assert f"x.parquet#{row:06d}" in quarantine and reason in quarantine


def test_too_many_bad_rows_refuse_the_arrival_and_one_is_named(location: Location, tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": [png(1), png(2)], "label": [0.5, 1.0]})
    with pytest.raises(InputError, match=r"x\.parquet#000000: label 0\.5 is no whole number"):
        published(location, file)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([["a"], ["b", "c"]]), "column label holds lists (list<element: string>): expected one label"),
        (pa.array([{"name": "a"}] * 2), "column label must hold strings or whole numbers, not struct<name: string>"),
        (pa.array([1, 2]).cast(pa.decimal128(19, 0)), "whole numbers, not decimal128(19, 0): cast it"),
        (pa.array([1, 2]).cast(pa.timestamp("s")), "not timestamp["),
        (pa.array([1, 2], pa.int32()).cast(pa.date32()), "not date32[day]"),
    ],
    ids=str,
)
def test_labels_of_other_types_are_refused_by_name(tmp_path: Path, values: pa.Array, expected: str) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": [png(1), png(2)], "label": values})
    message = refused(file)
    assert message.startswith("X: column label ") and expected in message


SMALL = [png(1), png(2)]


@pytest.mark.parametrize(
    "columns",
    [
        {"image": pa.array(SMALL, pa.large_binary())},
        {"image": pa.array(SMALL, pa.binary_view())},
        {"image": pa.array(SMALL).dictionary_encode()},
        {"IMAGE": SMALL},
        {" Image ": SMALL},
        {"image.bytes": SMALL, "image.path": ["1.png", None]},
        {"image.path": ["1.png", None], "image.bytes": SMALL},
        {"image": pa.array([{"bytes": each, "path": None} for each in SMALL])},
        {"image": pa.array([{"path": "a.png", "bytes": each, "width": 3} for each in SMALL])},
        {"image": pa.StructArray.from_arrays([pa.array(SMALL).dictionary_encode()], ["bytes"])},
        {"picture": pa.array([{"bytes": each, "path": None} for each in SMALL])},
        {"sample": ["patient 1", "patient 2"], "image": SMALL},
        {"file": ["1.png", "2.png"], "img": SMALL},
        {"image": SMALL, "audio": [b"x", b"y"]},
    ],
    ids=lambda columns: ",".join(f"{name}:{getattr(values, 'type', '')}" for name, values in columns.items()),
)
def test_samples_of_every_type_are_the_same_bytes(tmp_path: Path, columns: dict[str, Any]) -> None:
    file = write_parquet(tmp_path / "x.parquet", {**columns, "LABEL": ["a", "b"]}, row_group_size=1)
    found = listed(file)
    assert [(sample.label, sample.load(), sample.problem) for sample in found] == [
        ("a", SMALL[0], ""),
        ("b", SMALL[1], ""),
    ]


def test_fixed_size_bytes_are_samples(tmp_path: Path) -> None:
    values = pa.array([b"abcd", b"efgh"], pa.binary(4))
    file = write_parquet(tmp_path / "x.parquet", {"image": values, "label": ["a", "b"]})
    assert [sample.load() for sample in listed(file)] == [b"abcd", b"efgh"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([None, png(1)], "there is nothing in column image"),
        (pa.array([None, {"bytes": png(1), "path": "1.png"}]), "there is nothing in column image"),
        (pa.array([{"bytes": None, "path": None}, {"bytes": png(1)}]), "there is nothing in column image"),
        (
            pa.array([{"bytes": None, "path": "none.png"}, {"bytes": png(1)}]),
            "column image holds a path in place of bytes, and there is no file 'none.png' beside the table",
        ),
    ],
    ids=["null", "null struct", "struct of nulls", "struct of a path"],
)  # fmt: skip
def test_a_sample_that_is_not_there_is_one_bad_row(tmp_path: Path, column: Any, expected: str) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": column, "label": ["a", "b"]})
    assert problems(file) == {0: expected}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[1], [3]], pa.list_(pa.uint8())), "column image holds lists (list<element: uint8>), such as pixels"),
        (pa.array([[{"bytes": b"x"}]] * 2), "column image holds lists (list<element: struct<bytes: binary>>)"),
        ([1, 2], "column image must hold bytes (or bytes and path), not int64"),
        (pa.array([{"url": "x"}] * 2), "column image must hold bytes (or bytes and path), not struct<url: string>"),
        (pa.array([{"bytes": [1], "path": "a"}] * 2), "column image must hold bytes (or bytes and path), not struct<"),
    ],
    ids=str,
)  # fmt: skip
def test_samples_of_other_types_are_refused_by_name(tmp_path: Path, column: Any, expected: str) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": column, "label": ["a", "b"]})
    assert refused(file).startswith(f"X: {expected}")


def test_files_beside_the_table_are_read_where_it_holds_paths(tmp_path: Path) -> None:
    for name, content in {"1.png": png(1), "more/2.png": png(2), "train/3.png": png(3)}.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    (tmp_path / "secret.png").write_bytes(png(9))
    paths = ["1.png", "more\\2.png", "./more/../1.png", "../secret.png", "/somewhere/secret.png", "C:\\1.png",
             "s3://bucket/1.png", "", "1.png\0", "4.png", "more"]  # fmt: skip
    columns = {"file_name": paths, "label": list("abcdefghijk")}
    columns |= {"split": [None] * 10 + ["val"]}
    write_parquet(tmp_path / "set" / "metadata.parquet", columns)
    write_parquet(tmp_path / "set/train/metadata.parquet", {"file_name": ["3.png", "../1.png"], "label": ["a", "b"]})
    found = listed(tmp_path / "set")
    assert [sample.load() for sample in found if not sample.problem] == [png(1), png(2), png(1), png(3), png(1)]
    start = "column file_name holds a path in place of bytes, and "
    assert [sample.problem.removeprefix(start) for sample in found[3:-2]] == [
        "'../secret.png' leads out of the folder",
        "'/somewhere/secret.png' is no relative path",
        "'C:\\1.png' is no relative path",
        "'s3://bucket/1.png' is no relative path",
        "there is nothing in column file_name",
        "there is no file '1.png\\x00' beside the table",
        "there is no file '4.png' beside the table",
        "there is no file 'more' beside the table",
    ]  # fmt: skip


def test_paths_alone_are_refused_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    struct = pa.array([{"bytes": None, "path": f"/data/{i}.png"} for i in range(2)])
    file = write_parquet(tmp_path / "x.parquet", {"image": struct, "label": ["a", "b"]})
    assert refused(file) == (
        "X: column image must hold bytes (or bytes and path), not struct<bytes: null, path: string> with paths alone, "
        "and '/data/0.png' is no relative path: put the bytes of the files into the column (with Hugging Face's "
        "datasets: dataset.with_format('arrow').map(datasets.table.embed_table_storage, batched=True)), or the files "
        "beside the table"
    )
    file = write_parquet(tmp_path / "y.parquet", {"image": ["0.png", "1.png"], "label": ["a", "b"]})
    assert "there is no file '0.png' beside the table: put the bytes" in refused(file)
    assert "(with pandas: table['image'] = [open(path, 'rb').read() for path in table['image']])" in refused(file)


@pytest.mark.parametrize(
    ("columns", "features", "classes", "expected"),
    [
        # A speech line takes the text, a line of classes the class.
        ({"audio": b"x", "text": "hello", "label": "angry"}, {}, False, "hello"),
        ({"audio": b"x", "sentence": "hello", "label": 1}, {"label": {"names": ["a", "b"]}}, False, "hello"),
        ({"audio": b"x", "text": "hello", "label": "angry"}, {}, True, "angry"),
        ({"audio": b"x", "text": "hello"}, {}, True, "hello"),
        ({"audio": b"x", "label": "hello"}, {}, False, "hello"),
        # Hugging Face's features say which column is what.
        ({"image": b"x", "labels": 1}, {"labels": {"names": ["a", "b"], "_type": "ClassLabel"}}, True, "b"),
        ({"x": b"x", "Art": 0}, {"x": {"_type": "Image"}, "Art": {"names": ["a"], "_type": "ClassLabel"}}, True, "a"),
        ({"image": b"x", "text": "a caption", "kind": 0}, {"kind": {"names": ["a"], "_type": "ClassLabel"}}, True, "a"),
        ({"image": b"x", "label": "a", "kind": 0}, {"kind": {"names": ["b"], "_type": "ClassLabel"}}, True, "a"),
        ({"image": b"x", "fine_label": 0, "coarse_label": 0}, {
            "coarse_label": {"names": ["animal"], "_type": "ClassLabel"},
            "fine_label": {"names": ["cat"], "_type": "ClassLabel"},
        }, True, "cat"),
        ({"image": b"x", "label": 1}, {"label": {"names": {"0": "a", "1": "b", "10": "c"}}}, True, "b"),
        ({"image": b"x", "label": 1}, {"label": {"names": None, "num_classes": 2, "_type": "ClassLabel"}}, True, "1"),
        ({"image": b"x", "label": "1"}, {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}, True, "b"),
        ({"image": b"x", "label": 1.0}, {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}, True, "b"),
        ({"image": b"x", "label": True}, {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}, True, "yes"),
        ({"image": b"x", "label": "z"}, {"label": "nonsense"}, True, "z"),
    ],
    ids=str,
)  # fmt: skip
def test_which_column_is_the_label(
    tmp_path: Path, columns: dict[str, Any], features: dict[str, Any], classes: bool, expected: str
) -> None:
    row = {name: [value] for name, value in columns.items()}
    # Hugging Face's own guide to pyarrow writes the features as the second.
    for metadata in (of_feature(**features), {"dataset_info": {"features": features}}):
        assert labels(write_parquet(tmp_path / "x.parquet", row, metadata), classes) == [expected]


def test_the_medium_of_the_line_decides_between_an_image_and_a_recording(tmp_path: Path) -> None:
    features = of_feature(image={"_type": "Image"}, audio={"_type": "Audio"})
    columns = {"image": [png(1)], "audio": [wav(5)], "text": ["hello"], "label": ["a"]}
    for metadata in (features, None):
        file = write_parquet(tmp_path / "x.parquet", columns, metadata)
        assert [(sample.label, sample.load()) for sample in listed(file, True)] == [("a", png(1))]
        assert [(sample.label, sample.load()) for sample in listed(file, False)] == [("hello", wav(5))]


@pytest.mark.parametrize(
    ("columns", "features", "classes", "expected"),
    [
        ({"audio": b"x", "text": "a", "label": "b"}, {}, None, "X has the columns 'label' and 'text': whether"),
        ({"audio": b"x", "text": "a", "sentence": "b"}, {}, False, "X has the columns 'text' and 'sentence', and"),
        ({"image": b"x", "label": "a", "Label": "b"}, {}, True, "X has the columns 'label' and 'Label': give"),
        ({"image": b"x", "kind": 0, "sex": 0}, {"kind": {"names": ["a"]}, "sex": {"names": ["b"]}}, True,
         "X has the columns of classes 'kind' and 'sex': call the one that is meant 'label'"),
        ({"left": b"x", "right": b"x", "label": 0}, {"left": {"_type": "Image"}, "right": {"_type": "Image"}}, True,
         "X has the columns of samples 'left' and 'right': call one of them 'sample'"),
        ({"image": b"x", "Image": b"y", "label": "a"}, {}, True, "X has the columns 'image' and 'Image': give"),
        ({"image": b"x", "label": "a", "split": 3}, {}, True, "X: column split must hold words such as train"),
        ({"label": "a"}, {}, True, "X has no column of samples: expected one of sample, image, audio, img, file"),
        ({"image": b"x"}, {}, True, "X has no column of labels: expected one of label"),
        ({"audio": b"x"}, {}, False, "X has no column of transcripts: expected one of text"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_clear_is_refused_by_name(
    tmp_path: Path, columns: dict[str, Any], features: dict[str, Any], classes: bool | None, expected: str
) -> None:
    row = {name: [value] for name, value in columns.items()}
    file = write_parquet(tmp_path / "x.parquet", row, of_feature(**features))
    assert refused(file, classes).startswith(expected)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array([png(1)]), pa.array(["a"]), pa.array(["b"])], names=["image", "label", "label"])
    pq.write_table(table, tmp_path / "x.parquet")
    assert refused(tmp_path / "x.parquet").startswith("X has the columns 'label' and 'label'")


@pytest.mark.parametrize(
    ("values", "features", "expected"),
    [
        (["train", "validation", "test"], {}, ["train", "val", "test"]),
        (["Train", " VAL ", None], {}, ["train", "val", None]),
        (pa.array(["train", "test", "dev"]).dictionary_encode(), {}, ["train", "test", "val"]),
        (pa.array([b"train", b"test", b"dev"]), {}, ["train", "test", "val"]),
        (pa.array([2, 0, 1]), {"split": {"names": ["test", "valid", "train"]}}, ["train", "test", "val"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_column_says_the_split(tmp_path: Path, values: Any, features: dict[str, Any], expected: list[str]) -> None:
    columns = {"image": [png(i) for i in range(3)], "label": list("abc"), "Split": values}
    features = {name.capitalize(): feature for name, feature in features.items()}
    file = write_parquet(tmp_path / "x.parquet", columns, of_feature(**features))
    assert [sample.split for sample in listed(file)] == expected


def test_folders_that_say_label_and_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("cat", "caf%C3%A9", "a%2Fb", "train", "__HIVE_DEFAULT_PARTITION__"):
            write_parquet(tmp_path / f"t/split={split}/label={label}/0.parquet", {"image": [png(1)]})
    found = Counter((sample.split, sample.label) for sample in listed(tmp_path / "t"))
    wanted = ("cat", "café", "a/b", "train", "")
    assert found == {(split, label): 1 for split in ("train", "test") for label in wanted}
    # A column of numbers that holds none is filled from its folder.
    none = {"image": [png(1)], "label": pa.array([None], pa.float64())}
    assert labels(write_parquet(tmp_path / "label=cat" / "0.parquet", none)) == ["cat"]
    # So do those that lead to what was given, but no others.
    alone = listed(tmp_path / "t/split=test/label=cat/0.parquet")
    assert [(sample.split, sample.label, sample.key) for sample in alone] == [("test", "cat", "0.parquet#000000")]


def test_a_folder_and_a_column_that_contradict_each_other_are_bad_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path / "label=cat/0.parquet", {"image": [png(1)] * 3, "label": ["cat", "dog", None]})
    assert [(sample.label, sample.problem) for sample in listed(tmp_path)] == [
        ("cat", ""),
        ("dog", "label 'dog' in a folder that is called label=cat"),
        ("cat", ""),
    ]


def test_a_folder_with_a_number_gets_the_class_name(tmp_path: Path) -> None:
    for number in (0, 1):
        write_parquet(tmp_path / f"t/label={number}/0.parquet", {"image": [png(number)]}, NAMES)
    assert labels(tmp_path / "t") == ["cat", "dog"]
    table = pa.table({"image": [png(i) for i in range(4)], "label": [0, 1, 0, 1]})
    pq.write_to_dataset(table.replace_schema_metadata({"huggingface": json.dumps(NAMES)}), tmp_path / "u", ["label"])
    assert Counter(labels(tmp_path / "u")) == {"cat": 2, "dog": 2}


def test_a_folder_as_datasets_writes_it(tmp_path: Path) -> None:
    struct = [{"bytes": png(i), "path": f"{i}.png"} for i in range(2)]
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_parquet(tmp_path / f"data/{name}.parquet", {"image": struct, "label": [0, 1]}, NAMES)
    (tmp_path / "README.md").write_text("---\n")
    found = Counter((sample.split, sample.label) for sample in listed(tmp_path))
    assert found == {("train", "cat"): 2, ("train", "dog"): 2, ("test", "cat"): 1, ("test", "dog"): 1}


@pytest.mark.parametrize("hidden", [{"label": [-1, -1]}, {"label": pa.array([None, None], pa.int64())}, {}])
def test_a_held_out_split_without_any_label_is_passed_over(
    location: Location, tmp_path: Path, hidden: dict[str, Any]
) -> None:
    for i, split in enumerate(("train", "validation")):
        images = [png(20 * i + j) for j in range(20)]
        write_parquet(tmp_path / f"{split}-0.parquet", {"image": images, "label": [0, 1] * 10}, NAMES)
    write_parquet(tmp_path / "test-0.parquet", {"image": [png(90), png(91)], **hidden}, NAMES)
    assert passed(tmp_path) == ["rows of the test split, of which none has a label: 2, such as test-0.parquet#000000"]
    manifest = published(location, tmp_path)
    assert sum(shard.rows for shard in manifest.shards) == 40 and manifest.quarantined == 0


def test_training_rows_without_any_label_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-0.parquet", {"image": [png(1)]})
    write_parquet(tmp_path / "test-0.parquet", {"image": [png(1)], "label": ["a"]})
    assert refused(tmp_path).startswith("X/train-0.parquet has no column of labels")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([0, 1], ["cat", "dog"], "labels are numbers in X/a.parquet (such as '0') and strings in X/b.parquet (such as"),
        ([0, 1], ["00", "01"], "labels are numbers in X/a.parquet (such as '0') and strings in X/b.parquet (such as"),
        ([True, False], ["yes", "no"], "labels are true and false in X/a.parquet (such as 'false') and strings in"),
        ([True, False], [1, 0], "labels are true and false in X/a.parquet (such as 'false') and numbers in"),
        ([0, 1], ["0", "1"], ""),
        ([0, 1], [2.0, 0.0], ""),
        ([True, False], ["true", "false"], ""),
    ],
    ids=str,
)  # fmt: skip
def test_files_that_write_labels_in_two_ways_are_refused(
    tmp_path: Path, one: list[Any], other: list[Any], expected: str
) -> None:
    for name, values in {"a": one, "b": other}.items():
        write_parquet(tmp_path / f"{name}.parquet", {"image": [png(1), png(2)], "label": values})
    if expected:
        assert refused(tmp_path).startswith(expected)
    else:
        assert len(labels(tmp_path)) == 4


@pytest.mark.parametrize(
    ("other", "names", "expected"),
    [
        ([0, 1], None, ["cat", "dog"]),  # Numbers get the names of the other files.
        (["dog", "bird"], None, ["dog", "bird"]),
        ([1, 0], ["dog", "cat"], ["cat", "dog"]),  # Each file has its own order.
        (["0", "1"], None, None),
    ],
    ids=str,
)
def test_files_with_and_without_class_names(
    tmp_path: Path, other: list[Any], names: list[str] | None, expected: list[str] | None
) -> None:
    write_parquet(tmp_path / "a.parquet", {"image": [png(1), png(2)], "label": [0, 1]}, NAMES)
    metadata = of_feature(label={"names": names, "_type": "ClassLabel"}) if names else None
    write_parquet(tmp_path / "b.parquet", {"image": [png(1), png(2)], "label": other}, metadata)
    if expected is None:
        assert refused(tmp_path).startswith("labels are class names in X/a.parquet (such as 'cat') and strings in")
    else:
        assert labels(tmp_path) == ["cat", "dog", *expected]


def test_numbers_beside_two_lists_of_names_are_refused(tmp_path: Path) -> None:
    rows = {"image": [png(1), png(2)], "label": [0, 1]}
    write_parquet(tmp_path / "a.parquet", rows, NAMES)
    write_parquet(tmp_path / "b.parquet", rows, of_feature(label={"names": ["dog", "cat"]}))
    write_parquet(tmp_path / "c.parquet", rows)
    assert "numbers in X/c.parquet (such as '0')" in refused(tmp_path)


def test_files_that_have_the_label_in_different_columns_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"image": [png(1)], "label": ["a"]})
    write_parquet(tmp_path / "b.parquet", {"image": [png(1)], "text": ["a cat on a mat"]})
    assert refused(tmp_path).startswith(
        "the labels are in column label of X/a.parquet, and in column text of X/b.parquet"
    )
    assert len(listed(tmp_path, False)) == 2


def test_files_without_rows_are_passed_over(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"image": [png(1)], "label": ["a"]})
    write_parquet(tmp_path / "empty.parquet", {"image": pa.array([], pa.null()), "other": pa.array([], pa.null())})
    assert len(listed(tmp_path)) == 1
    assert passed(tmp_path) == ["files without rows: 1, such as empty.parquet"]
    assert refused(tmp_path / "empty.parquet") == "Parquet files in empty.parquet: there are no rows in them"


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    assert refused(tmp_path).startswith("X/x.parquet cannot be read as Parquet: ")
    (tmp_path / "x.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    assert refused(tmp_path) == "X/x.parquet is a pointer of Git LFS without the data: run 'git lfs pull'"


def test_links_to_folders_of_files_are_followed(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t/a.parquet", {"image": [png(1)], "label": ["a"]})
    write_parquet(tmp_path / "elsewhere/b.parquet", {"image": [png(2)], "label": ["b"]})
    (tmp_path / "t/more").symlink_to("../elsewhere")
    assert [sample.key for sample in listed(tmp_path / "t")] == ["a.parquet#000000", "more/b.parquet#000000"]


def test_a_large_row_group_is_read_in_little_memory(tmp_path: Path) -> None:
    """100 MiB in one row group: as little as possible of it is in memory at any time."""
    with pq.ParquetWriter(
        tmp_path / "x.parquet",
        pa.schema({"image": pa.binary(), "label": pa.string()}),
        compression="none",
        use_dictionary=False,
        write_batch_size=8,
    ) as writer:
        writer.write_table(
            pa.table({"image": [os.urandom(1 << 18) for _ in range(400)], "label": ["a", "b"] * 200}),
            row_group_size=400,
        )
    script = (
        "import sys, pyarrow as pa\n"
        "from raygp.data.sources import open_source\n"
        "source = open_source('parquet:' + sys.argv[1])\n"
        "found = list(source.samples())\n"
        "assert len(found) == 400 and len(found[399].load()) == 1 << 18\n"
        "print(pa.default_memory_pool().max_memory())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "x.parquet"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 48 << 20


def test_a_split_of_the_table_that_is_none_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "split=extra/0.parquet", {"image": [png(1)], "label": ["a"]})
    assert refusal(f"parquet:{tmp_path}").endswith("0.parquet: row 0: split 'extra' is none of train, validation, test")


def test_a_file_beside_splits_that_says_none_is_refused(tmp_path: Path) -> None:
    for name in ("train", "test", "extra"):
        write_parquet(tmp_path / f"{name}-00000-of-00001.parquet", {"image": [png(1)], "label": ["a"]})
    assert refused(tmp_path).startswith("X/extra-00000-of-00001.parquet: its name says no split, as that of X/train-0")
    write_parquet(tmp_path / "extra-00000-of-00001.parquet", {"image": [png(1)], "label": ["a"], "split": ["val"]})
    assert [sample.split for sample in listed(tmp_path)] == ["val", "test", "train"]


@pytest.mark.parametrize("where", ["column", "folder"])
def test_numbers_from_1_beside_names_from_0_are_refused(tmp_path: Path, where: str) -> None:
    names = of_feature(label={"names": ["ant", "bee", "cat"]})
    if where == "column":
        write_parquet(tmp_path / "x.parquet", {"image": [png(1)] * 4, "label": [1, 2, 3, 2]}, names)
    else:
        for number in (1, 2, 3):
            write_parquet(tmp_path / f"label={number}/x.parquet", {"image": [png(1)]}, names)
    assert refused(tmp_path).endswith(
        "x.parquet: the labels are 1 to 3, but the first of the 3 class names ('ant') belongs to 0: subtract 1"
    )
    write_parquet(tmp_path / "y.parquet", {"image": [png(1)] * 3, "label": [0, 3, 2]}, names)
    assert problems(tmp_path / "y.parquet") == {1: "label 3 is none of its 3 classes"}


def test_base64_is_told_from_paths(tmp_path: Path) -> None:
    image = base64.b64encode(png(1)).decode()
    file = write_parquet(tmp_path / "x.parquet", {"image": [image], "label": ["a"]})
    assert f"no file '{image[:60]}...' beside the table (it looks like base64: decode it)" in refused(file)


def test_what_lies_beside_is_passed_over_unless_a_table_means_it(tmp_path: Path) -> None:
    files = (
        "_SUCCESS",
        "_metadata",
        ".part.crc",
        "_temporary/0.parquet",
        "a/1.png",
        "a/2.png",
        "notes.md",
        "a/._3.png",
    )
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png(1))
    write_parquet(tmp_path / "a" / "metadata.parquet", {"file_name": ["1.png"], "label": ["a"]})
    write_parquet(tmp_path / "by its content", {"image": [png(2)], "label": ["b"]})
    assert len(listed(tmp_path)) == 2
    assert sorted(passed(tmp_path)) == [
        "files and folders whose names begin with _: 3, such as _SUCCESS",
        "files of the operating system: 1, such as a/._3.png",
        "files that are no .parquet: 2, such as notes.md",
        "hidden files and folders: 1, such as .part.crc",
    ]


def test_a_pattern_takes_some_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("train-0", "train-1", "test-0"):
        write_parquet(tmp_path / "data" / f"{name}.parquet", {"image": ["1.png"], "label": ["a"]})
    (tmp_path / "data/1.png").write_bytes(png(1))
    found = listed(tmp_path / "data/train-*.parquet")
    assert [sample.key for sample in found] == ["train-0.parquet#000000", "train-1.parquet#000000"]
    assert [sample.load() for sample in found] == [png(1)] * 2
    assert len(listed(tmp_path / "data/train-{0..1}.parquet")) == 2


def test_a_subset_says_the_split_where_every_word_is_one(tmp_path: Path) -> None:
    columns = {"image": [png(1)] * 3, "label": list("abc")}
    file = write_parquet(tmp_path / "x.parquet", {**columns, "subset": ["train", "valid", "test"]})
    assert [sample.split for sample in listed(file)] == ["train", "val", "test"]
    for words in (["train", "other", "test"], ["train", None, "test"], [1, 2, 3]):
        file = write_parquet(tmp_path / "x.parquet", {**columns, "subset": words})
        assert [sample.split for sample in listed(file)] == [None, None, None]


@pytest.mark.parametrize("name", ["0.parquet", "data/train-00000-of-00001.parquet", "label=cat/0.parquet"])
def test_a_path_without_a_kind_is_recognized(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / "x" / name, {"image": [png(1)], "label": ["a"]})
    assert f"did you mean 'parquet:{tmp_path}/x'?" in refusal(f"{tmp_path}/x")


def test_a_word_of_several_may_say_the_split(tmp_path: Path) -> None:
    words = ["Training", "PublicTest", "PrivateTest"]  # As FER2013 has them.
    file = write_parquet(tmp_path / "x.parquet", {"image": [png(1)] * 3, "label": list("abc"), "split": words})
    assert [sample.split for sample in listed(file)] == ["train", "test", "test"]


@pytest.mark.parametrize("guide", ["own-images", "speech"])
def test_the_guides_name_the_columns(guide: str) -> None:
    text = (PROJECT / f"docs/guides/{guide}.md").read_text().split("## Columns of Parquet files")[1].split("\n## ")[0]
    roles = {"own-images": (*SAMPLES, *LABELS), "speech": (*SAMPLES, *TRANSCRIPTS)}
    assert [name for name in (*roles[guide], *SPLITS, *MAYBE_SPLITS) if f"`{name}`" not in text] == []


def test_a_label_and_its_folder_may_differ_in_blanks(tmp_path: Path) -> None:
    write_parquet(tmp_path / "label=cat/0.parquet", {"image": [png(1)], "label": ["cat "]})
    assert labels(tmp_path) == ["cat "]
