"""idx files under the names and in the folders in which people have them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import SOURCES, open_source, passed_over_lines
from raygp.errors import InputError
from raygp.store import Location

TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx(values: Any, kind: str = "u1") -> bytes:
    array = np.asarray(values, dtype=kind)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, TYPES[kind], array.ndim, *array.shape) + array.tobytes()


def pictures(count: int = 3, seed: int = 0, shape: tuple[int, ...] = (4, 6)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def write(folder: Path, names: str, part: int = 0, **contents: bytes) -> Path:
    """Files of names with {} in the place of "images-idx3" and "labels-idx1"."""
    for what, content in {"images-idx3": idx(pictures(3, part)), "labels-idx1": idx([0, 1, 1]), **contents}.items():
        path = folder / names.format(what)
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
        path.write_bytes(packed(content))
    return folder


def splits(path: Path | str) -> dict[str | None, int]:
    return dict(Counter(sample.split for sample in open_source(f"idx:{path}").samples()))


def labels(path: Path | str) -> list[str]:
    return [f"({s.problem})" if s.problem else s.label for s in open_source(f"idx:{path}").samples()]


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        list(open_source(f"idx:{path}").samples())
    assert "\n" not in str(caught.value)
    return str(caught.value)


BOTH = {"train": 3, "test": 3}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-{}-ubyte", "t10k-{}-ubyte"),
        ("train-{}-ubyte.gz", "t10k-{}-ubyte"),
        ("train-{}-ubyte.xz", "t10k-{}-ubyte.bz2"),
        ("Train-{}-Ubyte", "T10K-{}-ubyte.GZ"),
        ("train_{}_ubyte", "t10k_{}_ubyte"),
        ("train-{}", "test-{}"),
        ("train-{}-ubyte (1).gz", "t10k-{}-ubyte(2)"),
        ("MNIST/raw/train-{}-ubyte", "MNIST/raw/t10k-{}-ubyte"),
        ("raw/train-{}-ubyte.gz", "raw/t10k-{}-ubyte.gz"),
        ("train-{0}-ubyte/train-{0}-ubyte", "t10k-{0}-ubyte/t10k-{0}-ubyte"),
        ("a/b/train-{0}-ubyte.gz/train-{0}-ubyte", "a/b/t10k-{}-ubyte"),
        ("train/train-{}-ubyte", "test/t10k-{}-ubyte"),
        ("train/{}-ubyte", "test/{}-ubyte"),
        ("fashion-train-{}-ubyte.gz", "fashion-t10k-{}-ubyte.gz"),
        ("emnist-letters-train-{}-ubyte.gz", "emnist-letters-test-{}-ubyte.gz"),
        ("qmnist-train-{}-ubyte", "qmnist-test-{}-ubyte"),
        ("my.set.train-{}-ubyte", "my.set.test-{}-ubyte"),
    ],
)
@pytest.mark.parametrize("dot", [False, True])
def test_files_are_found_under_any_of_their_names(tmp_path: Path, train: str, test: str, dot: bool) -> None:
    for names in (train, test):
        write(tmp_path, names, names == test)
    if dot:
        for path in sorted(tmp_path.rglob("*idx*"), reverse=True):
            path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert splits(tmp_path) == BOTH
    assert passed_over_lines(open_source(f"idx:{tmp_path}")) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train-{}-ubyte"], {"train": 3}),
        (["t10k-{}-ubyte"], {"test": 3}),
        (["train-{}-ubyte", "val-{}-ubyte"], {"train": 3, "val": 3}),
        (["train-{}-ubyte", "validation-{}-ubyte", "test-{}-ubyte"], {"train": 3, "val": 3, "test": 3}),
    ],
)
def test_any_of_the_parts_will_do(tmp_path: Path, names: list[str], expected: dict[str, int]) -> None:
    for part, name in enumerate(names):
        write(tmp_path, name, part)
    assert splits(tmp_path) == expected


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-labels.idx1-ubyte.gz", "train-images.idx3-ubyte"),
        ("emnist-digits-test-images-idx3-ubyte", "emnist-digits-test-labels-idx1-ubyte"),
        ("t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"),
    ],
)
def test_one_file_of_a_pair_is_not_enough(tmp_path: Path, there: str, lacking: str) -> None:
    (tmp_path / there).write_bytes(b"")
    assert refusal(tmp_path) == f"{tmp_path} lacks {lacking} (or {lacking}.gz)"


def test_what_else_lies_there_is_counted(tmp_path: Path) -> None:
    plain = tmp_path / "alone"
    tmp_path = tmp_path / "all"
    write(plain, "train-{}-ubyte")
    write(tmp_path, "train-{}-ubyte")
    write(tmp_path, "train-{}-ubyte.gz")
    write(tmp_path, "train.{0}-ubyte/train-{0}-ubyte")
    write(tmp_path, "train-{}-ubyte (1)", 5)
    for name in (".DS_Store", "t10k-imags-idx3-ubyte", "readme.txt"):
        (tmp_path / name).write_bytes(b"")
    source = open_source(f"idx:{tmp_path}")
    assert [row.load() for row in source.samples()] == [row.load() for row in open_source(f"idx:{plain}").samples()]
    assert sorted(passed_over_lines(source)) == [
        "hidden files and folders: 1, such as .DS_Store",
        "idx files of which there is another: 6, such as train-images-idx3-ubyte (1)",
        "other files: 2, such as readme.txt",
    ]


def test_of_several_sets_one_is_to_be_named(tmp_path: Path) -> None:
    for number, name in enumerate(("emnist-letters", "emnist-digits", "Emnist-Byclass")):
        write(tmp_path, f"{name}-train-{{}}-ubyte", number)
        write(tmp_path, f"{name}-test-{{}}-ubyte.gz", number + 5)
    named = ", ".join(f"idx:{tmp_path}/emnist-{name}" for name in ("byclass", "digits", "letters"))
    assert refusal(tmp_path) == f"{tmp_path} holds idx files of several sets: name one of {named}"
    assert "name one of" in refusal(tmp_path / "emnist")
    assert refusal(tmp_path / "other") == f"{tmp_path}/other does not exist"
    for path in ("emnist-letters", "emnist-letters-", "emnist-l", "emnist-letters-test-labels-idx1-ubyte.gz"):
        source = open_source(f"idx:{tmp_path}/{path}")
        assert splits(tmp_path / path) == BOTH and source.name == f"idx files in {tmp_path.name}/emnist-letters"
        assert passed_over_lines(source) == []


def test_of_several_folders_one_is_to_be_named(tmp_path: Path) -> None:
    for number, name in enumerate(("MNIST", "FashionMNIST")):
        write(tmp_path, f"{name}/raw/train-{{}}-ubyte", number)
    named = ", ".join(f"idx:{tmp_path}/{name}/raw" for name in ("FashionMNIST", "MNIST"))
    assert refusal(tmp_path) == f"{tmp_path} holds idx files of several sets: name one of {named}"
    assert splits(tmp_path / "MNIST") == {"train": 3}
    write(tmp_path, "train-{}-ubyte", 7)
    source = open_source(f"idx:{tmp_path}")
    assert len(list(source.samples())) == 3
    assert passed_over_lines(source) == ["idx files of other sets: 4, such as FashionMNIST/raw/train-images-idx3-ubyte"]


def test_a_set_with_mnists_own_names_beside_another_is_named_by_a_file(tmp_path: Path) -> None:
    write(tmp_path, "train-{}-ubyte")
    write(tmp_path, "qmnist-train-{}-ubyte", 1)
    assert f"name one of idx:{tmp_path}/qmnist, idx:{tmp_path}/train-images-idx3-ubyte" in refusal(tmp_path)
    assert splits(tmp_path / "train-images-idx3-ubyte") == splits(tmp_path / "qmnist") == {"train": 3}


def test_where_there_is_none_what_lies_there_is_named(tmp_path: Path) -> None:
    start = f"{tmp_path} lacks train-images-idx3-ubyte and train-labels-idx1-ubyte (with or without .gz); "
    assert refusal(tmp_path) == f"{start}it is empty"
    for name in ("mnist.npz", "a.csv", "b.csv", "c.csv", "d.csv", "e.csv", "f.csv"):
        (tmp_path / name).write_bytes(b"")
    assert refusal(tmp_path) == f"{start}there is a.csv, b.csv, c.csv, d.csv, e.csv and 2 more"
    assert refusal(tmp_path / "a.csv") == f"{tmp_path}/a.csv is not a folder"


@pytest.mark.parametrize(
    "name", ["train-images.idx3-ubyte", "raw/t10k-labels-idx1-ubyte.gz", "MNIST/raw/train-images-idx3-ubyte"]
)
def test_a_folder_of_them_looks_like_idx(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert SOURCES.get("idx").looks_like(tmp_path) > SOURCES.get("imagefolder").looks_like(tmp_path)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([0, 1, 255], "u1", ["0", "1", "255"]),
        ([0, 1, -1], "i1", ["0", "1", "(label -1 is no class)"]),
        ([0, 1, 999], ">i2", ["0", "1", "999"]),
        ([0, 70_000, -1], ">i4", ["0", "70000", "(label -1 is no class)"]),
        ([0, 3, 0.5], ">f4", ["0", "3", "(label 0.5 is no class)"]),
        ([0, np.nan, np.inf], ">f8", ["0", "(label nan is no class)", "(label inf is no class)"]),
    ],
)
def test_labels_of_any_type_of_numbers(tmp_path: Path, values: list[float], kind: str, expected: list[str]) -> None:
    assert labels(write(tmp_path, "train-{}-ubyte", **{"labels-idx1": idx(values, kind)})) == expected


def test_qmnists_labels_are_the_first_of_their_columns(tmp_path: Path) -> None:
    write(tmp_path, "qmnist-train-{}-ubyte")
    (tmp_path / "qmnist-train-labels-idx1-ubyte").unlink()
    table = np.arange(24).reshape(3, 8)
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(idx(table, ">i4")))
    assert labels(tmp_path) == ["0", "8", "16"]


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({"images-idx3": idx(pictures(), ">i4")}, "holds pixels of type >i4: whole numbers from 0 to 255"),
        ({"images-idx3": idx(pictures(), ">f4")}, "holds pixels of type >f4: whole numbers from 0 to 255"),
        ({"images-idx3": idx(pictures(3, 0, (4,)))}, "holds 3x4 values, not images of height by width"),
        ({"images-idx3": idx(pictures(3, 0, (4, 4, 7)))}, "holds 3x4x4x7 values, not images of height"),
        ({"labels-idx1": idx([[0, 1]] * 3)}, "labels-idx1-ubyte holds 3x2 values, not one label a row"),
        ({"labels-idx1": idx(pictures())}, "labels-idx1-ubyte holds images: files mixed up?"),
        ({"labels-idx1": idx([0, 1])}, "labels-idx1-ubyte 2 labels: they do not belong together"),
        ({"labels-idx1": idx([0, 1, 1], ">i4")[:-1]}, "has 19 bytes; its header says 3, so 20: damaged or empty"),
        ({"labels-idx1": b""}, "labels-idx1-ubyte is not an idx file: it begins with 0, not 2051"),
        ({"labels-idx1": b"\0\0\x08\x05" + bytes(40)}, "labels-idx1-ubyte is not an idx file: it begins with 2053"),
        ({"labels-idx1": b"\0\0\x08\x03\0\0"}, "labels-idx1-ubyte has 6 bytes; its header says 0x0x0, so 16: damaged"),
        ({"images-idx3": b"\0\0\x08\x03" + b"\xff" * 12}, "its header says 4294967295x4294967295x4294967295, so "),
        ({"images-idx3": b"PK\x03\x04" + bytes(40)}, "-ubyte cannot be read: it is a zip archive: unpack it"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(tmp_path: Path, contents: dict[str, bytes], problem: str) -> None:
    assert problem in refusal(write(tmp_path, "train-{}-ubyte", **contents))


@pytest.mark.parametrize(("shape", "mode"), [((4, 6), "L"), ((4, 6, 1), "L"), ((4, 6, 3), "RGB"), ((4, 6, 4), "RGBA")])
@pytest.mark.parametrize("names", ["train-{}-ubyte", "train-{}-ubyte.gz", "train-{}-ubyte.xz"])
def test_rows_are_the_pictures_in_any_order_and_small_to_send(
    tmp_path: Path, shape: tuple[int, ...], mode: str, names: str
) -> None:
    pixels = pictures(3, 1, shape)
    source = open_source(f"idx:{write(tmp_path, names, **{'images-idx3': idx(pixels)})}")
    rows = list(source.samples())
    for row in (2, 0, 1):
        sent = pickle.dumps(rows[row])
        image = Image.open(io.BytesIO(pickle.loads(sent).load()))
        assert len(sent) < 1000 and image.mode == mode and image.size == (6, 4)
        assert image.tobytes() == pixels[row].tobytes()


LETTERS = {
    "emnist-letters": "AZ",
    "emnist-byclass": "1Q",
    "emnist-balanced": "1Q",
    "emnist-digits": "1",
    "emnist-mnist": "1",
}


@pytest.mark.parametrize("name", LETTERS)
def test_emnists_pictures_stand_upright_and_labels_are_characters(tmp_path: Path, name: str) -> None:
    pixels = pictures()
    contents = {"images-idx3": idx(pixels), "labels-idx1": idx([1, 26, 100])}
    source = open_source(f"idx:{write(tmp_path, f'gzip/{name}-train-{{}}-ubyte.gz', **contents)}")
    rows = list(source.samples())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(rows[1].load()))), pixels[1].T)
    found = [row.label for row in rows]
    assert found == [*LETTERS[name], *[""] * (3 - len(LETTERS[name]))]
    count = {"emnist-letters": 26, "emnist-byclass": 62, "emnist-balanced": 47}.get(name, 10)
    assert rows[2].problem == f"label 100 is none of the set's {count} characters"


def test_all_characters_of_emnist(tmp_path: Path) -> None:
    for number, (name, count) in enumerate((("letters", 27), ("byclass", 62), ("bymerge", 47), ("digits", 10))):
        contents = {"images-idx3": idx(pictures(count, number)), "labels-idx1": idx(range(count))}
        write(tmp_path, f"emnist-{name}-train-{{}}-ubyte", **contents)
    upper, lower = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
    assert "".join(labels(tmp_path / "emnist-letters")[1:]) == upper
    assert labels(tmp_path / "emnist-letters")[0] == "(label 0 is none of the set's 26 characters)"
    assert "".join(labels(tmp_path / "emnist-byclass")) == f"0123456789{upper}{lower}"
    assert "".join(labels(tmp_path / "emnist-bymerge")) == f"0123456789{upper}abdefghnqrt"
    assert "".join(labels(tmp_path / "emnist-digits")) == "0123456789"


def test_emnists_own_table_of_characters_is_used(tmp_path: Path) -> None:
    write(tmp_path, "emnist-letters-train-{}-ubyte", **{"labels-idx1": idx([1, 2, 3])})
    table = tmp_path / "emnist-letters-mapping.txt"
    table.write_text("1 65 97\n2 66 98\r\n\n3 934\n")
    source = open_source(f"idx:{tmp_path}")
    assert [row.label for row in source.samples()] == ["A", "B", "\u03a6"] and passed_over_lines(source) == []
    assert labels(tmp_path / "emnist-letters") == ["A", "B", "\u03a6"]
    for line in ("3 x", "3", "3 9999999", "3 10", "three"):
        table.write_text(f"1 65\n{line}\n")
        expected = f"line 2: expected a label and the code of a character, not '{line}'"
        assert refusal(tmp_path) == f"{table} {expected}"
    table.write_bytes(b"\xff\xff")
    assert refusal(tmp_path).startswith(f"{table} cannot be read: ")


def test_weeks_of_training_rows_alone_and_with_test_rows(location: Location, tmp_path: Path) -> None:
    for week, parts in enumerate((("train", "t10k"), ("train",), ("train", "test"))):
        for part, name in enumerate(parts):
            contents = {"images-idx3": idx(pictures(40, 10 * week + part, (28, 28))), "labels-idx1": idx([0, 1] * 20)}
            write(tmp_path / f"week{week}", f"{name}-{{}}-ubyte", **contents)
    counts = []
    for week in range(3):
        settings = IngestSettings([f"week{week}"], [1.0], 0.1, 0.1)
        task = {"name": "lenet-300-100"} if week == 0 else None
        (manifest,) = ingest(location, task, open_source(f"idx:{tmp_path}/week{week}"), settings)
        counts.append([sum(shard.rows for shard in manifest.shards_of(s)) for s in ("train", "val", "test")])
    assert counts == [[36, 4, 40], [32, 4, 4], [36, 4, 40]]
