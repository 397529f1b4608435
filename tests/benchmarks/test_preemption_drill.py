"""What the preemption drill calls the same, and how it counts."""

import pytest

from benchmarks.preemption import BATCH, Place, compare
from raygp.workers import Workers

FIXED, RANGE = Workers(2, 2), Workers(1, 2)
CALM = {
    "code": 0, "files": ["a"], "in_flight": [], "accuracy": 0.9, "examples": 1000.0, "losses": [], "removed": 0,
    "seconds": 10.0,
}  # fmt: skip
LOSSES = [{"examples_lost": 30}, {"examples_lost": 20}]


def disturbed(**changes: object) -> dict[str, object]:
    return CALM | {"removed": 2, "losses": LOSSES} | changes


def test_examples_that_were_lost_are_spent_too() -> None:
    row = compare(CALM, disturbed(), FIXED)
    assert (row["finished"], row["same"], row["spent"]) == (True, True, 1050.0)
    assert row["more"] == pytest.approx(0.05)


@pytest.mark.parametrize("changes", [{"code": 1}, {"files": None}, {"in_flight": ["u"]}, {"losses": LOSSES[:1]}])
def test_a_run_that_did_not_end_well_or_lost_fewer_nodes_is_not_finished(changes: dict[str, object]) -> None:
    assert not compare(CALM, disturbed(**changes), FIXED)["finished"]


def test_a_fixed_number_of_workers_has_to_give_the_same_bits_and_a_range_the_same_accuracy() -> None:
    other = disturbed(files=["b"], accuracy=0.88)
    assert not compare(CALM, other, FIXED)["same"]
    assert compare(CALM, other, RANGE)["same"]
    assert not compare(CALM, other | {"accuracy": 0.8}, RANGE)["same"]


def test_a_place_counts_the_epochs_before_it() -> None:
    epochs = {(0, 0): 10, (1, 0): 20, (1, 1): 20, (1, 2): 20}
    assert Place(0.0, 1, "prune-permanent", 1, 5, 20).examples(epochs) == (10 + 20 + 5) * BATCH
