"""Learning from the parent's answers beside the labels."""

from typing import Any

import pytest
import torch

from raygp.data.resident import Examples, ResidentData
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.engine import Update
from raygp.update.learner import Learner
from raygp.update.outcome import Outcome
from raygp.update.plan import DistillationSettings, Plan
from tests.update.test_resume import DATA, SYNTHESIS, run

TASK = make_task({"name": "lenet-300-100"})


@pytest.fixture(scope="module")
def parent() -> Outcome:
    return run(SYNTHESIS, None)[0]


def plan_of(weight: float, **changes: Any) -> Plan:
    """Trains for two epochs on everything, as connected as the parent is."""
    fields = {
        "phases": [{"kind": "grow-all", "alpha": 0.0, "epochs": 2}], "batch_size": 10, "lr": 0.05,
        "replay": {"share": 1.0}, "distillation": {"weight": weight, "temperature": 1.0},
    }  # fmt: skip
    return Plan.model_validate(fields | changes)


def update(plan: Plan, parent: Outcome, data: ResidentData = DATA, classes: int = 10) -> tuple[Outcome, Learner]:
    learner = make_learner(TASK, data, plan, num_classes=classes, seed=5, parent=parent.tensors, parent_classes=10)
    return Update(plan, learner, data, seed=5, has_parent=True, gate_tolerance=1.0).run(), learner


def relabelled() -> ResidentData:
    """The same pictures with other labels."""
    whole = DATA.train
    return ResidentData(Examples(whole.inputs, (whole.targets + 1) % 10), DATA.old_rows, DATA.held_out)


def test_of_the_parents_answers_alone_a_parent_learns_nothing(parent: Outcome) -> None:
    outcome, _ = update(plan_of(1.0), parent)
    for name, tensor in parent.tensors.items():
        assert torch.allclose(outcome.tensors[name].float(), tensor.float(), atol=1e-5), name


def test_labels_count_for_what_is_left_of_the_loss(parent: Outcome) -> None:
    moved = {}
    for weight in (0.0, 0.5, 1.0):
        ours, theirs = (update(plan_of(weight, shrink=0.9), parent, data)[0].tensors for data in (DATA, relabelled()))
        moved[weight] = max(float((ours[name].float() - theirs[name].float()).abs().max()) for name in ours)
    assert moved[0.0] > moved[0.5] > moved[1.0] == 0.0


def test_the_parents_answers_are_charged_as_a_third_of_an_example_at_its_density(parent: Outcome) -> None:
    plans = [plan_of(weight, phases=[{"kind": "grow-all", "alpha": 1.0, "epochs": 2}]) for weight in (0.0, 0.5)]
    plain, distilled = (update(plan, parent)[0] for plan in plans)
    assert plain.record.active_connections > parent.record.active_connections
    answers = 2 * 100 / 3
    assert distilled.record.ledger.examples - plain.record.ledger.examples == pytest.approx(answers)
    sparse = distilled.record.ledger.sparse_flops - plain.record.ledger.sparse_flops
    dense = distilled.record.ledger.dense_flops - plain.record.ledger.dense_flops
    assert sparse == pytest.approx(3 * 2 * parent.record.active_connections * answers)
    assert dense == pytest.approx(3 * 2 * parent.record.total_connections * answers)


def test_a_teacher_stays_as_it_was_and_is_no_part_of_the_candidate(parent: Outcome) -> None:
    outcome, learner = update(plan_of(0.5), parent)
    assert learner.teacher is not None
    known = learner.teacher.model.get_parameter("fc1.weight")
    assert not known.requires_grad and not torch.equal(known, learner.model.get_parameter("fc1.weight"))
    assert set(outcome.tensors) == set(parent.tensors)


def test_a_teacher_knows_the_classes_that_the_parent_knew(parent: Outcome) -> None:
    outcome, learner = update(plan_of(0.5), parent, classes=12)
    assert learner.teacher is not None
    assert len(learner.teacher.model.get_parameter(f"{TASK.classifier}.weight")) == 10
    assert len(outcome.tensors[f"dense/{TASK.classifier}.bias"]) == 12


def test_an_initial_synthesis_has_no_teacher() -> None:
    learner = make_learner(TASK, DATA, plan_of(0.5), num_classes=10, seed=5)
    assert learner.teacher is None


def test_without_a_weight_there_is_no_teacher(parent: Outcome) -> None:
    assert update(plan_of(0.0), parent)[1].teacher is None


@pytest.mark.parametrize(
    ("old", "new", "weight"), [(100, 0, 0.8), (90, 10, 0.64), (75, 25, 0.4), (101, 100, 0.0), (1, 9, 0.0)]
)
def test_a_weight_fades_with_the_share_that_is_new(old: int, new: int, weight: float) -> None:
    assert DistillationSettings(weight=0.8, fades_at=0.5).weight_for(old, new) == weight
    assert DistillationSettings(weight=0.8).weight_for(old, new) == 0.8


def test_a_faded_weight_is_what_an_update_learns_with(parent: Outcome) -> None:
    share = DATA.new_rows / (DATA.old_rows + DATA.new_rows)
    fading = {"distillation": {"weight": 1.0, "fades_at": 2 * share, "temperature": 1.0}}
    faded, learner = update(plan_of(0.0, **fading), parent)
    assert learner.teacher is not None and learner.teacher.weight == 0.5
    half = update(plan_of(0.5), parent)[0]
    assert all(torch.equal(faded.tensors[name], tensor) for name, tensor in half.tensors.items())
    gone = {"distillation": {"weight": 1.0, "fades_at": share}}
    assert update(plan_of(0.0, **gone), parent)[1].teacher is None


def test_a_weight_above_one_and_a_fading_at_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"distillation\.weight"):
        plan_of(1.5)
    with pytest.raises(ValueError, match="fades_at"):
        DistillationSettings(weight=0.5, fades_at=0.0)
