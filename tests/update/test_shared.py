"""Updates that share the passes over the parent end as those that compute them for themselves."""

from pathlib import Path

import pytest
import torch

from raygp.store import Location
from raygp.update.candidate import make_learner
from raygp.update.engine import Update
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.shared import SharedWork
from tests.update.records import figures
from tests.update.test_resume import ALL_KINDS, DATA, SYNTHESIS, TASK, run


@pytest.fixture(scope="module")
def parent() -> Outcome:
    return run(SYNTHESIS, None)[0]


def make_update(plan: Plan, parent: Outcome, shared: SharedWork | None = None) -> Update:
    learner = make_learner(TASK, DATA, plan, num_classes=10, seed=5, parent=parent.tensors)
    return Update(plan, learner, DATA, seed=5, has_parent=True, gate_tolerance=1.0, shared=shared)


def with_changes(**changes: object) -> Plan:
    return Plan.model_validate(ALL_KINDS.model_dump() | changes)


@pytest.fixture(scope="module")
def shared(parent: Outcome, tmp_path_factory: pytest.TempPathFactory) -> SharedWork:
    """Computed for one plan, kept in storage, read back."""
    location = Location(str(tmp_path_factory.mktemp("shared")))
    make_update(ALL_KINDS, parent).shared_work().write(location, "work")
    found = SharedWork.read(location, "work")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "plan",
    [
        ALL_KINDS,
        with_changes(alpha=0.6, density=0.2, lr=0.01),
        with_changes(replay={"share": 0.2, "hard": 1.0}, arrival={"share": 0.5, "hard": 0.5}),
        with_changes(phases=[{"kind": "grow-all", "epochs": 1}, {"kind": "prune-permanent", "gradual": True}]),
    ],
    ids=["the same plan", "other growth", "other examples", "other first phase"],
)
def test_any_plan_ends_in_the_same_bits_with_shared_work(parent: Outcome, shared: SharedWork, plan: Plan) -> None:
    alone, together = make_update(plan, parent).run(), make_update(plan, parent, shared).run()
    assert together.record.mask_digest == alone.record.mask_digest
    assert all(torch.equal(together.tensors[key], value) for key, value in alone.tensors.items())
    assert figures(together.record, "examples") == figures(alone.record, "examples")
    assert (together.verdict, together.record.val_noise) == (alone.verdict, alone.record.val_noise)
    assert together.record.ledger.examples < alone.record.ledger.examples


def test_what_is_shared_and_what_is_left_add_up_to_the_cost_of_an_update(parent: Outcome, shared: SharedWork) -> None:
    alone, together = make_update(ALL_KINDS, parent).run(), make_update(ALL_KINDS, parent, shared).run()
    for unit in ("examples", "sparse_flops", "dense_flops"):
        assert shared.ledger[unit] > 0
        alone_spent = getattr(alone.record.ledger, unit)
        assert shared.ledger[unit] + getattr(together.record.ledger, unit) == pytest.approx(alone_spent, rel=1e-12)


def test_work_that_was_not_finished_is_not_there(tmp_path: Path, parent: Outcome) -> None:
    location = Location(str(tmp_path))
    make_update(ALL_KINDS, parent).shared_work().write(location, "work")
    location.delete("work/shared.json")
    assert SharedWork.read(location, "work") is None
