"""Replay by class: when an arrival is uneven, how many of each class are drawn, and what an update makes of it."""

from typing import Any

import numpy as np
import pytest
import torch

from raygp.data.resident import Examples, ResidentData
from raygp.settings import load_settings
from raygp.tasks import make_task
from raygp.update.by_class import ByClass, quotas, uneven
from raygp.update.candidate import make_learner
from raygp.update.examples import ExampleChoice
from raygp.update.plan import Plan

TASK = make_task({"name": "lenet-300-100"})
FALLING = [0.7**number for number in range(10)]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ([100] * 10, [10] * 10, False),
        ([100] * 10, [round(100 * share) for share in FALLING], True),
        ([100] * 10, [round(20 * share) for share in FALLING], True),  # 66 rows.
        ([100] * 10, [3, 2, 1, 1, 1, 0, 0, 0, 0, 0], False),  # Chance explains it.
        ([100] * 10, [50] + [0] * 9, True),
        ([900, 100], [90, 10], False),  # Uneven, and it always was.
        ([900, 100], [50, 50], True),
        ([50_000, 50_000], [5_500, 4_500], False),  # Sure, but little.
        ([100] * 5 + [0] * 5, [0] * 5 + [100] * 5, False),  # New classes alone.
        ([100] * 5 + [0] * 5, [80] + [0] * 4 + [100] * 5, True),
        ([1] * 200, [1] * 200, False),
        ([100], [100], False),
        ([0, 0], [10, 0], False),
        ([100, 100], [0, 0], False),
    ],
)
def test_an_arrival_is_uneven_where_chance_does_not_explain_it(old: list[int], new: list[int], found: bool) -> None:
    assert uneven(np.array(old), np.array(new)) is found


@pytest.mark.parametrize("rows", [30, 64, 300, 5000])
@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("even", [True, False])
def test_an_arrival_drawn_at_random_is_hardly_ever_uneven(rows: int, classes: int, even: bool) -> None:
    rng = np.random.default_rng(4)
    shares = np.full(classes, 1.0) if even else 0.95 ** np.arange(classes)
    shares /= shares.sum()
    before = 20 * classes + 3 * rows
    draws = (tuple(rng.multinomial(count, shares) for count in (before, rows)) for _ in range(500))
    assert sum(uneven(old, new) for old, new in draws) <= 4


@pytest.mark.parametrize(
    ("shares", "have", "there", "count", "found"),
    [
        ([1, 1], [0, 0], [9, 9], 4, [2, 2]),
        ([1, 1], [3, 0], [9, 9], 5, [1, 4]),
        ([1, 1], [9, 0], [9, 9], 5, [0, 5]),  # One class has more than its share already.
        ([1, 1], [9, 0], [9, 2], 5, [3, 2]),  # The other has no more.
        ([3, 1], [0, 0], [99, 99], 8, [6, 2]),
        ([1, 1, 1], [0, 0, 0], [9, 9, 9], 4, [2, 1, 1]),  # What does not divide goes to the first.
        ([1, 1, 0], [0, 0, 50], [9, 9, 0], 6, [3, 3, 0]),
        ([5, 5], [0, 0], [2, 2], 4, [2, 2]),
        ([5, 5], [1, 1], [2, 2], 0, [0, 0]),
    ],
)
def test_quotas(shares: list[int], have: list[int], there: list[int], count: int, found: list[int]) -> None:
    assert quotas(np.array(shares), np.array(have), np.array(there), count).tolist() == found


def test_quotas_come_as_close_to_the_shares_as_they_can() -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        classes = int(rng.integers(1, 12))
        shares, have = rng.integers(1, 400, classes), rng.integers(0, 60, classes)
        there = rng.integers(0, 90, classes)
        count = int(rng.integers(0, there.sum() + 1))
        found = quotas(shares, have, there, count)
        assert found.sum() == count and (found >= 0).all() and (found <= there).all()
        # No row could be moved from a class to one that is further below its share, by more than a row.
        level = (have + found) / shares
        gives, takes = found > 0, found < there
        if gives.any() and takes.any():
            highest, lowest = ((have + found - 1) / shares)[gives].max(), level[takes].min()
            assert highest <= lowest + 1e-9 + 1.0 / shares.min()


def data_of(new: list[int], old: int = 100, classes: int = 10) -> ResidentData:
    """So many rows of each class before, and of the arrival; a row of noise each."""
    rng = np.random.default_rng(4)
    labels = np.concatenate([rng.permutation(np.repeat(np.arange(classes), old)), np.repeat(np.arange(len(new)), new)])
    images = torch.from_numpy(rng.integers(0, 255, (len(labels), 1, 28, 28)).astype(np.uint8))
    val = Examples(images[:20], torch.from_numpy(labels[:20]))
    return ResidentData(Examples(images, torch.from_numpy(labels)), classes * old, {"val": val})


def plan_of(**replay: Any) -> Plan:
    return Plan.model_validate({"phases": [{"kind": "grow-all"}], "replay": {"share": 0.4, "hard": 0.0, **replay}})


def chosen(data: ResidentData, plan: Plan, seed: int = 5) -> np.ndarray:
    learner = make_learner(TASK, data, plan, num_classes=10, seed=seed)
    return ExampleChoice(plan, learner, data, seed).choose()


UNEVEN = data_of([round(100 * share) for share in FALLING])
EVEN = data_of([30] * 10)


def test_replay_and_arrival_have_the_shares_of_all_data() -> None:
    classes = UNEVEN.classes()
    assert classes is not None
    ids = chosen(UNEVEN, plan_of(by_class="auto"))
    assert len(ids) == 400 + UNEVEN.new_rows and np.array_equal(ids, np.unique(ids))
    shares, wanted = (np.bincount(rows) / len(rows) for rows in (classes[ids], classes))
    assert np.abs(shares - wanted).max() < 1.5 / len(ids)
    at_random = classes[chosen(UNEVEN, plan_of())]
    assert np.abs(np.bincount(at_random) / len(ids) - wanted).max() > 0.02
    # What there is too much of already is not replayed at all.
    few = classes[chosen(data_of([300] + [0] * 9), plan_of(by_class="auto", share=0.1))]
    assert np.bincount(few[:100], minlength=10).tolist() == [0] + [12] + [11] * 8


def test_of_each_class_those_are_replayed_that_would_come_first() -> None:
    data, classes = UNEVEN, UNEVEN.classes()
    assert classes is not None
    order = np.random.default_rng(3).permutation(data.old_rows)
    drawn = ByClass(classes, data.old_rows, data.old_rows + np.arange(data.new_rows))(order, order[:0], 300)
    counts = np.bincount(classes[drawn], minlength=10)
    assert counts.sum() == 300 and counts[0] < counts[9]
    for number in range(10):
        mine = order[classes[order] == number]
        assert np.array_equal(drawn[classes[drawn] == number], mine[: counts[number]])


def test_an_even_arrival_is_replayed_as_without() -> None:
    assert np.array_equal(chosen(EVEN, plan_of(by_class="auto")), chosen(EVEN, plan_of()))
    assert not np.array_equal(chosen(UNEVEN, plan_of(by_class="auto")), chosen(UNEVEN, plan_of()))
    always, classes = chosen(EVEN, plan_of(by_class="always")), EVEN.classes()
    assert classes is not None and set(np.bincount(classes[always])) == {70}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_is_replayed_as_without(share: float) -> None:
    assert np.array_equal(
        chosen(UNEVEN, plan_of(by_class="always", share=share)), chosen(UNEVEN, plan_of(share=share))
    )


def test_the_hardest_are_chosen_first_and_count() -> None:
    plan = plan_of(by_class="auto", hard=0.5)
    classes = UNEVEN.classes()
    assert classes is not None
    ids, hardest = chosen(UNEVEN, plan), chosen(UNEVEN, plan_of(hard=1.0, share=0.2))
    assert set(hardest[hardest < UNEVEN.old_rows]) <= set(ids)
    have, there = np.bincount(classes[hardest]), np.bincount(classes[: UNEVEN.old_rows])
    there -= np.bincount(classes[hardest[hardest < UNEVEN.old_rows]], minlength=10)
    added = quotas(np.bincount(classes), have, there, 200)
    assert np.array_equal(np.bincount(classes[ids]), have + added) and (added == 0).any()


def test_labels_that_are_no_classes_are_not_balanced() -> None:
    class Blind(ResidentData):
        def classes(self) -> np.ndarray | None:
            return None

    data = Blind(UNEVEN.train, UNEVEN.old_rows, UNEVEN.held_out)
    assert np.array_equal(chosen(data, plan_of(by_class="always")), chosen(UNEVEN, plan_of()))


def test_a_plan_without_it_is_the_one_that_it_was() -> None:
    assert "by_class" not in plan_of().identity()["replay"]
    assert plan_of(by_class="auto").identity()["replay"]["by_class"] == "auto"
    assert load_settings("lenet-5").plan.replay.by_class == "never"
    assert load_settings("lenet-5", overrides=["plan.replay.by_class=auto"]).plan.replay.by_class == "auto"
