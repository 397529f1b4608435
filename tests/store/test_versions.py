from __future__ import annotations

import hashlib
import json

import pytest
import torch

from raygp.errors import ConflictError, InputError
from raygp.record import EpochRecord, PhaseRecord
from raygp.store import Location, list_versions, next_version, read_card, read_tensors, write_version
from tests.store.helpers import MakeCard

TENSORS = {
    "fc.weight.values": torch.tensor([1.5, -0.0, float("nan"), 2e-40]),
    "fc.weight.bits": torch.tensor([0b10110010, 0b1], dtype=torch.uint8),
    "conv": torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last),
    "half": torch.randn(3, 5, generator=torch.Generator().manual_seed(1)).bfloat16().t(),
    "steps": torch.tensor(7),
}


def refusal(call: object, *args: object) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)  # type: ignore[operator]
    return str(caught.value)


def test_a_packed_version_comes_back_bit_for_bit(any_location: Location, make_card: MakeCard) -> None:
    written = write_version(any_location, make_card(), TENSORS)
    card = read_card(any_location, "v0000")
    assert card == written and card.classes == ["cat", "dog"]
    found = read_tensors(any_location, card)
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        as_bytes = [t.contiguous().reshape(-1).view(torch.uint8) for t in (found[name], tensor)]
        assert torch.equal(*as_bytes), name


def test_tensors_that_share_memory_are_stored(location: Location, make_card: MakeCard) -> None:
    shared = torch.arange(4.0)
    card = write_version(location, make_card(), {"a": shared, "b": shared})
    assert all(torch.equal(tensor, shared) for tensor in read_tensors(location, card).values())


def test_an_update_that_writes_again_gets_its_version(location: Location, make_card: MakeCard) -> None:
    first = write_version(location, make_card(), TENSORS)
    again = write_version(location, make_card(created="later"), {"other": torch.ones(1)})
    assert again == first
    assert location.list("versions/v0000") == ["card.json", first.files[0].file]


def test_another_update_cannot_take_the_name(location: Location, make_card: MakeCard) -> None:
    first = write_version(location, make_card(), TENSORS)
    with pytest.raises(ConflictError) as caught:
        write_version(location, make_card(update="u2"), {"other": torch.ones(1)})
    assert str(caught.value) == (
        f"{location.root}: version v0000 was made by update u1 meanwhile: start update u2 again from there"
    )
    assert location.list("versions/v0000") == ["card.json", first.files[0].file]


@pytest.mark.parametrize("equal", [True, False])
def test_who_loses_at_the_card_takes_only_its_own_files_away(
    location: Location, make_card: MakeCard, monkeypatch: pytest.MonkeyPatch, equal: bool
) -> None:
    plain_create = Location.create

    def lose(self: Location, path: str, data: bytes) -> None:
        monkeypatch.setattr(Location, "create", plain_create)
        write_version(location, make_card(), TENSORS)
        plain_create(self, path, data)

    monkeypatch.setattr(Location, "create", lose)
    with pytest.raises(ConflictError, match=r"was made by update u1 meanwhile"):
        write_version(location, make_card(update="u2"), TENSORS if equal else {"other": torch.ones(1)})
    card = read_card(location, "v0000")
    assert location.list("versions/v0000") == ["card.json", card.files[0].file]
    assert read_tensors(location, card).keys() == TENSORS.keys()


def test_damaged_weights_are_refused(location: Location, make_card: MakeCard) -> None:
    card = write_version(location, make_card(), TENSORS)
    info, path = card.files[0], f"versions/v0000/{card.files[0].file}"
    data = location.read_bytes(path)
    location.write_bytes(path, data[:-1])
    where = location.url(path)
    assert refusal(read_tensors, location, card) == (
        f"{where} is damaged: expected {info.bytes} bytes, found {info.bytes - 1} bytes; restore it from a copy"
    )
    changed = data[:-1] + bytes([data[-1] ^ 1])
    location.write_bytes(path, changed)
    assert refusal(read_tensors, location, card) == (
        f"{where} is damaged: expected SHA-256 {info.sha256}, found {hashlib.sha256(changed).hexdigest()};"
        " restore it from a copy"
    )
    location.delete(path)
    assert refusal(read_tensors, location, card) == f"{where} is missing: restore it from a copy"


def test_weights_that_are_no_safetensors_are_refused(location: Location, make_card: MakeCard) -> None:
    card = write_version(location, make_card(), TENSORS)
    path = f"versions/v0000/{card.files[0].file}"
    location.write_bytes(path, b"junk")
    info = card.files[0].model_copy(update={"bytes": 4, "sha256": hashlib.sha256(b"junk").hexdigest()})
    lying = card.model_copy(update={"files": [info]})
    assert refusal(read_tensors, location, lying).startswith(f"{location.url(path)} is no safetensors file: ")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 9}, " has format 9, this raygp reads formats up to 6: upgrade raygp"),
        ({"seed": "x"}, ": seed: Input should be a valid integer, unable to parse string as an integer"),
        ({"version": "v0001"}, ": version: expected 'v0000', found 'v0001'; was the folder renamed?"),
    ],
)
def test_a_card_that_cannot_be_read_says_why(
    location: Location, make_card: MakeCard, change: dict, expected: str
) -> None:
    write_version(location, make_card(), TENSORS)
    content = json.loads(location.read_bytes("versions/v0000/card.json"))
    location.write_bytes("versions/v0000/card.json", json.dumps(content | change).encode())
    assert refusal(read_card, location, "v0000") == f"{location.root}/versions/v0000/card.json{expected}"


def test_a_number_that_is_not_finite_does_not_lose_the_version(location: Location, make_card: MakeCard) -> None:
    epoch = EpochRecord(
        round=0, loss=float("nan"), val_accuracy=0.1, densities={"fc": 0.5}, grown=0, pruned=0, examples=9, seconds=1.5
    )
    card = write_version(location, make_card(phases=[PhaseRecord(kind="grow-new", history=[epoch])]), TENSORS)
    assert card == read_card(location, "v0000")
    assert card.phases[0].history == [epoch.model_copy(update={"loss": None})]
    assert json.loads(location.read_bytes("versions/v0000/card.json"))["phases"][0]["history"][0]["loss"] is None


def test_versions_are_listed_by_number(any_location: Location, make_card: MakeCard) -> None:
    for version, parent in (("v10000", "v9999"), ("v0001", "v0000"), ("v0000", None)):
        write_version(any_location, make_card(version, parent, update=version), {"a": torch.ones(1)})
    any_location.write_bytes("versions/v0002/weights-00000000.safetensors", b"no card yet")
    assert [card.version for card in list_versions(any_location)] == ["v0000", "v0001", "v10000"]
    with pytest.raises(InputError) as caught:
        read_card(any_location, "v0002")
    assert str(caught.value) == f"{any_location.root} has no version v0002 (versions: v0000, v0001, v10000)"


def test_versions_are_numbered_on() -> None:
    followers = [next_version(parent) for parent in (None, "v0000", "v0099", "v9999")]
    assert followers == ["v0000", "v0001", "v0100", "v10000"]
    with pytest.raises(InputError, match=r"^'latest' is no version: they are called v0000, v0001, \.\.\.$"):
        next_version("latest")


def test_a_version_follows_its_parent(location: Location, make_card: MakeCard) -> None:
    for version, parent in (("v0002", "v0002"), ("v0001", "v0003"), ("v0001", None)):
        card = make_card(version, parent)
        expected = f"version {version} cannot follow {parent or 'nothing'}"
        assert refusal(write_version, location, card, TENSORS) == expected
    assert not location.exists()
