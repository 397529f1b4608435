"""Ray's index of a run's checkpoints: used as long as it is sound."""

import json
import tempfile
import threading
from pathlib import Path

import pyarrow.fs
import pytest
import torch

from raygp.cluster.run_files import drop_damaged_index, run_storage
from raygp.store import Location
from raygp.update.checkpoints import save_checkpoint, youngest_checkpoint
from raygp.update.state import Checkpoint, Cursor, UpdateState
from tests.conftest import UseServer

INDEX = "updates/u/checkpoint_manager_snapshot.json"


def sound(*names: str) -> bytes:
    return json.dumps({"checkpoint_results": [{"checkpoint_dir_name": name, "metrics": {}} for name in names]}).encode()


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (sound("checkpoint_1"), True),
        (sound(), True),
        (b"", False),
        (sound("checkpoint_1")[:-3], False),
        (b"[]", False),
        (b"null", False),
        (sound("checkpoint_1", "checkpoint_2"), False),
        (b"\xff", False),
    ],
)
def test_an_index_is_dropped_if_it_is_cut_short_or_names_a_checkpoint_that_is_gone(
    location: Location, content: bytes, kept: bool
) -> None:
    location.write_bytes("updates/u/checkpoint_1/state.json", b"{}")
    location.write_bytes(INDEX, content)
    drop_damaged_index(location, "updates/u")
    assert location.exists(INDEX) is kept
    assert location.exists("updates/u/checkpoint_1/state.json")


def put_checkpoint(location: Location, name: str, epoch: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tensors = {"weight": torch.tensor([float(epoch)])}
        save_checkpoint(Path(folder), Checkpoint(UpdateState(Cursor(epoch=epoch)), tensors))
        for file in Path(folder).iterdir():
            location.write_bytes(f"updates/u/{name}/{file.name}", file.read_bytes())


def test_the_youngest_checkpoint_that_is_whole_is_gone_on_from(location: Location) -> None:
    assert youngest_checkpoint(location, "updates/u") == (None, None)
    location.write_bytes(INDEX, sound("checkpoint_2026-01-02_00-00-00.000001"))
    assert youngest_checkpoint(location, "updates/u") == (None, None)
    put_checkpoint(location, "checkpoint_2026-01-02_00-00-00.000001", 1)
    put_checkpoint(location, "checkpoint_2026-01-02_00-00-01.000001", 2)
    put_checkpoint(location, "checkpoint_2026-01-02_00-00-02.000001", 3)
    location.delete("updates/u/checkpoint_2026-01-02_00-00-02.000001/state.json")
    name, found = youngest_checkpoint(location, "updates/u")
    assert name == "checkpoint_2026-01-02_00-00-01.000001"
    assert isinstance(found, Checkpoint) and found.state == UpdateState(Cursor(epoch=2))
    assert torch.equal(found.tensors["weight"], torch.tensor([2.0]))


def test_a_run_that_has_not_begun_has_none(location: Location) -> None:
    drop_damaged_index(location, "updates/u")
    assert not location.exists("updates")


def test_checkpoints_that_other_processes_write_are_found_on_s3(moto: str, use_server: UseServer) -> None:
    from raygp.store.s3_client import PatientS3

    root = f"s3://{use_server(moto)}/line"
    location = Location(root)
    location.write_bytes("updates/u/checkpoint_1/state.json", b"{}")
    storage = run_storage(location, "updates")
    files, run = storage["storage_filesystem"], f"{storage['storage_path']}/u"
    assert location.list("updates/u") == ["checkpoint_1"]
    PatientS3(skip_instance_cache=True).pipe_file(f"{root}/updates/u/checkpoint_2/state.json", b"{}")
    assert files.get_file_info(f"{run}/checkpoint_2").type == pyarrow.fs.FileType.Directory
    PatientS3(skip_instance_cache=True).pipe_file(f"{root}/updates/u/checkpoint_3/state.json", b"{}")
    found = files.get_file_info(pyarrow.fs.FileSelector(run))
    assert sorted(info.base_name for info in found) == ["checkpoint_1", "checkpoint_2", "checkpoint_3"]


def test_a_file_system_of_a_root_is_the_same_in_every_thread(location: Location) -> None:
    made = [run_storage(location, "updates")["storage_filesystem"]]
    thread = threading.Thread(target=lambda: made.append(run_storage(location, "updates")["storage_filesystem"]))
    thread.start()
    thread.join()
    here, elsewhere = made
    assert here == elsewhere
    assert here != run_storage(Location(f"{location.root}-2"), "updates")["storage_filesystem"]
