"""Roots whose cards have format 5: read, and gone on with in the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import raygp
from raygp.errors import RejectedError
from raygp.events import Event, Notice
from raygp.settings import RunSettings, load_settings
from raygp.store import Location, list_versions, read_card, read_refusal, read_tensors
from tests.formats.archives import DATA, described, unpack


def settings_of(name: str, location: Location, folder: Path) -> RunSettings:
    """The settings that a root was updated with."""
    file = folder / "settings.yaml"
    file.write_text(json.dumps(described(name, "card_5")["settings"]))
    return load_settings(raygp.open(location.root).task, str(file))


def test_cards_are_read_and_name_one_arrival(tmp_path: Path) -> None:
    location = unpack("line", tmp_path, "card_5")
    stored = [json.loads(location.read_bytes(f"versions/v000{number}/card.json")) for number in range(2)]
    assert [content["format"] for content in stored] == [5, 5] and "beside" not in stored[1]
    first, second = list_versions(location)
    assert (first.format, first.beside, first.folded_in) == (6, [], ["mon"])
    # It had folded in what held holds out as well, and no card said so then.
    assert (second.beside, second.folded_in, second.arrivals) == ([], ["tue"], ["mon", "held", "tue"])
    assert read_tensors(location, second) and read_card(location, "v0001") == second


def test_an_update_that_was_begun_has_its_id_and_ends_in_the_same_bits(tmp_path: Path) -> None:
    location, ends = unpack("unfinished", tmp_path, "card_5"), described("unfinished", "card_5")["ends"]
    line, events = raygp.open(location.root), list[Event]()
    begun = [unfinished.update for unfinished in line.unfinished()]
    line.listen(events.append)
    (version,) = line.update(settings_of("unfinished", location, tmp_path))
    card = version.card
    assert begun == [card.update] == [ends["update"]]
    assert [card.mask_digest, card.val_accuracy] == [ends["mask_digest"], ends["val_accuracy"]]
    assert [file.sha256 for file in card.files] == [ends["weights"]]
    assert card.beside == ["held"] and "the held-out rows of held count" in str(
        [event.text for event in events if isinstance(event, Notice)]
    )


def test_a_refusal_still_holds(tmp_path: Path) -> None:
    location = unpack("refused", tmp_path, "card_5")
    (update,) = location.list("updates")
    refusal = read_refusal(location, f"updates/{update}")
    assert refusal is not None and "diverged" in refusal.reason
    with pytest.raises(RejectedError, match="tue was tried with this plan before: rejected: phase 2 of 2"):
        raygp.open(location.root).update(settings_of("refused", location, tmp_path))


def test_they_name_no_folder_of_the_machine_that_made_them(tmp_path: Path) -> None:
    names = {file.name.split(".")[0] for file in (DATA / "card_5").iterdir()}
    assert names == {"line", "unfinished", "refused"}
    for name in names:
        for file in unpack(name, tmp_path, "card_5").walk():
            assert b"/tmp/" not in Location(str(tmp_path / f"moved-{name}")).read_bytes(file.path), file.path
