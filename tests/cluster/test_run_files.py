"""Ray's index of a run's checkpoints: used as long as it is sound."""

import json

import pytest

from raygp.cluster.run_files import drop_damaged_index
from raygp.store import Location

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


def test_a_run_that_has_not_begun_has_none(location: Location) -> None:
    drop_damaged_index(location, "updates/u")
    assert not location.exists("updates")
