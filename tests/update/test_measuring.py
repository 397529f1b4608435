"""What is read off one pass over validation where classes are new, and what an update makes of it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from raygp.data.batches import Batch, Split
from raygp.data.resident import ResidentData
from raygp.record import EpochRecord, PhaseRecord
from raygp.tasks import make_task
from raygp.tasks.images import ImageTask
from raygp.tasks.padded import Padded
from raygp.tasks.speech import SpeechTask
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import load, save_checkpoint, save_outcome
from raygp.update.engine import Update
from raygp.update.examples import ExampleChoice
from raygp.update.gate import GateSettings
from raygp.update.judging import Judge
from raygp.update.learner import Learner
from raygp.update.measuring import Measuring, known_of
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.state import Checkpoint, Cursor
from tests.update.ranks import knows_five, new_five, run_ranks, update_of_new_classes
from tests.update.records import figures
from tests.update.test_resume import Collector

TASK = make_task({"name": "lenet-300-100"})
PLAN = Plan.model_validate(
    {
        "phases": [{"kind": "grow-new", "epochs": 0}, {"kind": "prune-permanent", "gradual": True, "epochs": 3}],
        "batch_size": 16,
        "lr": 0.05,
        "replay": {"share": 1.0, "hard": 0.0},
    }
)


class Counted(ResidentData):
    """Counts passes over held-out rows."""

    passes = 0

    def evaluation(self, split: Split, batch_size: int, rank: int, world_size: int) -> Iterator[Batch]:
        self.passes += 1
        return super().evaluation(split, batch_size, rank, world_size)


@pytest.fixture(scope="module")
def parent() -> Outcome:
    return knows_five()


def learner_over(parent: Outcome, data: ResidentData, classes: int = 10) -> Learner:
    learner = make_learner(TASK, data, PLAN, num_classes=classes, seed=5, parent=parent.tensors, parent_classes=5)
    learner.known_classes = known_of(TASK, learner.model, 5)
    return learner


def test_among_known_classes_a_grown_parent_answers_as_the_parent_does(parent: Outcome) -> None:
    data = new_five()
    whole = Counted(data.train, data.old_rows, data.held_out, data.held_out_groups)
    grown, alone = learner_over(parent, whole), learner_over(parent, data, 5)
    assert (grown.known_classes, alone.known_classes) == (5, None)
    for learner in (grown, alone):
        # All logits of known classes are below those of new ones, which are zero.
        learner.model.get_parameter(f"{TASK.classifier}.bias").data[:5] -= 100.0
    measured = grown.measure("val")
    assert whole.passes == 1, "both are read off one pass"
    ids = data.held_out["val"].targets.numpy()
    assert measured.class_ids is not None and np.array_equal(measured.class_ids, ids)
    known = np.flatnonzero(ids < 5)
    old = ResidentData(data.train, data.old_rows, {"val": data.held_out["val"].take(known)})
    theirs = learner_over(parent, old, 5).measure("val")
    assert theirs.among_known is None and theirs.known_accuracy is None
    assert measured.among_known is not None and np.array_equal(measured.among_known[known], theirs.scores)
    assert not measured.among_known[ids >= 5, :, 0].any() and (measured.among_known[..., 1] == 1.0).all()
    assert measured.known_accuracy == theirs.accuracy > 0.5 and not measured.scores[known, :, 0].any()


def test_no_row_that_is_right_with_all_classes_in_play_is_wrong_among_known_ones(parent: Outcome) -> None:
    data, generator = new_five(), torch.Generator().manual_seed(3)
    learner = learner_over(parent, data)
    weight = learner.model.get_parameter(f"{TASK.classifier}.weight")
    weight.data[5:] = torch.randn(weight[5:].shape, generator=generator)
    measured = learner.measure("val")
    assert measured.among_known is not None and measured.class_ids is not None
    known = measured.class_ids < 5
    assert (measured.among_known[known] >= measured.scores[known]).all()
    assert measured.scores[known, 0, 0].sum() < measured.among_known[known, 0, 0].sum()


def test_where_nothing_is_known_alone_nothing_is_restricted() -> None:
    model = TASK.build_model(10)
    assert known_of(TASK, model, None) is None and known_of(TASK, model, 10) is None and known_of(TASK, model, 9) == 9
    speech = SpeechTask.__new__(SpeechTask)
    assert not speech.labels_are_classes and known_of(speech, model, 5) is None
    # A split of classes that are all new.
    measuring = Measuring(TASK, 2, 3, None)
    measuring.add(np.arange(2), torch.eye(5)[[4, 0]], torch.tensor([4, 3]))
    measured = measuring.result(lambda tensor: tensor)
    assert measured.known_accuracy is None and measured.accuracy == 0.5
    assert measured.among_known is not None and not measured.among_known[..., 0].any()


def test_outputs_of_sequences_are_left_alone() -> None:
    class Words(ImageTask):
        """Sequences whose labels are classes."""

        def score(self, outputs: Any, targets: Any) -> torch.Tensor:
            return torch.ones(len(outputs.values), 1, 2, dtype=torch.float64)

    task = Words(TASK.spec, TASK.build, TASK.classifier, {}, sequences=True)  # type: ignore[attr-defined,arg-type]
    assert known_of(task, TASK.build_model(10), 5) is None
    padded = Padded(torch.zeros(2, 3, 4), torch.tensor([3, 2]))
    measuring = Measuring(task, 2, None, None)
    measuring.add(np.arange(2), padded, Padded(torch.zeros(2, 1), torch.tensor([1, 1])))
    assert measuring.result(lambda tensor: tensor).accuracy == 1.0


def test_a_parent_that_is_sure_of_its_own_classes_has_learnt_them(parent: Outcome) -> None:
    learner = learner_over(parent, new_five())
    for name in ("weight", "bias"):
        # Answers stay the same, and are surer of little: among ten classes no answer has half of the belief.
        learner.model.get_parameter(f"{TASK.classifier}.{name}").data *= 0.25
    old = np.arange(learner.data.old_rows)
    among, whole = learner.losses(old, 5), learner.losses(old)
    assert (among < whole).all()
    found = ExampleChoice(PLAN, learner, learner.data, 5).unlearnt()
    assert found == pytest.approx(float((among > np.log(2.0)).mean())) and found < (whole > np.log(2.0)).mean()


# -- what an update makes of it ---------------------------------------------------------------------------------------


def test_an_update_notes_what_is_known_epoch_by_epoch_and_goes_on_to_the_same_bits(
    parent: Outcome, tmp_path: Path
) -> None:
    def run(start: Checkpoint | None = None) -> tuple[Outcome, list[Checkpoint]]:
        data, collector = new_five(), Collector()
        learner = make_learner(TASK, data, PLAN, num_classes=10, seed=5, parent=parent.tensors, parent_classes=5)
        classes = [str(number) for number in range(10)]
        update = Update(
            PLAN, learner, data, seed=5, has_parent=True, parent_classes=5, classes=classes, observer=collector
        )
        if start is not None:
            update.resume(start)
        return update.run(), collector.checkpoints

    whole, checkpoints = run()
    record = whole.record
    assert record.known is not None and record.new is not None and record.known.among_known is not None
    assert record.phases[-1].history[-1].known_accuracy == record.known.among_known >= record.known.accuracy
    assert record.by_arrival["low"].among_known == record.known.among_known
    assert record.by_arrival["high"].among_known is None and record.by_class["7"].among_known is None
    assert record.parent_val_accuracy == pytest.approx(
        (record.known.parent_accuracy or 0.0) * (record.known.rows or 0) / (record.val_rows or 1)
    )
    assert "among known classes, parent" in whole.verdict.reason and "in play" in whole.verdict.reason
    for number, checkpoint in enumerate(checkpoints):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_checkpoint(folder, checkpoint)
        kept = load(folder)
        assert isinstance(kept, Checkpoint)
        resumed, _ = run(kept)
        assert all(torch.equal(resumed.tensors[key], value) for key, value in whole.tensors.items())
        assert figures(resumed.record) == figures(record) and resumed.verdict == whole.verdict
        assert (resumed.record.known, resumed.record.by_class) == (record.known, record.by_class)


def test_two_ranks_see_what_one_sees(parent: Outcome, tmp_path: Path) -> None:
    kept = tmp_path / "parent"
    kept.mkdir()
    save_outcome(kept, parent)
    one = update_of_new_classes(PLAN, kept)
    both = run_ranks(2, tmp_path / "both", PLAN, kept, work=update_of_new_classes)
    assert one.record.known is not None and one.record.known.among_known is not None
    for other in both:
        assert other.verdict == one.verdict and other.record.known == one.record.known
        assert other.record.by_class == one.record.by_class and other.record.by_arrival == one.record.by_arrival
        ours, theirs = (figures(outcome.record, "loss", "examples") for outcome in (one, other))
        assert theirs == ours


def judged(known: list[float | None], with_all: list[float], epochs: int = 6) -> str:
    """What ends a rung after these epochs, whose parent has 90 % of 100 known rows right, and 100 more are new."""
    ids = np.tile(np.arange(10), 20)
    parent = np.stack([(ids < 5) & (np.arange(200) >= 20), np.ones(200)], axis=1).astype(float)[:, None]
    learner: Any = SimpleNamespace(
        data=SimpleNamespace(groups=lambda split: {"a": slice(0, 200)}),
        class_ids=lambda split: ids,
        task=SimpleNamespace(labels_are_classes=True, sequences=False, metrics=("accuracy",)),
    )
    judge = Judge(learner, True, GateSettings(), [str(number) for number in range(10)], 5)
    judge.parent_scores = parent
    history = [
        EpochRecord(
            round=0, loss=0.1, val_accuracy=accuracy, known_accuracy=alone, densities={}, grown=0, pruned=0,
            examples=1.0, seconds=1.0,
        )
        for alone, accuracy in zip(known, with_all, strict=True)
    ]  # fmt: skip
    plan = Plan.model_validate({"phases": [{"kind": "grow-all", "epochs": epochs}]})
    record = PhaseRecord(kind="grow-all", history=history)
    verdict = judge.given_up(plan, plan.phases[0], Cursor(epoch=len(history)), record)
    return "" if verdict is None else verdict.reason


def test_a_rung_is_given_up_for_what_the_parent_knew() -> None:
    # Of all rows the parent has 45 % right, which hides that a half is forgotten.
    assert judged([0.4, 0.4, 0.4], [0.5, 0.5, 0.5]) == (
        "rejected: given up after epoch 3 of 6 (grow-all), validation 40.00% among known classes, parent 90.00%"
    )
    assert judged([0.7, 0.7, 0.7], [0.3, 0.3, 0.3]) == "", "a third is lost only below 66.7 %"
    assert judged([0.4, 0.4], [0.4, 0.4]) == ""
    # Of a checkpoint of an earlier raygp nothing else is known.
    assert judged([None, 0.4, 0.4], [0.5, 0.5, 0.5]) == ""
    assert "validation 20.00%, parent 45.00%" in judged([None, None, None], [0.2, 0.2, 0.2])
