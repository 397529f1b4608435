"""The walk that every source takes through a folder, and the files that a path or a pattern means."""

from __future__ import annotations

import inspect
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from raygp.data.sources import open_source
from raygp.data.sources.source import PassedOver
from raygp.data.sources.walk import files_of, walk
from raygp.errors import InputError
from raygp.store import Location

PARQUET = (".parquet",)


def write(folder: Path, *names: str, content: bytes = b"PAR1") -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def found(path: object, endings: tuple[str, ...] = PARQUET) -> tuple[list[str], list[str]]:
    passed_over = PassedOver()
    files = files_of(str(path), endings, passed_over)
    assert all(file.is_absolute() and file.is_file() for file, _ in files)
    return [name.as_posix() for _, name in files], passed_over.lines


def refusal(path: object, endings: tuple[str, ...] = PARQUET) -> str:
    with pytest.raises(InputError) as caught:
        files_of(str(path), endings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_come_in_order_with_their_files(tmp_path: Path) -> None:
    write(tmp_path, "b/2", "b/1", "a/x/1", "a/1", "1", "a.b/1")
    passed_over = PassedOver()
    listed = [(folder.parts, folder.files) for folder in walk(tmp_path, passed_over)]
    assert listed == [
        ((), ("1",)),
        (("a",), ("1",)),
        (("a", "x"), ("1",)),
        (("a.b",), ("1",)),
        (("b",), ("1", "2")),
    ]
    assert passed_over.lines == []
    assert [folder.parts for folder in walk(tmp_path, passed_over, deepest=1)] == [(), ("a",), ("a.b",), ("b",)]


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a/1", "b/1")
    scan = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError) as caught:
        list(walk(tmp_path, PassedOver()))
    assert str(caught.value) == f"{tmp_path}/b cannot be read: Permission denied"


def test_a_tree_that_is_deeper_than_recursion_goes(tmp_path: Path) -> None:
    top = tmp_path / "/".join(["d"] * 300)
    top.mkdir(parents=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        folders = sum(1 for _ in walk(tmp_path, PassedOver()))
    finally:
        sys.setrecursionlimit(limit)
    assert folders == 301


def test_a_folder_of_tables_and_what_lies_beside_them(tmp_path: Path) -> None:
    names = ["a/2.parquet", "a/1.PARQUET", "b.parquet", "_SUCCESS", "_temporary/0/x.parquet", ".part.parquet.crc"]
    write(tmp_path / "tables", *names, "notes.md", "c.parquet.crdownload", "df.parquet.gzip", "part-0")
    write(tmp_path / "tables", "other.bin", "photo.jpg", content=b"else")
    write(tmp_path / "elsewhere", "0.parquet")
    (tmp_path / "tables/more").symlink_to("../elsewhere")
    (tmp_path / "tables/again").symlink_to("../elsewhere")
    (tmp_path / "tables/a/up").symlink_to("..")
    files, lines = found(tmp_path / "tables")
    assert files == [
        "a/1.PARQUET", "a/2.parquet", "again/0.parquet", "b.parquet", "df.parquet.gzip", "more/0.parquet", "part-0",
    ]  # fmt: skip
    assert sorted(lines) == [
        "files and folders whose names begin with _: 2, such as _SUCCESS",
        "files that are no .parquet: 3, such as notes.md",
        "hidden files and folders: 1, such as .part.parquet.crc",
        "links that lead back to a folder they lie in: 1, such as a/up",
        "partial downloads and temporary files: 1, such as c.parquet.crdownload",
    ]


def test_a_tar_without_a_suffix_is_taken_by_its_content(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("1.txt"))
    write(tmp_path, "shard", content=content.getvalue())
    write(tmp_path, "other", content=b"words")
    assert found(tmp_path, (".tar",)) == (["shard"], ["files that are no .tar: 1, such as other"])


PATTERNS = {
    "*.parquet": ["en-test-0.parquet", "en-train-0.parquet", "en-train-1.parquet"],
    "en-train-*.parquet": ["en-train-0.parquet", "en-train-1.parquet"],
    "en-train-?.parquet": ["en-train-0.parquet", "en-train-1.parquet"],
    "en-[st]est-0.parquet": ["en-test-0.parquet"],
    "en-train-{0..1}.parquet": ["en-train-0.parquet", "en-train-1.parquet"],
    "en-{test,train}-0.parquet": ["en-test-0.parquet", "en-train-0.parquet"],
    "*/": ["more/0.parquet", "test/a.parquet", "test/b/c.parquet", "train/a.parquet"],
    "{train,test}": ["test/a.parquet", "test/b/c.parquet", "train/a.parquet"],
    "*/*.parquet": ["more/0.parquet", "test/a.parquet", "train/a.parquet"],
    "**/[ac].parquet": ["test/a.parquet", "test/b/c.parquet", "train/a.parquet"],
    "t*/a.*": ["test/a.parquet", "train/a.parquet"],
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("relative", [False, True])
def test_patterns(pattern: str, relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*PATTERNS["*.parquet"], *PATTERNS["*/"], "words.txt"]
    write(tmp_path / "data", *names)
    monkeypatch.chdir(tmp_path)
    path = f"data/{pattern}" if relative else f"{tmp_path}/data/{pattern}"
    assert found(path) == (PATTERNS[pattern], [])


def test_a_pattern_says_what_it_matches_and_is_none(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", "b.txt", "_c.parquet")
    os.mkfifo(tmp_path / "d")
    files, lines = found(tmp_path / "*")
    assert files == ["a.parquet"]
    assert sorted(lines) == [
        "files and folders whose names begin with _: 1, such as _c.parquet",
        "files that are no .parquet: 1, such as b.txt",
        "pipes, sockets and devices: 1, such as d",
    ]


@pytest.mark.parametrize("name", ["a[1]", "what?", "{a,b}", "*"])
def test_what_is_called_like_a_pattern_is_none(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, "0.parquet")
    write(tmp_path / "a1", "1.parquet")
    assert found(tmp_path / name) == (["0.parquet"], [])


def test_zeros_in_front_count_in_braces(tmp_path: Path) -> None:
    write(tmp_path, *(f"a-{number:03d}.parquet" for number in range(8, 12)))
    names = ["a-008.parquet", "a-009.parquet", "a-010.parquet", "a-011.parquet"]
    assert found(tmp_path / "a-{008..011}.parquet") == (names, [])


def test_patterns_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a-000.parquet", "notes.md")
    where = str(tmp_path)
    assert refusal(f"{where}/*.tar") == f"nothing is at {where}/*.tar"
    assert refusal(f"{where}/a-{{000..002}}.parquet") == (
        f"nothing is at {where}/a-001.parquet, which {where}/a-{{000..002}}.parquet means"
    )
    assert refusal(f"{where}/*.md") == f"{where}/*.md holds no .parquet file"
    assert refusal(f"{where}/a-{{2..1}}.parquet") == f"{where}/a-{{2..1}}.parquet holds no .parquet file"
    assert "means more than 100,000 files" in refusal(f"{where}/a-{{0..99999999999}}.parquet")
    assert "means more than 100,000 files" in refusal(f"{where}/{'{0..99}' * 4}.parquet")
    assert refusal(f"{where}/none") == f"{where}/none does not exist"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(f"{where}/pipe") == f"{where}/pipe is neither a file nor a folder"


@pytest.mark.parametrize("kind", ["imagefolder", "parquet", "webdataset", "idx", "an4", "audio"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3:/bucket/photos", "s3:/bucket/photos is no usable address: expected one such as s3://bucket/folder"),
        ("https://", "https:// is no usable address"),
        ("nonsense://b/*.tar", "nonsense://b cannot be used: Protocol not known: nonsense"),
        ("phot\udce9s", "the path '"),
        ("a\0b", "the path 'a\\x00b' holds a zero byte"),
        ("file:///nowhere/at/all", "/nowhere/at/all"),
    ],
)
def test_paths_that_no_source_can_read_are_refused_in_one_line(kind: str, path: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_source(f"{kind}:{path}")
    assert message in str(caught.value) and str(caught.value).isprintable()


def test_a_pattern_of_image_folders_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, "cat/1.png")
    with pytest.raises(InputError) as caught:
        open_source(f"imagefolder:{tmp_path}/*/")
    expected = f"{tmp_path}/*/ is a pattern, and imagefolder takes one folder or tar: give the folder above"
    assert str(caught.value) == expected


def test_the_home_folder_and_urls_of_files_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "photos", "cat/1.png", "dog/1.png")
    for path in ("~/photos", f"file://{tmp_path}/photos"):
        assert [sample.key for sample in open_source(f"imagefolder:{path}").samples()] == ["cat/1.png", "dog/1.png"]


def test_below_a_folder_whose_name_is_no_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = os.fsencode(tmp_path) + b"/phot\xe9s"
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    write(Path(os.fsdecode(odd)), "cat/1.png", "dog/1.png")
    (tmp_path / "link").symlink_to(os.fsdecode(odd))
    monkeypatch.chdir(odd)
    for action in (lambda: open_source("imagefolder:."), lambda: Location("line")):
        with pytest.raises(InputError) as caught:
            action()
        assert "phot\\udce9s" in str(caught.value) and str(caught.value).isprintable()
    monkeypatch.chdir(tmp_path)
    source = open_source("imagefolder:link")
    assert source.name.isprintable() and len(list(source.samples())) == 2
