"""Storage that keeps two writers apart, and storage that only says so: moto's server and rclone's."""

from __future__ import annotations

import json

import pytest
import torch

from raygp.errors import ConflictError, InputError
from raygp.store import Location, open_head, promote, read_head, require_conditional_writes, write_version
from tests.conftest import UseServer
from tests.store.helpers import MakeCard

TENSORS = {"a": torch.ones(2)}


@pytest.fixture
def honest(moto: str, use_server: UseServer) -> Location:
    return Location(f"s3://{use_server(moto)}/line")


@pytest.fixture
def careless(rclone: str, use_server: UseServer) -> Location:
    return Location(f"s3://{use_server(rclone)}/line")


def test_an_honest_server_is_asked_once(honest: Location, moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require_conditional_writes(honest)
    recorded = json.loads(honest.read_bytes("store.json"))
    assert recorded["conditional_writes"] is True and recorded["endpoint"] == moto
    assert honest.list() == ["store.json"]  # The probe is gone.
    monkeypatch.setattr(honest._files, "honours_conditions", None)  # Asking again would raise.
    require_conditional_writes(honest)


def test_the_answer_of_another_server_does_not_count(honest: Location) -> None:
    require_conditional_writes(honest)
    content = json.loads(honest.read_bytes("store.json"))
    honest.write_bytes("store.json", json.dumps(content | {"endpoint": "https://elsewhere"}).encode())
    require_conditional_writes(honest)
    assert json.loads(honest.read_bytes("store.json"))["endpoint"] == content["endpoint"]


def test_a_server_that_ignores_conditions_is_refused(careless: Location, rclone: str, make_card: MakeCard) -> None:
    with pytest.raises(InputError) as caught:
        write_version(careless, make_card(), TENSORS)
    assert str(caught.value) == (
        f"{careless.root}: {rclone} ignores conditional writes (If-None-Match, If-Match), so that of two"
        " updates at once one would silently undo the other: use storage that honours them, or give --single-writer if"
        " nothing else ever updates this line"
    )
    assert careless.list() == ["store.json"]
    assert json.loads(careless.read_bytes("store.json"))["conditional_writes"] is False
    card = write_version(Location(careless.root, single_writer=True), make_card(), TENSORS)
    with pytest.raises(InputError, match="ignores conditional writes"):
        promote(careless, card, None)
    assert read_head(careless) is None


def test_a_single_writer_promotes_by_plain_writes(careless: Location, make_card: MakeCard) -> None:
    alone = Location(careless.root, single_writer=True)
    first = write_version(alone, make_card(), TENSORS)
    head = promote(alone, first, None)
    assert open_head(careless, head) == first
    second = write_version(alone, make_card("v0001", "v0000", "u2"), TENSORS)
    assert promote(alone, second, head).version == "v0001"
    with pytest.raises(ConflictError):
        promote(alone, second.model_copy(update={"update": "u3"}), head)
    assert not alone.exists("store.json")
