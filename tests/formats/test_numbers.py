"""Format numbers: what is older is upgraded, what is newer is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from raygp.errors import InputError
from raygp.record import Compared
from raygp.store import (
    Card,
    Head,
    Location,
    Manifest,
    Refusal,
    check_weights,
    list_versions,
    read_card,
    read_refusal,
    read_shard,
    read_tensors,
    write_refusal,
    write_version,
)
from raygp.store.documents import Document, decode, encode, sha256_hex
from tests.formats.archives import unpack
from tests.store.helpers import MakeCard, publish


class Third(Document):
    """A kind of document that has changed twice."""

    FORMAT: ClassVar[int] = 3
    UPGRADES: ClassVar = {
        1: lambda content: {"size": content["length"], **{k: v for k, v in content.items() if k != "length"}},
        2: lambda content: {**content, "unit": "m"},
    }

    size: float
    unit: str


@pytest.mark.parametrize(
    "content",
    [{"length": 2}, {"format": 1, "length": 2}, {"format": 2, "size": 2}, {"format": 3, "size": 2, "unit": "m"}],
)
def test_a_document_is_upgraded_step_by_step(content: dict[str, Any]) -> None:
    found = decode(Third, json.dumps(content).encode(), "there")
    assert found == Third(size=2, unit="m") and found.format == 3
    assert json.loads(encode(found)) == {"format": 3, "size": 2.0, "unit": "m"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format": 4, "size": 1, "unit": "m"}, "there has format 4, this raygp reads formats up to 3: upgrade raygp"),
        ({"format": 3, "size": 1, "unit": "m", "new": 1}, "there: new: Extra inputs are not permitted"),
        ({"format": 2, "size": 1, "unit": "m", "new": 1}, "there: new: Extra inputs are not permitted"),
        ({"format": "x"}, "there: format: Input should be a valid integer, unable to parse string as an integer"),
        ({"format": 0}, "there: format: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_read_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        decode(Third, json.dumps(content).encode(), "there")
    assert str(caught.value).startswith(message)


def test_each_format_needs_a_way_to_the_next() -> None:
    with pytest.raises(TypeError, match="UPGRADES must lead from each format below 2 to the next"):
        type("Gap", (Document,), {"FORMAT": 2, "__annotations__": {"FORMAT": "ClassVar[int]"}, "__module__": __name__})


def test_what_is_written_has_the_number_of_its_kind(location: Location, make_card: MakeCard) -> None:
    numbers = {kind.__name__: kind.FORMAT for kind in (Card, Head, Manifest, Refusal)}
    assert numbers == {"Card": 6, "Head": 2, "Manifest": 3, "Refusal": 1}
    write_version(location, make_card(), {"a": torch.ones(2)})
    publish(location, "a")
    assert json.loads(location.read_bytes("versions/v0000/card.json"))["format"] == 6
    assert json.loads(location.read_bytes("arrivals/a/manifest.json"))["format"] == 3


def test_a_manifest_has_the_digest_that_it_had_as_format_1(location: Location) -> None:
    manifest = publish(location, "a")
    content = {**json.loads(encode(manifest)), "format": 1}
    old = sha256_hex(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
    assert manifest.digest == old == decode(Manifest, json.dumps(content).encode(), "there").digest


def rewrite(location: Location, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the card of v0000 as it lies in storage."""
    content = json.loads(location.read_bytes("versions/v0000/card.json"))
    change(content)
    location.write_bytes("versions/v0000/card.json", json.dumps(content).encode())


def test_a_card_without_what_was_added_later_is_read(tmp_path: Path) -> None:
    location = unpack("line", tmp_path)

    def strip(card: dict[str, Any]) -> None:
        for key in ("test_metrics", "val_noise", "sweep", "format"):
            del card[key]
        card["ledger"] = {}
        card["phases"] = [{"kind": "grow-new"}, {"kind": "prune-permanent", "epochs": 3, "val_accuracy": None}]

    rewrite(location, strip)
    card = read_card(location, "v0000")
    assert list_versions(location)[0] == card
    assert card.ledger.examples == card.ledger.worker_seconds == 0.0
    assert [phase.epochs for phase in card.phases] == [0, 3]
    assert (card.test_metrics, card.val_noise, card.sweep) == ({}, None, None)


def test_a_card_without_a_ledger_or_phases_is_read(tmp_path: Path) -> None:
    location = unpack("line", tmp_path)
    rewrite(location, lambda card: (card.pop("ledger"), card.pop("phases")))
    card = read_card(location, "v0000")
    assert card.ledger.examples == 0.0 and card.phases == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_card_with_accuracies_by_arrival_alone_is_read(number: int, location: Location, make_card: MakeCard) -> None:
    write_version(location, make_card(), {"a": torch.ones(2)})

    def age(card: dict[str, Any]) -> None:
        for key in ("by_arrival", "by_class", "known", "new"):
            del card[key]
        card.update(format=number, accuracy_by_arrival={"first": 0.9, "second": 0.7})

    rewrite(location, age)
    card = read_card(location, "v0000")
    assert card.accuracy_by_arrival == {"first": 0.9, "second": 0.7}
    assert card.by_arrival["second"] == Compared(rows=None, accuracy=0.7, parent_accuracy=None)
    assert (card.val_rows, card.by_class, card.known, card.new) == (None, {}, None, None)
    again = json.loads(encode(card))
    assert again["format"] == 6 and "accuracy_by_arrival" not in again


def test_a_card_that_says_nothing_of_answers_among_known_classes_is_read(
    location: Location, make_card: MakeCard
) -> None:
    both = Compared(rows=9, accuracy=0.9, parent_accuracy=1.0)
    write_version(location, make_card(known=both, by_class={"cat": both}), {"a": torch.ones(2)})
    stored = json.loads(location.read_bytes("versions/v0000/card.json"))
    assert "among_known" not in stored["known"], "what most updates say nothing of is not stored"
    rewrite(location, lambda card: card.update(format=3))
    card = read_card(location, "v0000")
    assert card.format == 6 and card.known == both and card.known.among_known is None
    said = card.model_copy(update={"known": both.model_copy(update={"among_known": 0.95})})
    assert json.loads(encode(said))["known"]["among_known"] == 0.95


@pytest.mark.parametrize("phases", [["x"], "x", {"a": 1}])
def test_a_damaged_card_says_where(phases: Any, tmp_path: Path) -> None:
    location = unpack("line", tmp_path)
    rewrite(location, lambda card: card.update(phases=phases))
    with pytest.raises(InputError, match=r"card\.json: phases"):
        read_card(location, "v0000")


def test_a_shard_of_a_newer_format_is_refused(location: Location) -> None:
    manifest = publish(location, "a")
    shard = manifest.shards_of("train")[0]
    path = f"arrivals/a/{shard.file}"
    table = read_shard(location, "a", shard)
    assert table.schema.metadata[b"raygp.format"] == b"1"
    for number, refused in (("2", True), (None, False)):
        metadata = {key: value for key, value in table.schema.metadata.items() if key != b"raygp.format"}
        changed = table.replace_schema_metadata({**metadata, **({"raygp.format": number} if number else {})})
        pq.write_table(changed, location.local_path(path))
        data = location.read_bytes(path)
        info = shard.model_copy(update={"bytes": len(data), "sha256": sha256_hex(data)})
        if not refused:
            assert read_shard(location, "a", info).num_rows == table.num_rows
            continue
        with pytest.raises(
            InputError, match=r"\.parquet has format 2, this raygp reads formats up to 1: upgrade raygp$"
        ):
            read_shard(location, "a", info)


def test_weights_of_a_newer_format_are_refused(location: Location, make_card: MakeCard) -> None:
    card = write_version(location, make_card(), {"a": torch.ones(2)})
    path = f"versions/v0000/{card.files[0].file}"
    for metadata, refused in (({"raygp.format": "2"}, True), ({"other": "x"}, False), (None, False)):
        data = safetensors.torch.save({"a": torch.ones(3)}, metadata=metadata)
        location.write_bytes(path, data)
        info = card.files[0].model_copy(update={"bytes": len(data), "sha256": sha256_hex(data)})
        changed = card.model_copy(update={"files": [info]})
        if not refused:
            check_weights(location, changed)
            assert read_tensors(location, changed)["a"].shape == (3,)
            continue
        for read in (read_tensors, check_weights):
            with pytest.raises(InputError, match=r"has format 2, this raygp reads formats up to 1: upgrade raygp$"):
                read(location, changed)


def test_a_refusal_is_read_as_it_was_written(location: Location) -> None:
    refusal = Refusal(reason="lost 2 points", val_accuracy=0.5, ledger={"examples": 3.0})
    write_refusal(location, "updates/u", refusal)
    assert read_refusal(location, "updates/u") == refusal and read_refusal(location, "updates/v") is None


def test_a_refusal_without_a_number_or_an_accuracy_is_read(location: Location) -> None:
    old = {"reason": "diverged", "val_accuracy": float("nan"), "ledger": {"examples": 3.0}}
    location.write_bytes("updates/u/rejected.json", json.dumps(old).encode())
    found = read_refusal(location, "updates/u")
    assert found is not None and found.val_accuracy is None and found.ledger.examples == 3.0
