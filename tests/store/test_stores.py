"""Stores as an open table: what a new one has to do, and that looking at a line loads little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygp.errors import ConflictError, InputError, RaygpError
from raygp.store import STORES, Files, Location, check_root_usable, create_line, list_arrivals
from raygp.store.local_files import LocalFiles
from tests.store.helpers import publish


class Shelf(LocalFiles):
    """A store of another protocol, whose files lie in a folder that programs do not see."""

    def __init__(self, root: str) -> None:
        super().__init__(Path(root.removeprefix("shelf://")))
        self.root = root


def connect_shelf(root: str, single_writer: bool) -> Files:
    return Shelf(root)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[str]:
    STORES.register("shelf", connect_shelf)
    yield f"shelf://{tmp_path}/line"
    STORES.forget("shelf")


def test_a_store_of_ones_own_holds_a_line(shelf: str) -> None:
    location = Location(shelf)
    create_line(location, {"name": "lenet-300-100"})
    manifest = publish(location, "a")
    assert list_arrivals(location) == [manifest] and location.root == shelf
    with pytest.raises(ConflictError):
        location.create("line.json", b"{}")


def test_what_a_stores_client_raises_can_be_explained_by_the_store(shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class ClientError(Exception):
        pass

    def read(self: Shelf, path: str) -> bytes:
        raise ClientError

    def explain(self: Shelf, error: Exception, where: str) -> RaygpError | None:
        return InputError(f"{self.root}: the shelf is locked{where}") if isinstance(error, ClientError) else None

    monkeypatch.setattr(Shelf, "read", read)
    with pytest.raises(ClientError):
        check_root_usable(Location(shelf))
    monkeypatch.setattr(Shelf, "explain", explain)
    with pytest.raises(InputError, match=r"the shelf is locked \(line\.json\)$"):
        check_root_usable(Location(shelf))


def test_a_protocol_without_a_store_is_left_to_fsspec() -> None:
    with pytest.raises(InputError, match=r"^nothing://x is no usable root: "):
        Location("nothing://x")


def test_each_store_has_the_methods_that_are_asked_for() -> None:
    from raygp.store.remote_files import RemoteFiles
    from raygp.store.s3_files import S3Files

    asked = {name for name in vars(Files) if not name.startswith("_")}
    for kind in (LocalFiles, RemoteFiles, S3Files):
        # ``root`` and others belong to an object, not to its class.
        assert asked - set(dir(kind)) <= {"root", "folder"}


def test_a_local_line_is_looked_at_without_heavy_modules(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "line"))
    create_line(location, {"name": "lenet-300-100"})
    publish(location, "a")
    looked = (
        "import sys; from raygp.store import *; from raygp.store import Location; "
        f"l = Location({location.root!r}); open_line(l); list_arrivals(l); list_versions(l); find_garbage(l, 0.0); "
        "print(sorted({'torch', 'numpy', 'pyarrow', 'safetensors', 'fsspec', 's3fs', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
