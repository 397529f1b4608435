"""Parquet files and WebDataset tars as sources."""

from __future__ import annotations

import io
import json
import tarfile
import wave
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import Source, open_source
from raygp.data.sources.naming import TARS
from raygp.errors import InputError
from raygp.store import Location, list_arrivals

TASK = {"name": "resnet18", "image_size": 16}


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 10, 10)).save(out, "PNG")
    return out.getvalue()


def wav(samples: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\1\2" * samples)
    return out.getvalue()


def write_parquet(path: Path, columns: dict[str, Any], metadata: dict[str, Any] | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, path, **options)
    return path


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def rows(source: Source) -> list[tuple[str | None, str, str, bytes]]:
    return [(sample.split, sample.label, sample.key, sample.load()) for sample in source.samples()]


def refusal(source: str) -> str:
    with pytest.raises(InputError) as caught:
        list(open_source(source).samples())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bytes_with_labels_as_strings_and_a_split_column(tmp_path: Path) -> None:
    contents = [png(i) for i in range(5)]
    columns = {"image": contents, "label": list("abcab"), "split": ["train", "validation", "test", "train", "dev"]}
    file = write_parquet(tmp_path / "x.parquet", columns, row_group_size=2)
    source = open_source(f"parquet:{file}")
    splits = ["train", "val", "test", "train", "val"]
    expected = [(splits[i], "abcab"[i], f"x.parquet#{i:06d}", contents[i]) for i in range(5)]
    assert rows(source) == expected
    assert [sample.load() for sample in reversed(list(source.samples()))] == contents[::-1]  # In any order.


def test_hugging_faces_layout_structs_class_names_and_split_in_the_files_name(tmp_path: Path) -> None:
    image = pa.array([{"bytes": png(i), "path": f"{i}.png"} for i in range(3)])
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"]}}}}
    columns = {"image": image, "label": [1, 0, 1]}
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001"):
        write_parquet(tmp_path / "data" / f"{name}.parquet", columns, features)
    found = rows(open_source(f"parquet:{tmp_path}"))
    assert [split for split, *_ in found] == ["test"] * 3 + ["train"] * 6 + ["val"] * 3
    assert [label for _, label, *_ in found] == ["dog", "cat", "dog"] * 4
    assert len({key for *_, key, _ in found}) == 12 and found[0][3] == png(0)


def test_whole_numbers_without_names_are_their_own_labels(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"sample": [png(1), png(2)], "label": [7, -1]})
    assert [label for _, label, *_ in rows(open_source(f"parquet:{file}"))] == ["7", "-1"]


def test_audio_with_transcripts(tmp_path: Path) -> None:
    audio = pa.array([{"bytes": wav(10 * i), "path": None} for i in (1, 2)])
    file = write_parquet(tmp_path / "x.parquet", {"audio": audio, "text": ["one two", "three"]})
    assert [(label, content) for _, label, _, content in rows(open_source(f"parquet:{file}"))] == [
        ("one two", wav(10)),
        ("three", wav(20)),
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"picture": [b"x"], "label": ["a"]},
            "has no column of samples: expected one of sample, image, audio, img, file",
        ),
        ({"image": [b"x"], "caption": ["a"]}, "has no column of labels or transcripts: expected one of label, text"),
        ({"image": ["a.png"], "label": ["a"]}, "column image must hold bytes (or bytes and path), not string"),
        ({"image": [b"x"], "label": [0.5]}, "column label must hold strings or whole numbers, not double"),
    ],
)
def test_a_parquet_file_of_another_kind_is_refused(tmp_path: Path, columns: dict[str, Any], expected: str) -> None:
    file = write_parquet(tmp_path / "x.parquet", columns)
    message = refusal(f"parquet:{file}")
    assert str(file) in message and expected in message


def test_a_label_outside_the_files_own_classes_is_refused(tmp_path: Path) -> None:
    features = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    file = write_parquet(tmp_path / "x.parquet", {"image": [b"x", b"y"], "label": [1, 2]}, features)
    assert refusal(f"parquet:{file}") == f"{file}: row 1: label 2 is none of its 2 classes"


def test_a_split_of_another_name_is_refused(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": [b"x"], "label": ["a"], "split": ["extra"]})
    assert refusal(f"parquet:{file}") == f"{file}: row 0: split 'extra' is none of train, validation, test"


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "x.parquet", {"image": [png(1)], "label": ["a"]})
    file.write_bytes(file.read_bytes()[:-30])
    assert refusal(f"parquet:{file}").startswith(f"{file} cannot be read as Parquet: ")


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    assert refusal(f"parquet:{tmp_path}/none") == f"{tmp_path}/none does not exist"
    assert refusal(f"parquet:{tmp_path}") == f"{tmp_path} holds no .parquet file"
    assert refusal(f"webdataset:{tmp_path}") == f"{tmp_path} holds no {' or '.join(TARS)} file"
    tar = write_tar(tmp_path / "x.tar", {"readme.md": b"text"})
    expected = (
        "holds no samples: expected files such as 0001.jpg with 0001.cls beside them; found .md members: 1, such as"
    )
    assert f"{expected} readme.md" in refusal(f"webdataset:{tar}")


def test_tars_of_images_and_audio(tmp_path: Path) -> None:
    members = {
        "a/0001.png": png(1),
        "a/0001.cls": b"3\n",
        "a/0002.seg.png": b"not the sample",
        "a/0002.jpg": b"jpg",
        "a/0002.json": b'{"label": "cat", "width": 3}',
        "0003.wav": wav(5),
        "0003.txt": "schöner tag\n".encode(),
        "notes.md": b"",
    }
    write_tar(tmp_path / "train-000.tar", members)
    write_tar(tmp_path / "test" / "000.tar", {"0001.png": png(9), "0001.cls": b"3"})
    source = open_source(f"webdataset:{tmp_path}")
    assert rows(source) == [
        ("test", "3", "test/000.tar/0001", png(9)),
        ("train", "schöner tag", "train-000.tar/0003", wav(5)),
        ("train", "3", "train-000.tar/a/0001", png(1)),
        ("train", "cat", "train-000.tar/a/0002", b"jpg"),
    ]


@pytest.mark.parametrize("kind", ["parquet", "webdataset"])
def test_both_are_ingested_and_rows_without_a_label_are_left_out(location: Location, tmp_path: Path, kind: str) -> None:
    labels = ["cat", "dog"] * 60 + [None]
    contents = [png(i % 250) for i in range(121)]
    if kind == "parquet":
        path = write_parquet(tmp_path / "x.parquet", {"image": contents, "label": labels}, row_group_size=10)
    else:
        members = {f"{i:03d}.png": content for i, content in enumerate(contents)}
        path = write_tar(tmp_path / "x.tar", members | {f"{i:03d}.cls": labels[i].encode() for i in range(120)})
    ingest(location, TASK, open_source(f"{kind}:{path}"), IngestSettings(["a"], [1.0], 0.2, 0.2))
    (manifest,) = list_arrivals(location)
    assert [sum(shard.rows for shard in manifest.shards_of(split)) for split in ("train", "val", "test")] == [
        77,
        19,
        24,
    ]
    assert set(manifest.labels) == {"cat", "dog"} and manifest.quarantined == 1
    assert b'"reason": "no label"' in location.read_bytes("arrivals/a/quarantine.jsonl")
