"""Which members of a tar make a sample, which of them is its label, and what is said of the others."""

from __future__ import annotations

import codecs
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source, passed_over_lines
from raygp.data.sources.source import FileSlice
from raygp.data.sources.tarkeys import keyed_samples
from raygp.errors import InputError
from raygp.store import Location, list_arrivals

TASK = {"name": "resnet18", "image_size": 16}


def png(shade: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 10, 10)).save(out, kind)
    return out.getvalue()


def tar(members: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            content = json.dumps(content).encode() if isinstance(content, dict) else content
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def read(tmp_path: Path, members: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Labels by key, or problems in brackets; and what was passed over."""
    (tmp_path / "x.tar").write_bytes(tar(members))
    source = open_source(f"webdataset:{tmp_path}/x.tar")
    samples = list(source.samples())
    assert len(list(source.samples())) == len(samples) == len({sample.key for sample in samples})
    found = {
        sample.key.removeprefix("x.tar/"): f"({s})" if (s := sample.problem) else sample.label for sample in samples
    }
    return found, passed_over_lines(source)


@pytest.mark.parametrize(
    ("members", "labels", "lines"),
    [
        # Plain keys, and second components.
        ({"1.png": "", "1.cls": "a"}, {"1": "a"}, []),
        ({"1.png": "", "1.seg.png": "", "1.cls": "a"}, {"1": "a"}, [".png members: 1, such as 1.seg.png"]),
        ({"1.seg.png": "", "1.cls": "a", "1.jpg": ""}, {"1": "a"}, [".png members: 1, such as 1.seg.png"]),
        ({"d/1.png": "", "d/1.cls": "a", "e/1.png": "", "e/1.cls": "b"}, {"d/1": "a", "e/1": "b"}, []),
        ({"v1.2/x.png": "", "v1.2/x.cls": "a"}, {"v1.2/x": "a"}, []),
        ({"1.PNG": "", "1.CLS": "a"}, {"1": "a"}, []),
        # Dots that belong to the key.
        ({"22.05.png": "", "22.05.cls": "a", "22.06.png": "", "22.06.cls": "b"}, {"22.05": "a", "22.06": "b"}, []),
        ({"22.png": "", "22.cls": "a", "22.05.png": "", "22.05.cls": "b"}, {"22": "a", "22.05": "b"}, []),
        ({"22.05.seg.png": "", "22.05.png": "", "22.05.cls": "a"}, {"22.05": "a"},
         [".png members: 1, such as 22.05.seg.png"]),
        ({"img.050.jpg": "", "img.050.cls": "a", "img.051.jpg": "", "img.051.cls": "b"},
         {"img.050": "a", "img.051": "b"}, []),
        ({"2024-01-02.03.04.jpg": "", "2024-01-02.03.04.json": {"label": 3}}, {"2024-01-02.03.04": "3"}, []),
        ({"john.smith.jpg": "", "john.smith.cls": "a", "john.doe.jpg": "", "john.doe.cls": "b"},
         {"john.smith": "a", "john.doe": "b"}, []),
        ({"www.example.com.a.jpg": "", "www.example.com.a.txt": "a"}, {"www.example.com.a": "a"}, []),
        ({"v.a.jpg": "", "v.a.cls": "a", "v.a.seg.png": "", "v.a.seg.json": {"points": 3}}, {"v.a": "a"},
         [".json members: 1, such as v.a.seg.json", ".png members: 1, such as v.a.seg.png"]),
        ({"a.jpg": "", "a.cls": "a", "a.copy.jpg": "", "a.copy.cls": "b"}, {"a": "a", "a.copy": "b"}, []),
        ({"a..jpg": "", "a..cls": "a"}, {"a.": "a"}, []),
        # Never the label of another key.
        ({"22.05.png": "", "22.06.cls": "b"}, {"22.05": ""}, [".cls members: 1, such as 22.06.cls"]),
        ({"22.05.png": "", "22.cls": "b", "22.png": ""}, {"22": "b", "22.05": ""}, []),
        ({"img.a.jpg": "", "img.b.jpg": "", "img.b.cls": "b"}, {"img.a": "", "img.b": "b"}, []),
        # Components with names of their own.
        ({"7.image.png": "", "7.cls": "a"}, {"7": "a"}, []),
        ({"7.image.png": "", "7.label.cls": "a"}, {"7": "a"}, []),
        ({"7.jpg": "", "7.caption.txt": "a"}, {"7": "a"}, []),
        ({"7.jpg": "", "7.a.txt": "a", "7.b.txt": "b"},
         {"7": "(which of 7.a.txt and 7.b.txt is the label cannot be told)"}, []),
        ({"7.left.jpg": "", "7.right.jpg": "", "7.cls": "a"},
         {f"7.{side}": "(7.cls may be the label of 7.left.jpg and 7.right.jpg)" for side in ("left", "right")},
         [".cls members: 1, such as 7.cls"]),
        # Two of a kind, labels alone, hidden files, others.
        ({"1.png": "", "1.jpg": "", "1.cls": "a"}, {"1": "a"}, [".png members: 1, such as 1.png"]),
        ({"1.png": "", "1.cls": "a", "2.cls": "b"}, {"1": "a"}, [".cls members: 1, such as 2.cls"]),
        ({"1.png": "", "1.cls": "a", "._1.png": "", "__MACOSX/1.png": "", ".x/1.cls": ""}, {"1": "a"},
         ["files of the operating system: 2, such as ._1.png", "hidden files and folders: 1, such as .x/1.cls"]),
        ({"1.png": "", "1.cls": "a", "1.exr": "", "2.exr": "", "README": "", "notes.md": ""}, {"1": "a"},
         [".exr members: 2, such as 1.exr", "members without a suffix: 1, such as README",
          ".md members: 1, such as notes.md"]),
        ({"1.png": "", "2.png": "", "2.cls": "a"}, {"1": "", "2": "a"}, []),
    ],
)  # fmt: skip
def test_members_that_make_a_sample(
    tmp_path: Path, members: dict[str, str], labels: dict[str, str], lines: list[str]
) -> None:
    found, passed_over = read(tmp_path, members)
    assert found == labels and sorted(passed_over) == sorted(lines)


@pytest.mark.parametrize("suffix", [".image", ".bin", ".heic", ""])
def test_a_sample_of_unknown_suffix_is_known_by_its_content(tmp_path: Path, suffix: str) -> None:
    found, lines = read(tmp_path, {f"1{suffix}": png(3), "1.cls": "a", "2.png": png(1), "2.cls": "b", "2.bin": png(4)})
    assert found == {"1": "a", "2": "b"} and lines == [".bin members: 1, such as 2.bin"]
    with pytest.raises(InputError, match=r"holds no samples: .*; found .*, \.cls members: 1, such as 1\.cls"):
        read(tmp_path, {f"1{suffix}": b"no picture", "1.cls": "a"})


@pytest.mark.parametrize("suffix", ["tif", "avif", "gif", "jfif", "webp", "mp3", "ogg", "opus", "flac", "wav", "sph"])
def test_every_format_that_can_be_decoded_is_a_sample(tmp_path: Path, suffix: str) -> None:
    assert read(tmp_path, {f"1.{suffix}": "", "1.txt": "a"}) == ({"1": "a"}, [])


IMG2DATASET = {"caption": "a cat", "url": "http://x/1.jpg", "key": "1", "status": "success", "width": 256, "exif": "{}"}


@pytest.mark.parametrize(
    ("members", "label"),
    [
        ({"1.cls": "3\n"}, "3"),
        ({"1.cls": "3.0"}, "3"),
        ({"1.cls": "-1.00"}, "-1"),
        ({"1.cls": "3.5"}, "3.5"),
        ({"1.cls": "v3.0"}, "v3.0"),
        ({"1.cls": codecs.BOM_UTF8 + b"3"}, "3"),
        ({"1.cls": codecs.BOM_UTF16_LE + "\u00fc\r\n".encode("utf-16-le")}, "\u00fc"),
        ({"1.label": "cat"}, "cat"),
        ({"1.text": "cat"}, "cat"),
        ({"1.json": {"label": 3}}, "3"),
        ({"1.json": {"label": 3.0}}, "3"),
        ({"1.json": {"class": "cat", "text": "a cat"}}, "cat"),
        ({"1.json": "3"}, "3"),
        ({"1.json": '"cat"'}, "cat"),
        ({"1.json": codecs.BOM_UTF8 + b'{"cls": " cat "}'}, "cat"),
        # A class before a caption.
        ({"1.json": IMG2DATASET}, "a cat"),
        ({"1.json": IMG2DATASET, "1.txt": "a cat"}, "a cat"),
        ({"1.json": IMG2DATASET, "1.txt": "a cat", "1.cls": "cat"}, "cat"),
        ({"1.json": {**IMG2DATASET, "label": "cat"}, "1.txt": "a cat"}, "cat"),
        ({"1.json": {"size": 3}, "1.cls": "cat"}, "cat"),
        ({"1.json": "{", "1.cls": "cat"}, "cat"),
        ({"1.json": [1, 2], "1.cls": "cat"}, "cat"),
    ],
)
def test_the_label_of_a_picture(tmp_path: Path, members: dict[str, Any], label: str) -> None:
    members = {name: json.dumps(value) if isinstance(value, list) else value for name, value in members.items()}
    assert read(tmp_path, {"1.png": "", **members})[0] == {"1": label}


@pytest.mark.parametrize(
    ("members", "label"),
    [
        ({"1.txt": "HELLO", "1.cls": "angry"}, "HELLO"),
        ({"1.text": "HELLO", "1.json": {"label": "angry"}}, "HELLO"),
        ({"1.json": {"label": "angry", "text": "HELLO"}}, "HELLO"),
        ({"1.json": {"label": "angry", "transcript": "3.0"}}, "3.0"),
        ({"1.transcript": "3.0"}, "3.0"),
        ({"1.cls": "angry"}, "angry"),
    ],
)
def test_the_label_of_a_recording(tmp_path: Path, members: dict[str, Any], label: str) -> None:
    assert read(tmp_path, {"1.flac": "", **members})[0] == {"1": label}


NO_LABEL = "1.json has no label: "


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"1.cls": b"\xff\xfe\xff"}, "1.cls is no text that can be read: line 1 ends in the middle of a character"),
        ({"1.txt": "caf\u00e9s".encode("latin-1")}, "1.txt is no text that can be read: line 1 is not UTF-8"),
        ({"1.json": b"\xff{}"}, "1.json is no JSON: 1.json is no text that can be read: line 1 is not UTF-8"),
        ({"1.json": "{"}, "1.json is no JSON: "),
        ({"1.json": "[" * 100_000}, "1.json is no JSON: "),
        ({"1.json": "9" * 5000}, "1.json is no JSON: "),
        ({"1.json": "{", "1.txt": "a cat"}, "1.json is no JSON: "),
        ({"1.json": {"size": 3}}, f"{NO_LABEL}expected a string or number as one of label, cls"),
        ({"1.json": {"label": None}}, f"{NO_LABEL}null is neither a text nor a whole number"),
        ({"1.json": {"label": [1]}}, f"{NO_LABEL}[1] is neither"),
        ({"1.json": {"label": 0.5}}, f"{NO_LABEL}0.5 is neither"),
        ({"1.json": '{"label": NaN}'}, f"{NO_LABEL}NaN is neither"),
        ({"1.json": '{"label": 1e400}'}, f"{NO_LABEL}Infinity is neither"),
        ({"1.json": "null"}, f"{NO_LABEL}null is neither"),
        ({"1.txt": bytes((1 << 24) + 1)}, "1.txt has 16,777,217 bytes, too many for a label"),
        ({"1.json": {"label": ["x" * 1000]}}, f'{NO_LABEL}["{"x" * 38}... is neither'),
    ],
)
def test_a_label_that_cannot_be_read_is_one_bad_row(tmp_path: Path, members: dict[str, Any], problem: str) -> None:
    found, lines = read(tmp_path, {"1.png": png(1), **members, "2.png": png(2), "2.cls": "a"})
    assert found["2"] == "a" and found["1"].startswith(f"({problem}") and lines == []
    assert "\n" not in found["1"] and len(found["1"]) < 200


def test_one_bad_label_among_many_goes_to_quarantine(location: Location, tmp_path: Path) -> None:
    members: dict[str, Any] = {}
    for number in range(120):
        members |= {f"{number:03d}.png": png(number), f"{number:03d}.json": {"label": number % 2}}
    (tmp_path / "x.tar").write_bytes(tar(members | {"007.json": '{"label": '}))
    ingest(location, TASK, open_source(f"webdataset:{tmp_path}/x.tar"), IngestSettings(["a"], [1.0], 0.2, 0.2))
    (manifest,) = list_arrivals(location)
    assert manifest.quarantined == 1 and set(manifest.labels) == {"0", "1"}
    assert b'"key": "x.tar/007"' in (listed := location.read_bytes("arrivals/a/quarantine.jsonl"))
    assert b"007.json is no JSON" in listed


def test_strict_refuses_what_is_passed_over(location: Location, tmp_path: Path) -> None:
    members = {f"{n:02d}.{kind}": png(n) if kind == "png" else str(n % 2) for n in range(20) for kind in ("png", "cls")}
    (tmp_path / "x.tar").write_bytes(tar(members | {"03.depth.exr": ""}))
    source = open_source(f"webdataset:{tmp_path}/x.tar")
    with pytest.raises(InputError, match=r"--strict is given: \.exr members: 1, such as 03\.depth\.exr"):
        ingest(location, TASK, source, IngestSettings(["a"], [1.0], 0.2, 0.2, strict=True))


def test_joined_tars_that_count_from_the_same_number_give_all_their_samples(tmp_path: Path) -> None:
    one, other = ({"1.png": png(n), "1.cls": f"{n}", f"{n}.png": png(n), f"{n}.cls": "a"} for n in (5, 6))
    (tmp_path / "x.tar").write_bytes(tar(one) + tar(other))
    source = open_source(f"webdataset:{tmp_path}/x.tar")
    found = {sample.key: (sample.label, sample.load()) for sample in source.samples()}
    assert found == {
        "x.tar/1": ("5", png(5)),
        "x.tar/5": ("a", png(5)),
        "x.tar/2#1": ("6", png(6)),
        "x.tar/6": ("a", png(6)),
    }
    assert passed_over_lines(source) == []


def test_names_that_are_not_utf8_are_keys_all_the_same(location: Location, tmp_path: Path) -> None:
    members = {
        f"caf\udce9{n}.{kind}": png(n) if kind == "png" else "ab"[n % 2] for n in range(12) for kind in ("png", "cls")
    }
    (tmp_path / "x.tar").write_bytes(tar(members | {"\udce9.md": ""}))
    source = open_source(f"webdataset:{tmp_path}/x.tar")
    ingest(location, TASK, source, IngestSettings(["a"], [1.0], 0.2, 0.2))
    assert next(source.samples()).key == r"x.tar/caf\xe90"
    assert passed_over_lines(source) == [r".md members: 1, such as '\udce9.md'"]


def test_endless_kinds_of_members_make_few_lines(tmp_path: Path) -> None:
    others = {f"{n}.x{n}": "" for n in range(50)}
    _, lines = read(tmp_path, {"a.png": "", "a.cls": "a", **others})
    assert len(lines) == 13 and lines[-1] == "members of other kinds: 38, such as 12.x12"


def test_a_large_group_is_sorted_out_in_seconds() -> None:
    content = FileSlice("x.tar", 0, 0)
    names = [f"a.n{n}.{kind}" for n in range(20_000) for kind in ("png", "cls", "more.txt")]
    start = time.monotonic()
    found = list(keyed_samples(dict.fromkeys(names, content)))
    assert len(found) == 20_000 and all(len(sample.labels) == 1 for sample in found)
    assert time.monotonic() - start < 60  # With the square of their number it would take an hour.


def test_what_lies_beside_tars_is_said_and_labels_of_cameras_names_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    with tarfile.open(folder / "train-0.tar", "w") as tar:
        for name in ("_MG_1.jpg", "_MG_1.cls", "_old/2.jpg", "_old/2.cls"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"7"))
    (folder / "_SUCCESS").touch()
    (folder / "README.md").touch()
    source = open_source(f"webdataset:{folder}")
    (sample,) = source.samples()
    assert (sample.key, sample.label, sample.split) == ("train-0.tar/_MG_1", "7", "train")
    assert sorted(passed_over_lines(source)) == [
        "files and folders whose names begin with _: 3, such as _SUCCESS",
        "files that are no .tar: 1, such as README.md",
    ]
