"""Updates that an earlier version of raygp began: they end as that version would have ended them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygp.store import list_versions, read_head, read_tensors
from raygp.update.outcome import Outcome
from raygp.update.state import Checkpoint
from tests.formats.archives import described, unpack
from tests.formats.updates import checkpoints, finish, next_job


def test_an_unfinished_update_ends_as_it_would_have(tmp_path: Path) -> None:
    location = unpack("unfinished", tmp_path)
    job = next_job(location, "unfinished")
    stored = checkpoints(location, job)
    assert stored and all(isinstance(one, Checkpoint) for one in stored)
    youngest = stored[-1]
    assert isinstance(youngest, Checkpoint)
    outcome, ends = finish(job, youngest), described("unfinished")["ends"]
    assert outcome.record.mask_digest == ends["mask_digest"]
    assert outcome.record.val_accuracy == ends["val_accuracy"]
    assert outcome.record.test_accuracy == ends["test_accuracy"]
    assert outcome.record.active_connections == ends["active_connections"]
    assert job.plan.identity() == ends["plan"]


def test_an_outcome_that_waits_for_the_gates_verdict_is_read(tmp_path: Path) -> None:
    location = unpack("decided", tmp_path)
    outcome, ends = checkpoints(location, next_job(location, "decided"))[-1], described("decided")["ends"]
    assert isinstance(outcome, Outcome) and outcome.verdict.promoted and outcome.tensors
    assert (outcome.record.mask_digest, outcome.record.val_accuracy) == (ends["mask_digest"], ends["val_accuracy"])


@pytest.mark.cluster
@pytest.mark.drill
@pytest.mark.parametrize("name", ["unfinished", "decided", "sweep"])
def test_the_command_goes_on_with_what_was_begun(name: str, tmp_path: Path) -> None:
    from raygp.cli import main

    location = unpack(name, tmp_path)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(described(name)["settings"]))
    begun = location.list("updates")
    options = ["--sweep"] if described(name)["sweep"] else []
    assert main(["update", "--root", location.root, "--config", str(settings), *options]) == 0
    head, card, ends = read_head(location), list_versions(location)[-1], described(name)["ends"]
    assert head is not None and head.version == card.version == "v0001" and read_tensors(location, card)
    assert options or [card.update] == begun
    assert location.list("updates") == []
    assert (card.mask_digest, card.val_accuracy) == (ends["mask_digest"], ends["val_accuracy"])
    if options:
        assert card.sweep is not None and ends["sweep"] is not None
        assert [trial["point"] for trial in card.sweep["trials"]] == [t["point"] for t in ends["sweep"]["trials"]]
