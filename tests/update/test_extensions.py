"""Criteria and optimizers other than the defaults, in whole updates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from raygp.update.candidate import make_learner
from raygp.update.checkpoints import load, save_checkpoint
from raygp.update.engine import Update
from raygp.update.optimizers import OPTIMIZERS, OptimizerSettings
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from tests.update.ranks import PLAN, run_ranks, stretch
from tests.update.records import figures
from tests.update.test_engine import assert_dormant_is_zero
from tests.update.test_resume import ALL_KINDS, DATA, SYNTHESIS, TASK, run

RANDOM = Plan.model_validate(ALL_KINDS.model_dump() | {"growth": "random", "pruning": "random"})


@pytest.fixture(scope="module")
def parent() -> Outcome:
    return run(SYNTHESIS, None)[0]


def test_random_criteria_are_seeded_and_go_on_from_every_checkpoint(parent: Outcome, tmp_path: Path) -> None:
    whole, checkpoints = run(RANDOM, parent)
    assert whole.record.mask_digest != run(ALL_KINDS, parent)[0].record.mask_digest
    for number, checkpoint in enumerate(checkpoints):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_checkpoint(folder, checkpoint)
        resumed, _ = run(RANDOM, parent, load(folder))
        assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
        assert figures(resumed.record) == figures(whole.record)


def test_random_criteria_choose_the_same_on_every_rank_and_number_of_ranks(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"growth": "random", "pruning": "random"})
    alone = stretch(plan, None, None, None).outcome
    both = [one.outcome for one in run_ranks(2, tmp_path / "two", plan, None, None, None)]
    assert alone is not None
    # They do not look at gradients and weights, so that sums in another order change nothing.
    assert [one.record.mask_digest for one in both if one] == 2 * [alone.record.mask_digest]


def test_the_identity_of_a_plan_names_its_criteria_only_where_they_are_not_those_of_raygp_0_1_0() -> None:
    fields = ALL_KINDS.model_dump(mode="json")
    assert fields["growth"] == "gradient" and fields["pruning"] == "magnitude"
    older = {key: fields[key] for key in fields if key not in ("growth", "pruning", "fit")}
    chosen = {"leave_out", "by_class"}
    younger = {"distillation": {"replay_only"}, "replay": chosen, "arrival": chosen}
    for part, keys in younger.items():
        older[part] = {key: value for key, value in fields[part].items() if key not in keys}
    assert ALL_KINDS.identity() == older
    assert RANDOM.identity() == ALL_KINDS.identity() | {"growth": "random", "pruning": "random"}
    grown = ALL_KINDS.model_copy(update={"growth": "random"})
    assert grown.identity() == ALL_KINDS.identity() | {"growth": "random"}
    assert Plan.model_validate(ALL_KINDS.identity()) == ALL_KINDS


class RootMeanSquare(OptimizerSettings):
    """An optimizer that raygp does not bring."""

    name: Literal["rms"] = "rms"
    smoothing: float = 0.9

    def make(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=lr, alpha=self.smoothing)


@pytest.fixture
def rms() -> Iterator[None]:
    OPTIMIZERS.register("rms", RootMeanSquare)
    yield
    OPTIMIZERS.forget("rms")


@pytest.mark.usefixtures("rms")
def test_an_optimizer_of_ones_own_trains_and_leaves_what_is_dormant_at_zero(parent: Outcome) -> None:
    plan = Plan.model_validate(
        ALL_KINDS.model_dump() | {"optimizer": {"name": "rms", "smoothing": 0.8}, "lr": 0.0005}
    )
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    learner = make_learner(TASK, DATA, plan, num_classes=10, seed=5, parent=parent.tensors)
    assert isinstance(learner.optimizer, torch.optim.RMSprop) and learner.optimizer.defaults["alpha"] == 0.8
    learner.optimizer.register_step_post_hook(lambda *_: assert_dormant_is_zero(learner))
    outcome = Update(plan, learner, DATA, seed=5, has_parent=True, gate_tolerance=1.0).run()
    assert [phase.epochs > 0 for phase in outcome.record.phases] == 4 * [True]
    whole, checkpoints = run(plan, parent)
    resumed, _ = run(plan, parent, checkpoints[2])
    assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())


def test_the_history_of_an_update_adds_up_to_its_totals(parent: Outcome) -> None:
    record = run(ALL_KINDS, parent)[0].record
    epochs = [epoch for phase in record.phases for epoch in phase.history]
    assert any(phase.restored for phase in record.phases), "or nothing was taken back, and less is tested"
    for phase in record.phases:
        assert phase.epochs == len(phase.history)
        assert phase.grown == sum(epoch.grown for epoch in phase.history)
        assert phase.pruned + phase.restored == sum(epoch.pruned for epoch in phase.history)
        if not phase.restored:
            assert phase.val_accuracy == phase.history[-1].val_accuracy
    assert all(epoch.loss is not None and 0.0 < epoch.loss < 10.0 for epoch in epochs)
    spent = [(epoch.examples, epoch.seconds) for epoch in epochs]
    assert spent == sorted(spent) and spent[0][1] > 0.0
    assert spent[-1][0] == record.ledger.examples and spent[-1][1] <= record.ledger.worker_seconds
    assert epochs[-1].densities == record.densities and epochs[-1].val_accuracy == record.val_accuracy
