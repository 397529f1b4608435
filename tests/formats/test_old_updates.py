"""Updates that an earlier version of raygp began: they end as that version would have ended them."""

from __future__ import annotations

from pathlib import Path

import pytest

import raygp
from raygp.events import Event
from raygp.line.in_process import InProcessRunner
from raygp.store import Location, read_head, read_tensors
from raygp.update.checkpoints import load
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.state import Checkpoint
from tests.formats.archives import described, unpack
from tests.formats.updates import next_job, settings_of


def stored(location: Location) -> list[Checkpoint | Outcome]:
    """All checkpoints of the update that was begun, oldest first."""
    return [load(folder) for folder in sorted(location.local_path().glob("updates/*/checkpoint_*/"))]


def test_checkpoints_are_read(tmp_path: Path) -> None:
    found = stored(unpack("unfinished", tmp_path))
    assert len(found) == 2
    for checkpoint in found:
        assert isinstance(checkpoint, Checkpoint) and checkpoint.tensors
        assert checkpoint.state.record.ledger.examples > 0 and checkpoint.state.record.mask_digest


def test_an_outcome_that_is_no_version_yet_is_read(tmp_path: Path) -> None:
    outcome, ends = stored(unpack("decided", tmp_path))[-1], described("decided")["ends"]
    assert isinstance(outcome, Outcome) and outcome.verdict.promoted and outcome.tensors
    assert (outcome.record.mask_digest, outcome.record.val_accuracy) == (ends["mask_digest"], ends["val_accuracy"])


@pytest.mark.parametrize("name", ["unfinished", "decided"])
def test_an_update_that_was_begun_ends_as_it_would_have(name: str, tmp_path: Path) -> None:
    location, ends, seen = unpack(name, tmp_path), described(name)["ends"], list[Event]()
    line = raygp.open(location.root)
    line.listen(seen.append)
    begun = [unfinished.update for unfinished in line.unfinished()]
    assert begun == [next_job(location, name).update_id]
    [version] = line.update(settings_of(name), runner=InProcessRunner())
    card = version.card
    assert [card.update] == begun and line.unfinished() == []
    assert card.mask_digest == ends["mask_digest"]
    assert card.active_connections == ends["active_connections"]
    assert (card.val_accuracy, card.test_accuracy) == (ends["val_accuracy"], ends["test_accuracy"])
    # Settings that the plan has gained since stand in it at their defaults.
    assert Plan.model_validate(card.plan) == Plan.model_validate(ends["plan"])


@pytest.mark.cluster
@pytest.mark.drill
@pytest.mark.parametrize("name", ["unfinished", "decided", "sweep"])
def test_ray_goes_on_with_what_was_begun(name: str, tmp_path: Path) -> None:
    from raygp.cluster.runner import RayRunner

    location, ends, sweep = unpack(name, tmp_path), described(name)["ends"], described(name)["sweep"]
    begun = location.list("updates")
    [version] = raygp.open(location.root).update(settings_of(name), runner=RayRunner(), sweep=sweep)
    card = version.card
    head = read_head(location)
    assert head is not None and head.version == card.version == "v0001" and read_tensors(location, card)
    assert sweep or [card.update] == begun
    assert location.list("updates") == []
    assert (card.mask_digest, card.val_accuracy) == (ends["mask_digest"], ends["val_accuracy"])
    if sweep:
        assert card.sweep is not None
        # The trial that had finished is not run again.
        assert card.sweep["trials"][0] == ends["sweep"]["trials"][0]
        assert [trial["point"] for trial in card.sweep["trials"]] == [t["point"] for t in ends["sweep"]["trials"]]
