"""An update that goes on from any of its checkpoints ends as the one that was never interrupted."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from raygp.data.resident import Examples, ResidentData
from raygp.errors import TrainingError
from raygp.events import Event
from raygp.sparse import gather_buffers, load_gathered_buffers
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import load, save_checkpoint
from raygp.update.engine import Update
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.state import Checkpoint, UpdateState
from tests.update.records import figures

TASK = make_task({"name": "lenet-300-100", "augment": "shift"})
SYNTHESIS = Plan.model_validate(
    {"phases": [{"kind": "prune-permanent", "gradual": True, "epochs": 2}], "batch_size": 16, "lr": 0.02}
)
ALL_KINDS = Plan.model_validate(
    {
        "phases": [
            {"kind": "grow-new", "epochs": 1, "schedule": "constant"},
            {"kind": "grow-all", "epochs": 1},
            {"kind": "prune-recoverable", "epochs": 1, "rounds": 3, "beta": 0.5, "tolerance": 0.0, "density": 0.15},
            {"kind": "prune-permanent", "epochs": 2, "gradual": True},
        ],
        "batch_size": 16,
        "lr": 0.02,
        "shrink": 0.9,
        "distillation": {"weight": 0.3},
        "replay": {"share": 0.5, "hard": 0.7},
    }
)


def make_data(old: int = 60, new: int = 40) -> ResidentData:
    generator = np.random.default_rng(0)
    prototypes = generator.integers(0, 255, (10, 1, 28, 28))

    def examples(count: int) -> Examples:
        targets = generator.integers(0, 10, count)
        noisy = np.clip(prototypes[targets] * 0.5 + generator.normal(60, 50, (count, 1, 28, 28)), 0, 255)
        return Examples(torch.from_numpy(noisy.astype(np.uint8)), torch.from_numpy(targets))

    return ResidentData(examples(old + new), old, {"val": examples(37), "test": examples(23)})


DATA = make_data()


class Collector:
    """Keeps every checkpoint that is offered."""

    def __init__(self) -> None:
        self.checkpoints: list[Checkpoint] = []

    def event(self, event: Event) -> None:
        pass

    def checkpoint(self, make: Callable[[], Checkpoint]) -> None:
        self.checkpoints.append(make())

    def leaving(self) -> bool:
        return False


def run(
    plan: Plan, parent: Outcome | None, start: Checkpoint | None = None, checkpoint_seconds: float | None = None
) -> tuple[Outcome, list[Checkpoint]]:
    learner = make_learner(TASK, DATA, plan, num_classes=10, seed=5, parent=parent.tensors if parent else None)
    collector = Collector()
    update = Update(
        plan,
        learner,
        DATA,
        seed=5,
        has_parent=parent is not None,
        gate_tolerance=1.0,
        observer=collector,
        checkpoint_seconds=checkpoint_seconds,
    )
    if start is not None:
        update.resume(start)
    return update.run(), collector.checkpoints


@pytest.fixture(scope="module")
def parent() -> Outcome:
    return run(SYNTHESIS, None)[0]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_checkpoint_leads_to_the_same_bits(parent: Outcome, optimizer: str, tmp_path: Path) -> None:
    lr = {"sgd": 0.02, "adamw": 0.001}[optimizer]
    fields = ALL_KINDS.model_dump(mode="json")
    plan = Plan.model_validate(fields | {"optimizer": fields["optimizer"] | {"name": optimizer}, "lr": lr})
    whole, checkpoints = run(plan, parent)
    assert len(checkpoints) >= 5
    for number, checkpoint in enumerate(checkpoints):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_checkpoint(folder, checkpoint)
        resumed, _ = run(plan, parent, load(folder))
        assert resumed.record.mask_digest == whole.record.mask_digest
        assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
        assert figures(resumed.record) == figures(whole.record)
        assert replace(resumed.record.ledger, worker_seconds=0) == replace(whole.record.ledger, worker_seconds=0)
        assert resumed.record.val_accuracy == whole.record.val_accuracy
        assert resumed.record.test_accuracy == whole.record.test_accuracy
        assert resumed.record.val_noise == whole.record.val_noise and whole.record.val_noise


def test_every_step_of_every_phase_can_be_gone_on_from(parent: Outcome, tmp_path: Path) -> None:
    whole, _ = run(ALL_KINDS, parent)
    watched, checkpoints = run(ALL_KINDS, parent, checkpoint_seconds=0.0)
    assert watched.record.mask_digest == whole.record.mask_digest
    assert all(torch.equal(watched.tensors[key], value) for key, value in whole.tensors.items())
    inside = [checkpoint for checkpoint in checkpoints if checkpoint.state.cursor.step > 0]
    assert {checkpoint.state.cursor.phase for checkpoint in inside} == {0, 1, 2, 3}
    assert len(inside) >= 15
    for number, checkpoint in enumerate(inside[::2]):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_checkpoint(folder, checkpoint)
        resumed, _ = run(ALL_KINDS, parent, load(folder))
        assert resumed.record.mask_digest == whole.record.mask_digest
        assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
        assert figures(resumed.record) == figures(whole.record)
        assert resumed.record.ledger.examples == whole.record.ledger.examples


def test_the_loss_of_an_epoch_whose_first_losses_are_unknown_is_the_mean_of_the_others(parent: Outcome) -> None:
    """As a checkpoint of raygp 0.1.0 inside an epoch has it."""
    whole, checkpoints = run(ALL_KINDS, parent, checkpoint_seconds=0.0)
    first = [checkpoint for checkpoint in checkpoints if checkpoint.state.cursor.epochs_total == 0]
    before = next(checkpoint for checkpoint in first if checkpoint.state.cursor.step == 1)
    state = copy.deepcopy(before.state)
    assert state.cursor.loss_steps == 1
    known_sum, state.cursor.loss_sum, state.cursor.loss_steps = state.cursor.loss_sum, 0.0, 0
    resumed, later = run(ALL_KINDS, parent, Checkpoint(state, before.tensors), checkpoint_seconds=0.0)
    steps = 40 // 16
    expected = whole.record.phases[0].history[0].loss
    assert expected is not None and known_sum > 0.0
    assert resumed.record.phases[0].history[0].loss == pytest.approx((expected * steps - known_sum) / (steps - 1))
    assert resumed.record.phases[0].history[0].loss > 0.6 * expected, "and is not divided by all steps"
    assert resumed.record.phases[1].history[0].loss == whole.record.phases[1].history[0].loss
    assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
    assert [one.state.cursor.loss_steps for one in later[1:]] == [one.state.cursor.step for one in later[1:]]


def test_a_checkpoint_that_was_read_stays_as_it_was_when_its_folder_is_written_again(tmp_path: Path) -> None:
    def write(value: float) -> None:
        save_checkpoint(tmp_path, Checkpoint(UpdateState(), {"weight": torch.full((4096,), value)}))

    write(1.0)
    read = load(tmp_path)
    write(2.0)
    assert torch.equal(read.tensors["weight"], torch.ones(4096))


def test_without_a_deadline_checkpoints_come_at_the_ends_of_epochs_only(parent: Outcome) -> None:
    for seconds in (None, 3600.0):
        _, checkpoints = run(ALL_KINDS, parent, checkpoint_seconds=seconds)
        assert all(checkpoint.state.cursor.step == 0 for checkpoint in checkpoints)


def test_batch_norm_statistics_of_each_rank_come_back_or_their_mean_on_other_numbers_of_ranks() -> None:
    task = make_task({"name": "resnet18-small", "image_size": 28})
    plan = SYNTHESIS.model_copy(update={"batch_size": 8})
    learner = make_learner(task, DATA, plan, num_classes=10, seed=5, parent=None)
    name, buffer = next((n, b) for n, b in learner.model.named_buffers() if n.endswith("running_mean"))
    own = {key: parts + 1.0 for key, parts in gather_buffers(learner.model).items()}
    load_gathered_buffers(learner.model, own)
    assert torch.equal(buffer, own[name][0])
    stacked = torch.stack([torch.full_like(buffer, 1.0), torch.full_like(buffer, 4.0)])
    load_gathered_buffers(learner.model, {name: stacked})
    assert torch.equal(buffer, torch.full_like(buffer, 2.5))


def test_a_checkpoint_with_other_masks_is_refused(parent: Outcome) -> None:
    _, checkpoints = run(ALL_KINDS, parent)
    state = copy.deepcopy(checkpoints[0].state)
    state.record.mask_digest = "0" * 16
    tampered = Checkpoint(state, checkpoints[0].tensors)
    with pytest.raises(TrainingError, match="masks do not match their digest"):
        run(ALL_KINDS, parent, tampered)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "tensors.safetensors").write_bytes(b"not tensors")
    with pytest.raises(TrainingError, match=rf"checkpoint {tmp_path.name} cannot be read .*: delete it and run again"):
        load(tmp_path)


def test_the_same_update_twice_is_the_same_and_another_seed_is_not(parent: Outcome) -> None:
    first, again = run(ALL_KINDS, parent)[0], run(ALL_KINDS, parent)[0]
    assert first.record.mask_digest == again.record.mask_digest
    assert all(torch.equal(first.tensors[key], value) for key, value in again.tensors.items())
