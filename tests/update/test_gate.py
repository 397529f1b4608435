"""What the gate lets through: by tolerance, by what the validation rows can tell apart, and after a collapse."""

import math

import numpy as np
import pytest

from raygp.update.gate import collapsed, judge, val_noise


def right(rows: int, *wrong: int) -> np.ndarray:
    """Scores of a model that answers all rows right but those named, rows x 2."""
    points = np.ones(rows)
    points[list(wrong)] = 0.0
    return np.stack([points, np.ones(rows)], axis=1)


def test_the_gate() -> None:
    assert judge(0.5, None, 0.0).promoted
    assert judge(0.898, 0.9, 0.002).promoted
    assert not judge(0.8979, 0.9, 0.002).promoted
    assert judge(0.8979, 0.9, 0.002).reason == "rejected: validation 89.79%, parent 90.00%, tolerance 0.20%"


def test_a_first_version_must_be_better_than_guessing() -> None:
    assert judge(0.13, None, 0.0, guessing=0.12).promoted
    refused = judge(0.12, None, 0.0, guessing=0.12)
    assert not refused.promoted
    assert refused.reason.startswith(
        "rejected: validation 12.00% is no better than always answering with the most frequent class (12.00%): try"
    )
    assert judge(0.0, None, 0.0).promoted, "no validation rows"
    assert judge(0.97, None, 0.0, guessing=0.97).promoted, "nearly all rows are of one class"


@pytest.mark.parametrize(
    ("accuracy", "best", "guessing", "ruined"),
    [(0.1, 0.9, 0.1, True), (0.17, 0.9, 0.1, True), (0.19, 0.9, 0.1, False), (0.05, 0.12, 0.05, False),
     (0.5, 0.9, 0.5, True), (0.7, 0.9, 0.7, True), (0.85, 0.9, 0.85, False), (0.0, 0.5, 0.0, True)],
)  # fmt: skip
def test_a_collapse_loses_nine_tenths_of_what_was_above_guessing(
    accuracy: float, best: float, guessing: float, ruined: bool
) -> None:
    assert collapsed(accuracy, best, lambda: guessing) is ruined


def test_what_may_be_chance_is_let_through() -> None:
    reason = "validation 97.69%, parent 98.61%, tolerance 0.20%, noise 1.52%"
    verdict = judge(0.9769, 0.9861, 0.002, noise=0.0152)
    assert verdict.promoted and verdict.reason == reason
    assert not judge(0.9769, 0.9861, 0.002, noise=0.009).promoted
    assert judge(0.898, 0.9, 0.002, noise=0.001).promoted, "noise never narrows the tolerance"


def test_the_noise_of_right_and_wrong_answers_is_that_of_mcnemar() -> None:
    candidate, parent = right(216, 0, 1, 2, 3, 4), right(216, 3, 4, 5)
    only_parent, only_candidate, rows = 3, 1, 216
    error = math.sqrt(only_parent + only_candidate - (only_parent - only_candidate) ** 2 / rows) / rows
    assert val_noise(candidate, parent, 0.95) == pytest.approx(1.6449 * error * math.sqrt(rows / (rows - 1)), rel=1e-4)
    assert val_noise(candidate, parent, 0.5) == 0.0
    assert val_noise(candidate, candidate, 0.95) == 0.0
    assert val_noise(right(1), right(1, 0), 0.95) == val_noise(right(0), right(0), 0.95) == 0.0


def test_an_utterance_counts_by_its_words() -> None:
    """Two utterances of one word say as much as their words do: against the error of the ratio by resampling."""
    rng = np.random.default_rng(3)
    words = rng.integers(1, 9, 400).astype(float)
    parent, candidate = (np.stack([rng.binomial(words.astype(int), 0.8), words], axis=1) for _ in range(2))
    drawn = rng.integers(0, 400, (2000, 400))
    differences = (candidate[drawn, 0] - parent[drawn, 0]).sum(axis=1) / words[drawn].sum(axis=1)
    assert val_noise(candidate, parent, 0.8413) == pytest.approx(float(differences.std()), rel=0.1)


@pytest.mark.parametrize(
    ("candidate_accuracy", "low", "high"),
    [(0.95, 0.02, 0.08), (0.85, 0.99, 1.0)],
    ids=["as good as its parent", "ten points worse"],
)
def test_how_often_a_candidate_is_refused(candidate_accuracy: float, low: float, high: float) -> None:
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(1000):
        parent, candidate = (
            np.stack([(rng.random(300) < accuracy).astype(float), np.ones(300)], axis=1)
            for accuracy in (0.95, candidate_accuracy)
        )
        noise = val_noise(candidate, parent, 0.95)
        refused += not judge(candidate[:, 0].mean(), parent[:, 0].mean(), 0.002, noise=noise).promoted
    assert low <= refused / 1000 <= high
