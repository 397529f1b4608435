"""An update whose number of workers changes on the way: the same batches, the same result, the same costs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raygp.update.checkpoints import load, save_outcome
from raygp.update.plan import FitSettings
from raygp.update.state import Checkpoint
from tests.update.ranks import PLAN, Stretch, climb, run_ranks, stretch

STEPS = 150 // 16


def trained_on(*stretches: list[Stretch]) -> list[tuple[int, int, list[int]]]:
    """Seed of the epoch, step, ids of the global batch, over ranks and stretches."""
    found = []
    for ranks in stretches:
        for parts in zip(*(rank.seen for rank in ranks), strict=True):
            assert len({(seed, step) for seed, step, _ in parts}) == 1
            found.append((parts[0][0], parts[0][1], np.concatenate([ids for *_, ids in parts]).tolist()))
    return found


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def alone() -> Stretch:
    """One worker all the way."""
    return stretch(PLAN, None, None, None)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> list[list[Stretch]]:
    """Two workers, from the middle of the first epoch one, from the middle of the third epoch three."""
    path = tmp_path_factory.mktemp("changing")
    first, second = folder(path / "first"), folder(path / "second")
    two = run_ranks(2, path / "two", PLAN, None, first, 4)
    one = [stretch(PLAN, first, second, 2 * STEPS - 1)]
    return [two, one, run_ranks(3, path / "three", PLAN, second, None, None)]


def test_every_batch_is_trained_on_once_whoever_is_there(alone: Stretch, changing: list[list[Stretch]]) -> None:
    assert [ranks[0].outcome is None for ranks in changing] == [True, True, False]
    assert 0 < len(changing[0][0].seen) < STEPS
    assert len(changing[0][0].seen + changing[1][0].seen) % STEPS
    assert trained_on(*changing) == trained_on([alone])
    assert len(trained_on([alone])) == 4 * STEPS


def test_the_result_is_that_of_one_worker_but_for_the_order_of_sums(
    alone: Stretch, changing: list[list[Stretch]]
) -> None:
    whole, parts = alone.outcome, changing[-1][0].outcome
    assert whole is not None and parts is not None
    assert parts.record.mask_digest == whole.record.mask_digest
    floats = [key for key, value in whole.tensors.items() if value.is_floating_point()]
    assert floats
    for key in floats:
        torch.testing.assert_close(parts.tensors[key], whole.tensors[key], rtol=1e-3, atol=1e-5)
    assert parts.record.val_accuracy == whole.record.val_accuracy
    assert parts.record.by_class == whole.record.by_class and len(whole.record.by_class) > 1
    assert parts.record.by_arrival == whole.record.by_arrival


def test_costs_are_those_of_one_worker(alone: Stretch, changing: list[list[Stretch]]) -> None:
    whole, parts = alone.outcome, changing[-1][0].outcome
    assert whole is not None and parts is not None
    for key in ("examples", "sparse_flops", "dense_flops"):
        assert getattr(parts.record.ledger, key) == pytest.approx(getattr(whole.record.ledger, key), rel=1e-9)
    assert whole.record.ledger.reduced_bytes == 0 < parts.record.ledger.reduced_bytes
    assert parts.record.ledger.worker_seconds > 0


def test_fewer_examples_than_workers_are_trained_on_as_by_one(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"batch_size": 2})
    one = stretch(plan, None, folder(tmp_path / "one"), 6)
    three = run_ranks(3, tmp_path / "three", plan, None, folder(tmp_path / "kept"), 6)
    assert len(one.seen) == 6
    for rank in three:
        assert trained_on([rank]) == trained_on([one])
    mine, theirs = (load(tmp_path / name) for name in ("one", "kept"))
    assert isinstance(mine, Checkpoint) and isinstance(theirs, Checkpoint)
    for key, value in mine.tensors.items():
        if value.is_floating_point() and not key.startswith("buffers/"):
            torch.testing.assert_close(theirs.tensors[key], value, rtol=1e-3, atol=1e-5)
    assert theirs.state.record.ledger.examples == mine.state.record.ledger.examples


def test_workers_that_are_leaving_are_offered_a_checkpoint_inside_the_epoch(
    alone: Stretch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygp.update.checkpoint_clock._LOOK_S", 0.0)
    kept = folder(tmp_path / "kept")
    left = stretch(PLAN, None, kept, None, 3600.0, True)
    assert (left.outcome, left.checkpoints) == (None, 1)
    assert 0 < len(left.seen) < STEPS
    on = stretch(PLAN, kept, None, None)
    assert trained_on([left], [on]) == trained_on([alone])
    assert on.outcome is not None and alone.outcome is not None
    assert all(torch.equal(on.outcome.tensors[key], value) for key, value in alone.outcome.tensors.items())


def test_two_ranks_climb_the_ladder_as_one_does(alone: Stretch, tmp_path: Path) -> None:
    assert alone.outcome is not None
    parent = folder(tmp_path / "parent")
    save_outcome(parent, alone.outcome)
    # Shrunk to almost nothing and hardly trained: only a safer rung holds.
    ruinous = PLAN.model_copy(update={"shrink": 0.05, "lr": 1e-4, "fit": FitSettings()})
    one = climb(ruinous, parent)
    both = run_ranks(2, tmp_path / "both", ruinous, parent, work=climb)
    assert [rung.name for rung in one.record.rungs] == ["plan", "replay"]
    assert one.verdict.promoted and one.record.look is not None
    for other in both:
        assert other.record.mask_digest == one.record.mask_digest and other.record.look == one.record.look
        assert [rung.name for rung in other.record.rungs] == [rung.name for rung in one.record.rungs]
        assert other.record.ledger.examples == pytest.approx(one.record.ledger.examples)
        for name, value in one.tensors.items():
            assert torch.allclose(other.tensors[name].float(), value.float(), atol=1e-3), name
