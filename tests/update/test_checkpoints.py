"""The formats of a checkpoint's files: what raygp 0.1.0 wrote is read, what a newer raygp wrote is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from raygp.errors import InputError
from raygp.store import Location
from raygp.update.checkpoints import load, save_checkpoint, save_outcome, youngest_checkpoint
from raygp.update.outcome import Outcome
from raygp.update.state import Checkpoint, UpdateState

OLD = Path(__file__).parent / "format_1"
"""state.json and outcome.json as raygp 0.1.0 wrote them: inside an epoch, and at the end of that update."""


def folder_with(tmp_path: Path, name: str, text: str) -> Path:
    """A checkpoint with a small tensor."""
    folder = tmp_path / "checkpoint_1"
    folder.mkdir()
    (folder / name).write_text(text)
    (folder / "tensors.safetensors").write_bytes(safetensors.torch.save({"a": torch.ones(2)}))
    return folder


def test_the_state_of_raygp_0_1_0_is_read(tmp_path: Path) -> None:
    found = load(folder_with(tmp_path, "state.json", (OLD / "state.json").read_text()))
    assert isinstance(found, Checkpoint)
    cursor, record = found.state.cursor, found.state.record
    assert (cursor.phase, cursor.stage, cursor.step, cursor.epochs_total) == (1, "train", 3, 1)
    assert (cursor.loss_sum, cursor.loss_steps) == (0.0, 0), "it did not keep the losses"
    assert [(phase.kind, phase.epochs, phase.grown) for phase in record.phases] == [
        ("grow-new", 1, 71873), ("grow-all", 0, 50311)
    ]  # fmt: skip
    assert record.phases[0].history == []
    assert record.ledger.sparse_flops == 159621048.0 and record.mask_digest == "2dc5fd6e29d2ad9f"
    again = tmp_path / "again"
    again.mkdir()
    save_checkpoint(again, found)
    written = json.loads((again / "state.json").read_text())
    assert written["format"] == 4
    read = load(again)
    assert isinstance(read, Checkpoint) and read.state == found.state


def test_the_outcome_of_raygp_0_1_0_is_read(tmp_path: Path) -> None:
    found = load(folder_with(tmp_path, "outcome.json", (OLD / "outcome.json").read_text()))
    assert isinstance(found, Outcome) and found.verdict.promoted
    record = found.record
    assert (record.active_connections, record.density, record.mask_digest) == (26620, 0.1, "beccab149dbf3389")
    assert [phase.restored for phase in record.phases] == [0, 0, 74402, 0]
    assert record.ledger.examples == 684.6666666666667 and record.test_metrics == {"accuracy": 0.17391304347826086}
    again = tmp_path / "again"
    again.mkdir()
    save_outcome(again, found)
    read = load(again)
    assert isinstance(read, Outcome) and (read.record, read.verdict) == (record, found.verdict)


@pytest.mark.parametrize("name", ["state.json", "outcome.json"])
def test_what_a_newer_raygp_wrote_is_refused_and_not_passed_over(tmp_path: Path, name: str) -> None:
    text = json.dumps({"format": 5, **UpdateState().to_dict(), "verdict": {}, "more": 1})
    folder = folder_with(tmp_path, name, text)
    message = r"checkpoint checkpoint_1 has format 5, this raygp reads formats up to 4: upgrade raygp"
    with pytest.raises(InputError, match=message):
        load(folder)
    with pytest.raises(InputError, match=message):
        youngest_checkpoint(Location(str(tmp_path.parent)), tmp_path.name)


def test_an_outcome_of_format_2_is_read(tmp_path: Path) -> None:
    """Its verdict said no more than that and why, and its record had the accuracy by arrival alone."""
    old = json.loads((OLD / "outcome.json").read_text())
    record = {key: old[key] for key in old if key not in ("verdict", "tensors")}
    assert record["accuracy_by_arrival"] and set(old["verdict"]) == {"promoted", "reason"}
    text = json.dumps({"format": 2, "verdict": old["verdict"], "record": record})
    found = load(folder_with(tmp_path, "outcome.json", text))
    assert isinstance(found, Outcome)
    assert found.record.accuracy_by_arrival == record["accuracy_by_arrival"]
    assert (found.verdict.decided_by, found.verdict.rows, found.verdict.advice) == ("validation", 0, "")
