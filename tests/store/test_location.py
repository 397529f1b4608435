from __future__ import annotations

import os
import pickle
import sys
import time
from pathlib import Path

import pytest

from raygp.errors import ConflictError, InputError
from raygp.store import Location
from raygp.store import local_files as local_files_module


def test_files_round_trip(any_location: Location) -> None:
    any_location.write_bytes("a/b/c.bin", b"one")
    any_location.write_bytes("a/b/c.bin", b"two!")
    any_location.write_bytes("a/d.bin", b"")
    assert any_location.read_bytes("a/b/c.bin") == b"two!"
    assert any_location.size("a/b/c.bin") == 4
    assert any_location.list("a") == ["b", "d.bin"]
    assert any_location.list() == ["a"]
    assert any_location.list("nowhere") == []
    assert any_location.exists("a/d.bin") and any_location.exists("a") and not any_location.exists("x")
    any_location.delete("a/d.bin")
    any_location.delete("a/d.bin")
    assert any_location.list("a") == ["b"]
    any_location.delete("a", recursive=True)
    assert any_location.list() == []


def test_create_refuses_what_exists(any_location: Location) -> None:
    any_location.create("x/y.json", b"first")
    with pytest.raises(ConflictError, match=r"x/y\.json exists already$"):
        any_location.create("x/y.json", b"second")
    assert any_location.read_bytes("x/y.json") == b"first"
    assert any_location.list("x") == ["y.json"]


def test_replace_is_compare_and_swap(any_location: Location) -> None:
    with pytest.raises(ConflictError):
        any_location.replace("head", b"1", b"0")
    any_location.replace("head", b"1", None)
    with pytest.raises(ConflictError):
        any_location.replace("head", b"2", None)
    with pytest.raises(ConflictError, match=r"head was changed by another writer$"):
        any_location.replace("head", b"2", b"0")
    any_location.replace("head", b"2", b"1")
    assert any_location.read_bytes("head") == b"2"


def test_travels_as_its_root(any_location: Location) -> None:
    copy = pickle.loads(pickle.dumps(any_location))
    assert copy == any_location and hash(copy) == hash(any_location)
    any_location.write_bytes("f", b"x")
    assert copy.read_bytes("f") == b"x"


def test_a_relative_root_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    location = Location("line")
    assert location.root == str(tmp_path / "line") and location.is_local
    assert location.local_path("a/b") == tmp_path / "line" / "a" / "b"
    assert location.url("a/b") == f"{tmp_path}/line/a/b"
    assert Location(f"file://{tmp_path}/line") == location


def test_a_remote_root_has_no_local_path() -> None:
    location = Location("memory://m/line/")
    assert location.url("a") == "memory://m/line/a" and not location.is_local
    with pytest.raises(InputError, match=r"^memory://m/line is not on this machine: this needs a local --root$"):
        location.local_path()


@pytest.mark.parametrize("root", ["", "s3:bucket/line", "s3:/bucket/line"])
def test_a_mistyped_root_is_refused(root: str) -> None:
    with pytest.raises(InputError, match=r"is no usable root: give a folder or a URL such as s3://bucket/prefix$"):
        Location(root)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(InputError, match=r"^nope://x is no usable root: Protocol not known: nope"):
        Location("nope://x")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raygp.store.s3_client", None)
    with pytest.raises(InputError) as caught:
        Location("s3://bucket/line")
    assert str(caught.value) == "s3://bucket/line needs a package that is not installed: pip install 'raygp[s3]'"


def test_a_missing_file_is_named(location: Location) -> None:
    for read in (location.read_bytes, location.size):
        with pytest.raises(InputError) as caught:
            read("a/b")
        assert str(caught.value) == f"{location.root}/a/b does not exist"
    assert location.read_if_exists("a/b") is None


def test_a_root_without_permission_is_named(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    # Provoked, as a test run by root would be allowed everything.
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError) as caught:
        location.write_bytes("a", b"x")
    assert str(caught.value) == f"{location.root}: permission denied (a): check its owner or your credentials"
    assert os.listdir(location.root) == []


def test_a_root_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"a part of the path is a file, not a folder"):
        Location(str(tmp_path / "file" / "line")).write_bytes("a", b"x")


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x"])
def test_paths_stay_below_the_root(location: Location, path: str) -> None:
    with pytest.raises(ValueError, match=r"is not below the root"):
        location.write_bytes(path, b"x")


def test_the_root_itself_is_never_deleted(location: Location) -> None:
    with pytest.raises(ValueError, match=r"refusing to delete a whole root"):
        location.delete("", recursive=True)


def test_create_works_without_hard_links(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    location.create("x", b"first")
    with pytest.raises(ConflictError):
        location.create("x", b"second")
    assert location.read_bytes("x") == b"first" and os.listdir(location.root) == ["x"]


def test_a_lock_in_use_is_waited_for_and_named(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files_module, "LOCK_WAIT_S", 0.05)
    location.write_bytes("head", b"1")
    lock = location.local_path(".raygp-lock-head")
    lock.touch()
    with pytest.raises(ConflictError) as caught:
        location.replace("head", b"2", b"1")
    assert str(caught.value) == (
        f"{location.root}/head is being written by another process (lock {lock}): try again;"
        " a lock older than 30 s is removed on its own"
    )
    assert lock.exists() and location.list() == ["head"]


def test_a_lock_left_by_a_killed_process_is_removed(location: Location) -> None:
    location.write_bytes("head", b"1")
    lock = location.local_path(".raygp-lock-head")
    lock.touch()
    os.utime(lock, (time.time() - 31, time.time() - 31))
    location.replace("head", b"2", b"1")
    assert location.read_bytes("head") == b"2" and os.listdir(location.root) == ["head"]


def test_credentials_in_a_root_are_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match=r"^credentials do not belong into a root") as caught:
        Location("s3://someone:planted-secret@bucket/line")
    assert "planted" not in str(caught.value)
