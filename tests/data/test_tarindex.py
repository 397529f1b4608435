"""What is found in tars: compressed, joined, with links, damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raygp.data.sources import PassedOver
from raygp.data.sources.tarindex import TarIndex
from raygp.errors import InputError

HARD, SOFT, FIFO = tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE
Members = list[tuple[str, Any]]


def tar(members: Members, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar. A content is bytes, None for a folder, or type and target of a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            elif content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.type, info.linkname = content
            file.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def indexed(tmp_path: Path, content: bytes, name: str = "x.tar") -> tuple[TarIndex, list[str]]:
    (tmp_path / name).write_bytes(content)
    passed_over = PassedOver()
    index = TarIndex(tmp_path / name, passed_over)
    _ = index.files
    return index, passed_over.lines


def contents(index: TarIndex) -> dict[str, bytes]:
    return {name: content() for name, content in index.files.items()}


def refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        indexed(tmp_path, content)
    assert "\n" not in str(caught.value) and "0x" not in str(caught.value)
    start = f"{tmp_path}/x.tar cannot be read as a tar: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


PLAIN = tar([("a/1", b"one"), ("b/2", b"two" * 999)])
WAYS = {
    "plain": PLAIN,
    "gzip": gzip.compress(PLAIN, mtime=0),
    "two gzip members": gzip.compress(PLAIN[:700], mtime=0) + gzip.compress(PLAIN[700:], mtime=0),
    "xz": lzma.compress(PLAIN),
    "two xz streams": lzma.compress(PLAIN[:700]) + lzma.compress(PLAIN[700:]),
    "bzip2": bz2.compress(PLAIN),
    "zstd": zstd(PLAIN),
    "two zstd frames": zstd(PLAIN[:700]) + zstd(PLAIN[700:]),
    "zstd after a skippable frame": b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(PLAIN),
    "lz4": pa.Codec("lz4").compress(PLAIN, asbytes=True),
}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x"])
@pytest.mark.parametrize("way", WAYS)
def test_a_tar_is_unpacked_as_its_content_says_whatever_its_name(tmp_path: Path, way: str, name: str) -> None:
    index, lines = indexed(tmp_path, WAYS[way], name)
    assert contents(index) == {"a/1": b"one", "b/2": b"two" * 999} and lines == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04" + bytes(999), "it is a zip archive: unpack it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(999), "it is a 7-Zip archive: unpack it"),
        (b"Rar!\x1a\x07" + bytes(999), "it is a RAR archive: unpack it"),
        (WAYS["gzip"][:-9], "its gzip data are damaged or cut short ("),
        (WAYS["xz"][:-40], "its xz data are damaged or cut short ("),
        (WAYS["bzip2"][:-40], "its bzip2 data are damaged or cut short ("),
        (WAYS["zstd"][:-4], "its zstd data are damaged or cut short ("),
        (WAYS["zstd"][:8] + b"\xff" * 40, "its zstd data are damaged or cut short ("),
        (WAYS["gzip"][:40] + b"\xff" * 40 + WAYS["gzip"][80:], "its gzip data are damaged or cut short ("),
        (b"\xfd7zXZ\0" + bytes(50), "its xz data are damaged or cut short ("),
        (gzip.compress(b"words, no tar" * 99, mtime=0), "invalid header"),
    ],
)
def test_what_is_no_tar_or_damaged_is_said(tmp_path: Path, content: bytes, reason: str) -> None:
    assert refusal(tmp_path, content).startswith(reason)


def test_a_folder_whose_name_looks_like_another_archive_is_in_a_tar_all_the_same(tmp_path: Path) -> None:
    index, _ = indexed(tmp_path, tar([("Rar!/1", b"x"), ("BZh91AY&SY", b"y")]))
    assert contents(index) == {"Rar!/1": b"x", "BZh91AY&SY": b"y"}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("a", b"1"), ("b", (HARD, "a"))], {"a": b"1", "b": b"1"}),
        ([("a", b"1"), ("b", (SOFT, "a"))], {"a": b"1", "b": b"1"}),
        ([("b", (SOFT, "a")), ("a", b"1")], {"a": b"1", "b": b"1"}),
        ([("b", (HARD, "a")), ("a", b"1")], {"a": b"1", "b": b"1"}),
        ([("./d/a", b"1"), ("./e/b", (SOFT, "../d/a"))], {"d/a": b"1", "e/b": b"1"}),
        ([("./d/a", b"1"), ("d/b", (HARD, "d/a"))], {"d/a": b"1", "d/b": b"1"}),
        ([("d/a", b"1"), ("d/b", (SOFT, "./a"))], {"d/a": b"1", "d/b": b"1"}),
        ([("a", b"1"), ("b", (SOFT, "a")), ("c", (SOFT, "b")), ("d", (HARD, "c"))], dict.fromkeys("abcd", b"1")),
        ([("/d/a", b"1"), ("/d/b", (SOFT, "/d/a"))], {"/d/a": b"1", "/d/b": b"1"}),
        # To folders, and through them.
        ([("d/a", b"1"), ("e", (SOFT, "d"))], {"d/a": b"1", "e/a": b"1"}),
        ([("e", (SOFT, "d/")), ("d", None), ("d/x/a", b"1")], {"d/x/a": b"1", "e/x/a": b"1"}),
        ([("d/a", b"1"), ("e", (SOFT, "d")), ("f", (SOFT, "e/a"))], {"d/a": b"1", "e/a": b"1", "f": b"1"}),
        ([("d/a", b"1"), ("d0/b", b"2"), ("d.x", b"3"), ("e", (SOFT, "d"))],
         {"d/a": b"1", "d0/b": b"2", "d.x": b"3", "e/a": b"1"}),
        ([("d/a", b"1"), ("d/b", (SOFT, "a")), ("e", (SOFT, "d"))], {f"{d}/{n}": b"1" for d in "de" for n in "ab"}),
        # A file that was given to tar twice.
        ([("a", b"1"), ("a", (HARD, "a"))], {"a": b"1"}),
    ],
)  # fmt: skip
def test_a_link_is_what_it_leads_to(tmp_path: Path, members: Members, expected: dict[str, bytes]) -> None:
    index, lines = indexed(tmp_path, tar(members))
    assert contents(index) == expected and lines == [] and index.skipped == []


def test_links_to_files_are_what_tarfile_reads(tmp_path: Path) -> None:
    members: Members = [(f"{d}/{n}", f"{d}{n}".encode()) for d in "ab" for n in "12"]
    members += [("a/3", (HARD, "b/1")), ("b/3", (SOFT, "../a/2")), ("c/1", (SOFT, "../b/3")), ("4", (SOFT, "a/3"))]
    content = tar(members)
    index, _ = indexed(tmp_path, content)
    with tarfile.open(fileobj=io.BytesIO(content)) as file:
        expected = {member.name: file.extractfile(member).read() for member in file}  # type: ignore[union-attr]
    assert contents(index) == expected


@pytest.mark.parametrize(
    ("member", "line"),
    [
        (("b", (SOFT, "/etc/passwd")), "links that lead to nothing in the tar: 1, such as b"),
        (("b", (SOFT, "../a")), "links that lead to nothing in the tar: 1, such as b"),
        (("d/b", (SOFT, "../../a")), "links that lead to nothing in the tar: 1, such as d/b"),
        (("b", (HARD, "none")), "links that lead to nothing in the tar: 1, such as b"),
        (("b", (SOFT, "b")), "links that lead to nothing in the tar: 1, such as b"),
        (("d/b", (SOFT, ".")), "links that lead in a circle: 1, such as d/b"),
        (("d/b", (SOFT, "../d")), "links that lead in a circle: 1, such as d/b"),
        (("b", (FIFO, "")), "devices, pipes and the like: 1, such as b"),
        (("b", (b"Z", "")), "members of unknown types: 1, such as b"),
    ],
)
def test_what_gives_no_file_is_counted(tmp_path: Path, member: tuple[str, Any], line: str) -> None:
    index, lines = indexed(tmp_path, tar([("a", b"1"), ("d/x", b"2"), member]))
    assert contents(index) == {"a": b"1", "d/x": b"2"}
    assert lines == [line] and index.skipped == [member[0]]


def test_many_links_to_folders_end(tmp_path: Path) -> None:
    members: Members = [(f"f0/{n}", b"") for n in range(50)]
    members += [(f"f{n + 1}/{side}", (SOFT, f"../f{n}")) for n in range(40) for side in "ab"]
    index, lines = indexed(tmp_path, tar(members))
    assert len(index.files) == 150 and lines[0].startswith("linked folders with links to folders in them: ")
    members = [(f"d/{n}", b"") for n in range(2000)] + [(f"l{n}", (SOFT, "d")) for n in range(600)]
    assert refusal(tmp_path, tar(members)) == "its links to folders make more than 1,000,000 files of it"


def test_a_later_member_of_the_same_name_is_the_file_and_the_other_is_counted(tmp_path: Path) -> None:
    index, lines = indexed(tmp_path, tar([("a", b"1"), ("b", (HARD, "a")), ("a", b"2"), ("./a", b"3")]))
    assert contents(index) == {"a": b"3", "b": b"1"}
    assert lines == ["members that a later one of the same name replaces: 2, such as a"]


@pytest.mark.parametrize("pad", [b"", bytes(512), bytes(10240)])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_joined_tars_are_read_to_the_end(tmp_path: Path, pad: bytes, form: int) -> None:
    joined = tar([("a", b"1"), ("c", b"9")], form) + pad + tar([("b", b"2"), ("c", b"3")], form) + pad + PLAIN
    index, lines = indexed(tmp_path, joined)
    assert contents(index) == {"a": b"1", "b": b"2", "c": b"3", "a/1": b"one", "b/2": b"two" * 999}
    assert [len(archive) for archive in index.archives] == [2, 2, 2]
    assert lines == ["members that a later one of the same name replaces: 1, such as c"]


def test_joined_tars_that_are_compressed_each(tmp_path: Path) -> None:
    index, _ = indexed(tmp_path, b"".join(gzip.compress(tar([(name, name.encode())])) for name in "abc"))
    assert contents(index) == {name: name.encode() for name in "abc"}


def test_a_lone_block_of_zeros_does_not_end_a_tar(tmp_path: Path) -> None:
    content = tar([("a", b"1")])
    index, _ = indexed(tmp_path, content[:1024] + bytes(512) + tar([("b", b"2")]))
    assert contents(index) == {"a": b"1", "b": b"2"}


def test_zeros_in_place_of_members_are_told(tmp_path: Path) -> None:
    content = tar([(name, name.encode() * 300) for name in "abcdefgh"])
    index, lines = indexed(tmp_path, content[:2048] + bytes(4096) + content[6144:])
    assert contents(index) == {name: name.encode() * 300 for name in "abgh"}
    assert lines == ["zeros between members, which may have been members: 1, such as bytes 2,048 to 6,144 of x.tar"]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN[:1024] + bytes(512) + PLAIN[1536:],  # A header of zeros: what follows is no header.
        PLAIN + b"words" * 500,
        PLAIN + PLAIN[:300],
        PLAIN + PLAIN[:512] + b"words",
        PLAIN[:1024] + b"\1" + PLAIN[1025:],
        PLAIN[:1500],
    ],
)
def test_bytes_that_are_no_member_are_never_left_out(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content)


def test_gnu_tars_own_members_are_folders_and_labels(tmp_path: Path) -> None:
    index, lines = indexed(tmp_path, tar([("week 3", (b"V", "")), ("d", (b"D", "")), ("d/a", b"1")]))
    assert contents(index) == {"d/a": b"1"} and index.folders == ["d"] and lines == []


def test_names_are_tidy_and_may_be_any_bytes(tmp_path: Path) -> None:
    index, _ = indexed(tmp_path, tar([("./a//b/./c", b"1"), ("caf\udce9.jpg", b"2"), ("./", None)], tarfile.GNU_FORMAT))
    assert contents(index) == {"a/b/c": b"1", "caf\udce9.jpg": b"2"}
