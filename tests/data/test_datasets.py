"""Data sets on disk as Hugging Face's datasets keeps them, made by that package itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from raygp.data.sources import Source, guess_source, open_source, passed_over_lines, tell_labels
from raygp.errors import InputError
from tests.data.test_tables_and_tars import png, wav

hf = pytest.importorskip("datasets")


def opened(path: Path | str, classes: bool = True) -> Source:
    source = open_source(f"datasets:{path}")
    tell_labels(source, classes)
    return source


def rows(source: Source) -> list[tuple[str | None, str, bytes]]:
    assert not any(sample.problem for sample in source.samples())
    return [(sample.split, sample.label, sample.load()) for sample in source.samples()]


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        list(opened(path).samples())
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path}", "X")


def texts(labels: list[int], start: int = 0) -> Any:
    features = hf.Features({"text": hf.Value("string"), "label": hf.ClassLabel(names=["bad", "good"])})
    found = [f"text {start + number}" for number in range(len(labels))]
    return hf.Dataset.from_dict({"text": found, "label": labels}, features=features)


def test_texts_of_a_data_set_and_of_its_shards(tmp_path: Path) -> None:
    expected = [(None, "good" if number % 2 else "bad", f"text {number}".encode()) for number in range(9)]
    texts([number % 2 for number in range(9)]).save_to_disk(tmp_path / "one")
    texts([number % 2 for number in range(9)]).save_to_disk(tmp_path / "three", num_shards=3)
    for name in ("one", "three"):
        source = opened(tmp_path / name)
        assert rows(source) == expected and passed_over_lines(source) == []
    assert guess_source(f"{tmp_path}/one") == f"datasets:{tmp_path}/one"


def test_a_row_that_was_chosen_or_moved_is_where_it_is(tmp_path: Path) -> None:
    texts([0, 1, 0, 1]).select([3, 0]).save_to_disk(tmp_path / "x")
    assert rows(opened(tmp_path / "x")) == [(None, "good", b"text 3"), (None, "bad", b"text 0")]


def test_splits_of_a_dict_and_a_part_without_labels(tmp_path: Path) -> None:
    parts = {"train": texts([0, 1]), "test": texts([1], 2), "unsupervised": texts([-1, -1], 3)}
    hf.DatasetDict(parts).save_to_disk(tmp_path / "x")
    source = opened(tmp_path / "x")
    assert rows(source) == [("test", "good", b"text 2"), ("train", "bad", b"text 0"), ("train", "good", b"text 1")]
    assert passed_over_lines(source) == [
        "rows of files of no split, of which none has a label: 2, such as "
        "unsupervised/data-00000-of-00001.arrow#000000"
    ]


@pytest.mark.parametrize("how", ["arrow", "parquet"])
def test_images_and_sounds(how: str, tmp_path: Path) -> None:
    images = [Image.open(io.BytesIO(png(shade))) for shade in (1, 2)]
    names = hf.Features({"image": hf.Image(), "animal": hf.ClassLabel(names=["cat", "dog"])})
    found = hf.Dataset.from_dict({"image": images, "animal": [1, 0]}, features=names)
    contents = [wav(9), wav(10)]
    said = pa.table({"audio": [{"bytes": content, "path": None} for content in contents], "text": ["yes", "no"]})
    sounds = hf.Dataset(said).cast(hf.Features({"audio": hf.Audio(decode=False), "text": hf.Value("string")}))
    if how == "arrow":
        found.save_to_disk(tmp_path / "images")
        sounds.save_to_disk(tmp_path / "sounds")
    else:
        found.to_parquet(tmp_path / "images" / "0.parquet")
        sounds.to_parquet(tmp_path / "sounds" / "0.parquet")
    kind = "datasets" if how == "arrow" else "parquet"
    for folder, classes, labels in (("images", True, ["dog", "cat"]), ("sounds", False, ["yes", "no"])):
        source = open_source(f"{kind}:{tmp_path}/{folder}")
        tell_labels(source, classes)
        taken = rows(source)
        assert [label for _, label, _ in taken] == labels
        if folder == "sounds":
            assert [content for *_, content in taken] == contents
        else:
            pixels = [Image.open(io.BytesIO(content)).getpixel((0, 0)) for *_, content in taken]
            assert pixels == [(1, 10, 10), (2, 10, 10)]


def test_the_cache_of_datasets_without_what_map_and_filter_keep(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\na,x\nb,y\n")
    files = {"train": f"{tmp_path}/t.csv", "test": f"{tmp_path}/t.csv"}
    found = hf.load_dataset("csv", data_files=files, cache_dir=f"{tmp_path}/cache")
    found.map(lambda row: {"size": len(row["text"])}).filter(lambda row: row["size"] > 0)
    source = opened(tmp_path / "cache")
    assert rows(source) == [("test", "x", b"a"), ("test", "y", b"b"), ("train", "x", b"a"), ("train", "y", b"b")]
    assert any(line.startswith("results of map and filter that were kept: 4") for line in passed_over_lines(source))


def test_what_is_damaged_or_missing_is_told_in_one_line(tmp_path: Path) -> None:
    texts([0, 1] * 50).save_to_disk(tmp_path / "x", num_shards=2)
    file = tmp_path / "x" / "data-00001-of-00002.arrow"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert refusal(tmp_path / "x").startswith("X/data-00001-of-00002.arrow cannot be read as an Arrow stream: ")
    for damaged in (content[:-8], content + b"x"):
        file.write_bytes(damaged)
        assert refusal(tmp_path / "x").endswith("as an Arrow stream: its end is missing: the file is incomplete")
    end = content.index(b"\xff\xff\xff\xff", 8)  # Of the schema: the first batch begins here.
    file.write_bytes(content[:end] + bytes(64) + content[end + 64 :])
    assert refusal(tmp_path / "x").endswith("as an Arrow stream: it ends before the file does: it is damaged")
    file.unlink()
    assert refusal(tmp_path / "x") == (
        "X/data-00001-of-00002.arrow is missing, which state.json beside it lists: save the data set again"
    )
    file.write_bytes(content)
    (tmp_path / "x" / "left-over.arrow").write_bytes(content)
    source = opened(tmp_path / "x")
    assert len(rows(source)) == 100
    assert passed_over_lines(source) == ["files that state.json beside them does not list: 1, such as left-over.arrow"]
    state = tmp_path / "x" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "_indices_data_files": [{"filename": "i.arrow"}]}))
    assert refusal(tmp_path / "x").endswith("by an early version of datasets: load it and save it again")
    state.write_text("[]")
    assert refusal(tmp_path / "x").startswith("X/state.json does not list the files of a data set: TypeError")
    assert refusal(tmp_path / "none") == "X does not exist"


def test_the_other_form_of_arrow_files_is_read_too(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]})
    with pa.OSFile(f"{tmp_path}/t.arrow", "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    assert rows(opened(tmp_path / "t.arrow")) == [(None, "x", b"a"), (None, "y", b"b")]
