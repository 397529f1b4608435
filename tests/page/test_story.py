"""A line's story says what its documents say, in words that are right for one and for many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import raygp
from raygp.data.listing import numbered
from raygp.page import Story
from raygp.page.facts import Facts, read_facts
from raygp.page.saying import counted, day, density_of, flops, lasting, listed
from raygp.page.words import what_updates_did
from raygp.store import Location, create_line
from tests.page.lines import EVIL, TASK, publish, write_line


def facts_of(root: str) -> Facts:
    return read_facts(Location(root))


def test_it_is_plain_data_and_comes_back_as_it_was(story: Story) -> None:
    assert Story.model_validate_json(json.dumps(story.model_dump(mode="json"))) == story


def test_versions_say_what_their_cards_say(story: Story, root: str) -> None:
    cards = facts_of(root).cards
    assert [part.version for part in story.versions] == [card.version for card in cards]
    for part, card in zip(story.versions, cards, strict=True):
        assert (part.accuracy, part.active, part.density) == (
            card.val_accuracy, card.active_connections, card.density,
        )  # fmt: skip
        assert part.cost.examples == card.ledger.examples
    assert [part.state for part in story.versions] == ["history", "history", "history", "head", "aside"]
    assert [part.new_classes for part in story.versions] == [[], [], [EVIL], [], []]


def test_costs_add_up_and_a_refused_update_comes_before_the_version_of_its_name(story: Story) -> None:
    examples = [part.cost.examples for part in story.versions]
    assert [part.so_far.examples for part in story.versions] == [sum(examples[: n + 1]) for n in range(5)]
    assert story.spent.examples == sum(examples) + 77.0


def test_fine_tuning_is_a_forecast_of_five_epochs_over_all_training_rows(story: Story) -> None:
    assert [part.fine_tuning for part in story.versions] == [None, 5 * 8, 5 * 12, 5 * 16, 5 * 20]
    assert "would take 280 examples, where updates took 4,010: a forecast, of 5 epochs each time." in story.words[-1]


def test_the_matrix_has_the_heads_history_and_what_each_version_was_measured_on(story: Story, root: str) -> None:
    matrix, by_name = story.matrix, facts_of(root).by_name
    assert matrix.versions == ["v0000", "v0001", "v0002", "v0003"] and matrix.left_out == 0
    for arrival, cells in zip(matrix.arrivals, matrix.cells, strict=True):
        for version, value in zip(matrix.versions, cells, strict=True):
            part = by_name[version].by_arrival.get(arrival)
            assert value == (part.accuracy if part else None)
    assert matrix.cells[3][:3] == [None] * 3


def test_what_updates_did_compares_with_the_parent_on_the_same_rows(story: Story) -> None:
    assert [part.own_gain for part in story.versions] == [None, *[pytest.approx(0.02)] * 4]
    assert story.versions[1].backward_transfer == pytest.approx(0.02)
    text = what_updates_did(story.versions, "")
    assert text.startswith("On average over four updates, an update raised accuracy by 2.00 points on what its own")
    assert "each against its parent on the same rows" in text
    assert what_updates_did(story.versions[:1], "") == ""
    assert what_updates_did(story.versions[:2], "").startswith("The one update so far raised accuracy")


def test_the_words_name_what_happened(story: Story) -> None:
    text = " ".join(story.words)
    assert "six arrivals with 24 training rows have come, and five versions were made" in text
    assert f"One class came after the first version: {EVIL} with v0002." in text
    assert "One update was refused, of late: class 1 lost <b>20.00 points</b> & more." in text
    assert "The line was rolled back: v0004 lies outside the head's history." in text
    assert "Two arrivals wait for an update: day-004 and late." in text and "One update is half done." in text
    assert "On test rows, which are others, its accuracy is 70.00%." in text


def test_arrivals_say_what_became_of_them(story: Story) -> None:
    assert [(part.arrival, part.state, part.version) for part in story.arrivals][-3:] == [
        ("day-003", "seen", "v0003"), ("day-004", "waiting", ""), ("late", "refused", ""),
    ]  # fmt: skip


def test_masks_are_compared_and_pictured(story: Story) -> None:
    newest = story.updates[0]
    assert newest.version == "v0004" and newest.masks
    for layer in newest.layers:
        assert layer.kept is not None and layer.added is not None and layer.size is not None
        assert abs((layer.kept + layer.added) / layer.size - 0.1) < 0.02
    assert sum(layer.added or 0 for layer in newest.layers) > 0, "seed 4 has other masks than seed 3"
    assert not sum(layer.added or 0 for layer in story.updates[1].layers if layer.name != "classifier.weight")
    assert all(picture.picture.startswith("data:image/png;base64,") for picture in newest.masks)
    # Layers in the model's order, and not in the alphabet's.
    assert [layer.name for layer in newest.layers] == ["fc1.weight", "fc2.weight", "classifier.weight"]


def test_density_of_an_epoch_is_that_of_the_whole_model(story: Story) -> None:
    epoch = story.updates[0].epochs[0]
    assert epoch.density == pytest.approx(0.3) and len(story.updates[0].epochs) == 6


def test_examples_are_of_the_head_and_its_parent(story: Story) -> None:
    examples = story.examples
    assert examples is not None and (examples.version, examples.parent) == ("v0003", "v0002")
    assert examples.looked_at == examples.of_rows == 24
    counts = {kind: sum(row.kind == kind for row in examples.rows) for kind in ("gained", "lost", "other")}
    assert counts == {"gained": examples.gained, "lost": examples.lost, "other": examples.other}
    for row in examples.rows:
        assert row.version_said != row.parent_said and row.picture
        assert (row.kind == "gained") == (row.version_said == row.label)


def test_sweeps_and_drift_are_told(story: Story) -> None:
    update = next(update for update in story.updates if update.version == "v0002")
    assert update.sweep is not None and [trial.winner for trial in update.sweep.trials] == [False, False, True, False]
    assert [part.effect for part in update.drift] == [0.4] and "differs from what v0001 has seen" in update.drift_words


def test_a_line_without_a_version_has_a_story(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "empty"))
    create_line(location, TASK)
    assert "No arrival has been published yet" in raygp.open(location.root).report().words[0]
    publish(location, "first", 0)
    told = raygp.open(location.root).report()
    assert told.words == [told.words[0]] and told.words[0].endswith(
        "one arrival with 4 training rows has come. There is no version yet: raygp update makes the first."
    )


def test_where_models_cannot_be_read_the_rest_is_told(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "damaged"))
    _, cards = write_line(location, 2)
    location.write_bytes(f"versions/v0001/{cards[1].files[0].file}", b"damaged")
    told = raygp.open(location.root).report()
    assert told.head == "v0001" and told.examples is None and len(told.updates[0].epochs) == 6
    assert [text.split(":")[0] for text in told.left_out] == ["masks and layer sizes", "examples"]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (counted(1, "arrival"), "one arrival"),
        (counted(3, "class", "classes"), "three classes"),
        (counted(1200, "row"), "1,200 rows"),
        (numbered(1, "row"), "1 row"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed(list("abcdefg")), "a, b, c, d and 3 more"),
        (day("2026-11-28T15:51:42+00:00"), "28 November 2026"),
        (flops(4.5e9), "4.5 GFLOP"),
        (lasting(7500), "2 h 5 min"),
        (density_of(0.0042), "0.42%"),
    ],
)
def test_plain_english(said: str, wanted: str) -> None:
    assert said == wanted
