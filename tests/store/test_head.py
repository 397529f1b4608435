from __future__ import annotations

import hashlib

import pytest
import torch

from raygp.errors import ConflictError, InputError
from raygp.store import (
    Card,
    Head,
    Location,
    finish_interrupted_promotion,
    open_head,
    promote,
    read_head,
    write_version,
)
from tests.store.helpers import MakeCard, race

TENSORS = {"a": torch.ones(2)}


def test_the_head_moves_from_parent_to_child(any_location: Location, make_card: MakeCard) -> None:
    assert read_head(any_location) is None
    first = write_version(any_location, make_card(), TENSORS)
    head = promote(any_location, first, None)
    assert read_head(any_location) == head and open_head(any_location, head) == first
    second = write_version(any_location, make_card("v0001", "v0000", "u2"), TENSORS)
    assert promote(any_location, second, head).version == "v0001"
    assert open_head(any_location, read_head(any_location) or head) == second


def test_promoting_again_is_harmless(location: Location, make_card: MakeCard) -> None:
    card = write_version(location, make_card(), TENSORS)
    head = promote(location, card, None)
    assert promote(location, card, None) == head == read_head(location)


def test_a_head_that_moved_is_named(location: Location, make_card: MakeCard) -> None:
    first = promote(location, write_version(location, make_card(), TENSORS), None)
    second = write_version(location, make_card("v0001", "v0000", "u2"), TENSORS)
    location.write_bytes("head.json", location.read_bytes("head.json").replace(b"v0000", b"v0007"))
    with pytest.raises(ConflictError) as caught:
        promote(location, second, first)
    assert str(caught.value) == (
        f"{location.root}: v0001 cannot be promoted: the head is v0007 now, not v0000;"
        " start the update again from there"
    )


def test_only_a_child_of_the_head_can_follow(location: Location, make_card: MakeCard) -> None:
    card = write_version(location, make_card("v0001", "v0000"), TENSORS)
    with pytest.raises(InputError, match=r"^v0001 was made from v0000, not from nothing$"):
        promote(location, card, None)


def test_a_version_without_its_weights_is_not_promoted(location: Location, make_card: MakeCard) -> None:
    card = write_version(location, make_card(), TENSORS)
    path = f"versions/v0000/{card.files[0].file}"
    location.write_bytes(path, b"cut")
    with pytest.raises(InputError) as caught:
        promote(location, card, None)
    expected = f"{location.url(path)} is damaged: expected {card.files[0].bytes} bytes, found 3 bytes"
    assert str(caught.value) == expected
    assert read_head(location) is None


def test_a_card_changed_after_its_promotion_is_refused(location: Location, make_card: MakeCard) -> None:
    head = promote(location, write_version(location, make_card(), TENSORS), None)
    path = "versions/v0000/card.json"
    changed = location.read_bytes(path).replace(b'"val_accuracy": 0.9', b'"val_accuracy": 1.0')
    location.write_bytes(path, changed)
    with pytest.raises(InputError) as caught:
        open_head(location, head)
    assert str(caught.value) == (
        f"{location.url(path)} is not the card that was promoted: expected SHA-256 {head.card_sha256},"
        f" found {hashlib.sha256(changed).hexdigest()}; restore it from a copy"
    )


def test_a_newer_head_asks_for_an_upgrade(location: Location) -> None:
    location.write_bytes("head.json", b'{"format": 3}')
    with pytest.raises(InputError) as caught:
        read_head(location)
    expected = f"{location.root}/head.json has format 3, this raygp reads formats up to 2: upgrade raygp"
    assert str(caught.value) == expected


def test_an_interrupted_promotion_is_finished(any_location: Location, make_card: MakeCard) -> None:
    assert finish_interrupted_promotion(any_location) is None
    first = write_version(any_location, make_card(), TENSORS)
    assert finish_interrupted_promotion(any_location) == first
    assert finish_interrupted_promotion(any_location) is None
    second = write_version(any_location, make_card("v0001", "v0000", "u2"), TENSORS)
    assert finish_interrupted_promotion(any_location) == second
    head = read_head(any_location)
    assert head is not None and open_head(any_location, head) == second


def test_weights_without_a_card_are_no_version(location: Location) -> None:
    location.write_bytes("versions/v0000/weights-00000000.safetensors", b"killed before the card")
    assert finish_interrupted_promotion(location) is None and read_head(location) is None


def _update(process: int, barrier: object, location: Location, card: Card, head: Head) -> bool:
    mine = card.model_copy(update={"update": f"u-{process}"})
    barrier.wait()  # type: ignore[attr-defined]
    try:
        promote(location, write_version(location, mine, {}), head)
    except ConflictError:
        return False
    return True


def test_one_of_racing_updates_becomes_the_head(location: Location, make_card: MakeCard) -> None:
    head = promote(location, write_version(location, make_card(), TENSORS), None)
    won = race(_update, location, make_card("v0001", "v0000"), head)
    now = read_head(location)
    assert sum(won) == 1 and now is not None
    assert open_head(location, now).update == f"u-{won.index(True)}"
