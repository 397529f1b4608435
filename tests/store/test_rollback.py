"""Moving the head back: what was folded in since then is pending again, and no name is used twice."""

from __future__ import annotations

import pytest
import torch

from raygp.errors import ConflictError, InputError
from raygp.store import (
    Head,
    Location,
    finish_interrupted_promotion,
    list_versions,
    open_head,
    promote,
    reachable,
    read_head,
    rollback,
    version_to_make,
    write_version,
)
from tests.store.helpers import MakeCard

TENSORS = {"a": torch.ones(2)}


@pytest.fixture
def head(any_location: Location, make_card: MakeCard) -> Head:
    """Three versions, the last of them the head."""
    head = None
    for number in range(3):
        card = make_card(f"v{number:04d}", f"v{number - 1:04d}" if number else None, f"u{number}")
        head = promote(any_location, write_version(any_location, card, TENSORS), head)
    assert head is not None
    return head


def test_the_head_moves_back_and_the_next_version_gets_a_new_name(
    any_location: Location, head: Head, make_card: MakeCard
) -> None:
    back = rollback(any_location, "v0000", head)
    assert read_head(any_location) == back and open_head(any_location, back).version == "v0000"
    assert finish_interrupted_promotion(any_location) is None  # v0001 is not promoted again by itself.
    assert version_to_make(any_location, back) == "v0003"
    card = write_version(any_location, make_card("v0003", "v0000", "u3"), TENSORS)
    assert finish_interrupted_promotion(any_location) == card
    now = read_head(any_location)
    assert now is not None and version_to_make(any_location, now) == "v0004"
    assert reachable(list_versions(any_location), now.version) == ["v0003", "v0000"]


def test_a_rollback_can_be_taken_back(any_location: Location, head: Head) -> None:
    again = rollback(any_location, "v0002", rollback(any_location, "v0000", head))
    assert open_head(any_location, again).version == "v0002"
    assert version_to_make(any_location, again) == "v0003"


def test_an_update_that_was_under_way_at_the_rollback_does_not_count(
    any_location: Location, head: Head, make_card: MakeCard
) -> None:
    back = rollback(any_location, "v0001", head)
    late = write_version(any_location, make_card("v0003", "v0002", "late"), TENSORS)
    with pytest.raises(ConflictError, match="v0003 cannot be promoted: the head is v0001 now, not v0002"):
        promote(any_location, late, head)
    assert finish_interrupted_promotion(any_location) is None
    assert version_to_make(any_location, back) == "v0004"  # Its card bears v0003.


def test_a_head_that_moved_meanwhile_is_left_alone(any_location: Location, head: Head) -> None:
    back = rollback(any_location, "v0001", head)
    with pytest.raises(ConflictError, match="the head is v0001 now, not v0002: look again"):
        rollback(any_location, "v0000", head)
    assert read_head(any_location) == back


def test_a_damaged_or_missing_version_is_no_aim(any_location: Location, head: Head) -> None:
    card = list_versions(any_location)[0]
    any_location.write_bytes(f"versions/v0000/{card.files[0].file}", b"cut")
    with pytest.raises(InputError, match=r"weights-\w+\.safetensors is damaged"):
        rollback(any_location, "v0000", head)
    with pytest.raises(InputError, match="has no version v0009"):
        rollback(any_location, "v0009", head)
    assert read_head(any_location) == head
