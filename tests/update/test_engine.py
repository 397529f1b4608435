"""Phases: what they do to masks, weights and optimizer state, and what they write down."""

import re

import numpy as np
import pytest
import torch

from raygp.errors import TrainingError
from raygp.sparse import state_tensors
from raygp.tasks import make_task
from raygp.update.candidate import add_output_rows, make_learner
from raygp.update.engine import Update
from raygp.update.examples import choose_examples
from raygp.update.gate import collapsed
from raygp.update.learner import Learner
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan, SelectionSettings
from tests.update.test_resume import ALL_KINDS, DATA, SYNTHESIS, TASK, run

OPTIMIZERS = {
    "sgd": {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adam": {"name": "adam", "weight_decay": 0.01},
    "adamw": {"name": "adamw", "weight_decay": 0.01},
}


@pytest.fixture(scope="module")
def parent() -> Outcome:
    return run(SYNTHESIS, None)[0]


def learnt(plan: Plan, parent: Outcome | None) -> Outcome:
    """The outcome without augmentation: shifted noise cannot be learnt."""
    task = make_task({"name": "lenet-300-100"})
    learner = make_learner(task, DATA, plan, num_classes=10, seed=5, parent=parent.tensors if parent else None)
    return Update(plan, learner, DATA, seed=5, has_parent=parent is not None, gate_tolerance=1.0).run()


@pytest.fixture(scope="module")
def good_parent() -> Outcome:
    phase = {"kind": "prune-permanent", "gradual": True, "epochs": 12}
    outcome = learnt(Plan.model_validate({"phases": [phase], "batch_size": 16, "lr": 0.05}), None)
    assert outcome.record.val_accuracy > 0.7
    return outcome


def learner_of(plan: Plan, parent: Outcome) -> Learner:
    return make_learner(TASK, DATA, plan, num_classes=10, seed=1, parent=parent.tensors)


def assert_dormant_is_zero(learner: Learner) -> None:
    for name, mask in learner.masks.bits.items():
        weight = learner.masks.parameter(name)
        assert not bool(weight.detach()[~mask].any()), name
        for key, state in state_tensors(learner.optimizer, weight):
            assert not bool(state[~mask].any()), (name, key)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_dormant_connections_are_zero_after_every_step_of_every_phase(parent: Outcome, optimizer: str) -> None:
    plan = Plan.model_validate(ALL_KINDS.model_dump() | {"optimizer": OPTIMIZERS[optimizer], "lr": 0.005})
    learner = learner_of(plan, parent)
    kinds: set[str] = set()
    update = Update(plan, learner, DATA, seed=1, has_parent=True, gate_tolerance=1.0)

    def check(*_: object) -> None:
        assert_dormant_is_zero(learner)
        kinds.add(update.state.record.phases[-1].kind)

    learner.optimizer.register_step_post_hook(check)
    update.run()
    assert kinds == {"grow-new", "grow-all", "prune-recoverable", "prune-permanent"}


def test_growth_and_gradual_pruning_end_at_the_plans_density_and_add_up(parent: Outcome) -> None:
    outcome, _ = run(ALL_KINDS, parent)
    assert outcome.record.active_connections == round(0.1 * outcome.record.total_connections)
    grown = sum(phase.grown for phase in outcome.record.phases)
    pruned = sum(phase.pruned for phase in outcome.record.phases)
    assert parent.record.active_connections + grown - pruned == outcome.record.active_connections
    assert outcome.record.phases[0].grown > 0
    assert outcome.record.phases[0].density_after > parent.record.density


def test_a_recoverable_round_that_loses_too_much_is_undone_bit_for_bit(
    parent: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "prune-recoverable", "epochs": 1, "beta": 0.9, "beta_floor": 0.8}], "density": 0.001,
         "batch_size": 16, "lr": 0.02, "tolerance": 0.0}
    )  # fmt: skip
    learner = learner_of(plan, parent)
    # Some momentum to restore.
    learner.train_epoch(np.arange(100), 99, before_step=lambda done: None)
    update = Update(plan, learner, DATA, seed=1, has_parent=True, gate_tolerance=1.0)
    before = update._running.pack()
    monkeypatch.setattr(learner, "accuracy", lambda split: 0.0)
    monkeypatch.setattr(update._judge, "outcome", lambda *_: None)
    update.run()
    after = update._running.pack()
    assert update.parent_val_accuracy is not None and update.parent_val_accuracy > 0.0
    assert update.state.record.phases[0].restored > 0 and update.state.record.phases[0].pruned == 0
    assert set(before) == set(after)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_an_update_shrinks_the_parent_once_before_it_trains_and_after_it_has_grown(parent: Outcome) -> None:
    phases = [{"kind": "grow-new", "epochs": 0}, {"kind": "grow-all", "alpha": 0.0, "epochs": 2}]
    seen: list[dict[str, torch.Tensor]] = []
    masks = []
    for shrink in (1.0, 0.5):
        # A rate of next to nothing: only the shrinking changes weights.
        plan = Plan.model_validate({"phases": phases, "batch_size": 16, "lr": 1e-12, "shrink": shrink})
        learner = learner_of(plan, parent)
        Update(plan, learner, DATA, seed=1, has_parent=True, gate_tolerance=1.0).run()
        seen.append({name: weight.detach().clone() for name, weight in learner.model.named_parameters()})
        masks.append(learner.masks.digest())
    # Which connections grow is the parent's as it was to say.
    assert masks[0] == masks[1]
    for name, whole in seen[0].items():
        assert whole.any() and torch.allclose(seen[1][name], 0.5 * whole, atol=1e-7), name


def test_an_initial_synthesis_does_not_shrink() -> None:
    whole, shrunk = (run(SYNTHESIS.model_copy(update={"shrink": shrink}), None)[0] for shrink in (1.0, 0.5))
    assert all(torch.equal(whole.tensors[name], shrunk.tensors[name]) for name in whole.tensors)


def test_the_ledger_charges_growth_training_and_a_third_for_a_scan(parent: Outcome) -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "grow-new", "epochs": 0, "alpha": 0.0}, {"kind": "grow-all", "alpha": 0.0, "epochs": 2}],
         "batch_size": 10, "replay": {"share": 0.5, "hard": 0.5}, "lr": 0.01}
    )  # fmt: skip
    outcome, _ = run(plan, parent)
    scan, passes, trained = 60 / 3, 40 + 70, 2 * 70
    assert outcome.record.ledger.examples == pytest.approx(scan + passes + trained)
    dense, active = 2 * outcome.record.total_connections, 2 * outcome.record.active_connections
    assert outcome.record.ledger.dense_flops == pytest.approx(3 * dense * (scan + passes + trained))
    assert outcome.record.ledger.sparse_flops == pytest.approx(
        3 * active * (scan + trained) + (2 * active + dense) * passes
    )


def test_a_loss_that_is_not_finite_names_the_epoch(parent: Outcome) -> None:
    plan = Plan.model_validate({"phases": [{"kind": "grow-all"}], "lr": 1e30, "batch_size": 16})
    with pytest.raises(TrainingError, match=r"loss became (nan|inf) in epoch 0: try a lower plan.lr"):
        run(plan, parent)


@pytest.mark.parametrize(
    ("shrink", "advice"), [(1.0, ""), (0.9, "; the parent was shrunk to 0.9: more plan.epochs, or plan.shrink=1")]
)
def test_a_phase_that_ruins_the_model_ends_the_update(good_parent: Outcome, shrink: float, advice: str) -> None:
    phases = [
        {"kind": "grow-all", "lr": 20.0, "epochs": 2, "schedule": "constant"},
        {"kind": "prune-permanent", "gradual": True, "epochs": 1},
    ]
    plan = Plan.model_validate({"phases": phases, "lr": 0.02, "batch_size": 16, "clip_norm": 1.0, "shrink": shrink})
    outcome = learnt(plan, good_parent)
    assert not outcome.verdict.promoted and outcome.record.test_accuracy is None
    assert re.fullmatch(
        r"rejected: phase 1 of 2 \(grow-all\) diverged, validation \d+\.\d+% after \d+\.\d+%: "
        rf"try a lower plan\.lr, or plan\.clip_norm=1{re.escape(advice)}",
        outcome.verdict.reason,
    )
    assert (outcome.verdict.decided_by, outcome.verdict.rows) == ("phase 1", outcome.record.val_rows)
    assert [phase.kind for phase in outcome.record.phases] == ["grow-all"]


def test_forgetting_by_training_on_the_arrival_alone_is_not_divergence(good_parent: Outcome) -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "grow-new", "lr": 20.0, "epochs": 1}, {"kind": "grow-all", "epochs": 1}],
         "lr": 0.02, "batch_size": 16, "clip_norm": 1.0}
    )  # fmt: skip
    outcome = learnt(plan, good_parent)
    assert collapsed(outcome.record.phases[0].val_accuracy, good_parent.record.val_accuracy, lambda: 0.15)
    assert outcome.record.phases[1].epochs == 1


def test_a_layer_that_pruning_would_empty_is_named(parent: Outcome) -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "prune-permanent", "gradual": True, "epochs": 1}], "density": 0.0003, "batch_size": 16}
    )
    wanted = r"prune-permanent to density 0\.\S+ leaves layer \S+ none of its [\d,]+ connections: raise plan.density"
    with pytest.raises(TrainingError, match=wanted):
        run(plan, parent)


def test_guessing_is_the_share_of_the_most_frequent_class(parent: Outcome) -> None:
    learner = learner_of(SYNTHESIS, parent)
    targets = DATA.held_out["val"].targets
    assert isinstance(targets, torch.Tensor)
    assert learner.guessing("val") == int(targets.bincount().max()) / len(targets)


def test_a_phase_stops_early_when_validation_does_not_improve(parent: Outcome) -> None:
    phase = {"kind": "grow-all", "epochs": 9, "schedule": "constant", "patience": 2, "lr": 1e-9, "alpha": 0.0}
    outcome, _ = run(Plan.model_validate({"phases": [phase], "batch_size": 16}), parent)
    assert outcome.record.phases[0].epochs == 3
    assert outcome.record.phases[0].stopped == "no better validation accuracy"


def test_a_rejected_candidate_is_not_tested(parent: Outcome) -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "prune-permanent", "gradual": True, "epochs": 1}], "density": 0.002, "batch_size": 16,
         "lr": 1e-9, "distribution": "global"}
    )  # fmt: skip
    learner = learner_of(plan, parent)
    outcome = Update(plan, learner, DATA, seed=1, has_parent=True, gate_tolerance=0.0, gate_confidence=0.5).run()
    assert outcome.record.val_accuracy < parent.record.val_accuracy
    assert not outcome.verdict.promoted and outcome.record.test_accuracy is None


def test_the_hardest_are_chosen_and_the_rest_at_random() -> None:
    asked: list[np.ndarray] = []
    ids = np.arange(500, 600)

    def losses(of: np.ndarray) -> np.ndarray:
        asked.append(of)
        return (of >= 590).astype(np.float32)  # The last ten are hard.

    def choose(seed: int = 3, **settings: float) -> np.ndarray:
        return choose_examples(SelectionSettings(**settings), ids, np.random.default_rng(seed), losses)

    chosen = choose(share=0.2, hard=0.5)
    assert len(chosen) == len(set(chosen.tolist())) == 20
    assert set(range(590, 600)) <= set(chosen.tolist()) <= set(ids.tolist())
    assert np.array_equal(asked[0], ids)
    assert np.array_equal(chosen, choose(share=0.2, hard=0.5))
    assert not np.array_equal(chosen, choose(4, share=0.2, hard=0.5))
    choose(share=0.2, hard=0.5, scan=0.3)
    assert len(asked[-1]) == 30
    asked.clear()
    assert len(choose(share=0.0)) == 0
    assert np.array_equal(choose(share=1.0), ids)
    assert len(choose(share=0.2, hard=0.0)) == 20
    assert not asked  # Nothing is scanned where nothing is chosen by loss.


def test_an_arrival_is_thinned_for_training_but_not_for_growth(parent: Outcome) -> None:
    plan = Plan.model_validate(
        {"phases": [{"kind": "grow-new", "epochs": 0}, {"kind": "grow-all", "alpha": 0.0, "epochs": 1}],
         "batch_size": 10, "replay": {"share": 0.0}, "arrival": {"share": 0.5}, "lr": 0.01}
    )  # fmt: skip
    outcome, _ = run(plan, parent)
    growth, scan, growth_all, trained = 40, 40 / 3, 20, 20
    assert outcome.record.ledger.examples == pytest.approx(growth + scan + growth_all + trained)


def test_bf16_trains_and_leaves_float32_weights(parent: Outcome) -> None:
    plan = Plan.model_validate({"phases": [{"kind": "grow-all", "epochs": 2}], "batch_size": 10, "lr": 0.01})
    exact, _ = run(plan, parent)
    rounded, _ = run(plan.model_copy(update={"precision": "bf16"}), parent)
    assert all(v.dtype == torch.float32 for k, v in rounded.tensors.items() if k.startswith(("value/", "dense/")))
    changed = [k for k, v in exact.tensors.items() if k.startswith("dense/") and not torch.equal(v, rounded.tensors[k])]
    assert changed
    for key in changed:
        assert torch.allclose(exact.tensors[key], rounded.tensors[key], atol=0.02)


def test_new_classes_leave_the_old_logits_alone(parent: Outcome) -> None:
    from raygp.sparse import Masks, unpack_model

    inputs = TASK.prepare(DATA.train.inputs[:8], None)
    models = []
    for classes in (10, 12):
        model = TASK.build_model(classes)
        masks = Masks(model)
        rows = classes - 10
        tensors = add_output_rows(parent.tensors, TASK.classifier, model, rows) if rows else parent.tensors
        unpack_model(tensors, model, masks)
        models.append(model)
    old, new = (model(inputs) for model in models)
    assert torch.allclose(new[:, :10], old, atol=1e-6)
    assert not bool(new[:, 10:].any())


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_resident_batches_of_all_ranks_are_the_global_batches(ranks: int) -> None:
    ids = np.arange(7, 95)
    whole = [batch.ids for batch in DATA.epoch(ids, 17, 4, 0, 1)]
    parts = [[batch.ids for batch in DATA.epoch(ids, 17, 4, rank, ranks)] for rank in range(ranks)]
    assert len(whole) == len(ids) // 17
    for step, batch in enumerate(whole):
        assert np.array_equal(np.concatenate([parts[rank][step] for rank in range(ranks)]), batch)
    other = [batch.ids for batch in DATA.epoch(ids, 17, 5, 0, 1)]
    assert not np.array_equal(whole[0], other[0])


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_resident_evaluation_counts_every_row_once(ranks: int) -> None:
    rows = [batch.ids for rank in range(ranks) for batch in DATA.evaluation("val", 4, rank, ranks)]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(37))
