"""Whether two samples differ: what is found, what is not, and that chance is told from size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raygp.drift import Sample, compare
from raygp.drift.statistics import LABELS, compare_counts, compare_numbers, compare_together
from raygp.record import DriftRecord


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gaussian(rows: int, shift: float = 0.0, columns: int = 20, seed: int = 0) -> np.ndarray:
    return draws(seed).normal(size=(rows, columns)) + shift


def test_splits_of_the_same_data_are_alike_but_for_one_in_a_hundred() -> None:
    wrong = 0
    for seed in range(10):
        rows = np.maximum(gaussian(200, columns=8, seed=seed), 0.0)
        counts = [dict(enumerate(np.bincount(draws(100 + seed + side).integers(0, 10, 300)))) for side in (0, 1000)]
        named = [{str(label): int(count) for label, count in side.items()} for side in counts]
        both = rows[:100], rows[100:]
        ours, theirs = (Sample(side, None, some, some[:, :5]) for side, some in zip(named, both, strict=True))
        parts = compare(ours, theirs, seed)
        assert list(parts) == ["labels", "features", "together", "outputs"]
        wrong += any(part.level != "none" for part in parts.values())
    assert wrong <= 1


def test_many_rows_do_not_make_a_small_difference_count() -> None:
    part = compare_numbers(gaussian(10_000, 0.15, 3, seed=1), gaussian(10_000, 0.0, 3, seed=2))
    assert part is not None and part.p < 1e-9 and part.found == 3 and part.level == "none"
    counts = compare_counts({"a": 52_000, "b": 48_000}, {"a": 50_000, "b": 50_000}, draws())
    assert counts is not None and counts.p < 1e-9 and counts.level == "none"
    assert counts.effect == pytest.approx(0.02, abs=0.002)


def test_few_rows_do_not_make_chance_count() -> None:
    part = compare_numbers(gaussian(8, columns=200, seed=1), gaussian(8, columns=200, seed=2))
    assert part is not None and part.effect > 0.6 and part.found == 0 and part.level == "none"


def test_a_shift_is_found_and_said_where() -> None:
    new = gaussian(300, seed=1)
    new[:, 4:7] += 1.5
    part = compare_numbers(new, gaussian(300, seed=2))
    assert part is not None and (part.found, part.tested, part.level) == (3, 20, "large")
    assert 0.5 < part.effect < 0.65, "the distance of two normal distributions 1.5 apart is 0.55"


def test_columns_that_are_alike_one_by_one_differ_together() -> None:
    seen, new = gaussian(400, columns=2, seed=1), gaussian(400, columns=2, seed=2)
    new[:, 1] = new[:, 0]
    singly, together = compare_numbers(new, seen), compare_together(new, seen, draws())
    assert singly is not None and singly.level == "none"
    assert together is not None and together.level != "none" and together.p <= 0.01


def test_constant_features_are_no_difference() -> None:
    same = np.ones((50, 3))
    for part in (compare_numbers(same, same), compare_together(same, same, draws())):
        assert part is not None and part.effect == 0.0 and part.level == "none"


def test_cramers_v_does_not_depend_on_how_large_the_arrival_is() -> None:
    seen = {"a": 5_000, "b": 5_000}
    found = [compare_counts({"a": 9 * rows, "b": rows}, seen, draws()) for rows in (20, 2_000)]
    effects = [part.effect for part in found if part is not None]
    assert effects == pytest.approx([0.44, 0.44], abs=0.02) and all(part and part.level == "large" for part in found)


def test_v_is_one_where_no_class_is_shared_and_none_where_a_side_is_empty() -> None:
    part = compare_counts({"a": 300}, {"b": 400}, draws())
    assert part is not None and part.effect == pytest.approx(1.0, abs=0.01) and part.level == "large"
    assert compare_counts({"a": 0}, {"b": 1}, draws()) is None
    only = compare_counts({"a": 3}, {"a": 5}, draws())
    assert only is not None and (only.effect, only.p) == (0.0, 1.0)


def test_rare_classes_are_judged_by_drawn_tables() -> None:
    """32 rows of 50 classes: the chi-square distribution would be wrong, and every shares' noise is large."""
    seen = {str(label): 50 for label in range(50)}
    wrong = 0
    for seed in range(6):
        new = np.bincount(draws(seed).integers(0, 50, 32), minlength=50)
        part = compare_counts({str(label): int(count) for label, count in enumerate(new)}, seen, draws(seed))
        assert part is not None
        wrong += part.level != "none"
    assert wrong <= 1
    few = compare_counts({str(label): 3 for label in range(10)}, seen, draws())
    assert few is not None and few.level == "large" and few.p == pytest.approx(1 / 1000)


def test_the_same_seed_gives_the_same_answer_and_nobody_elses_draws_move() -> None:
    new, seen = (Sample({"a": 5, "b": 3}, None, gaussian(260, seed=side), None) for side in (1, 2))
    np.random.seed(3)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = compare(new, seen, 7)
    assert (np.random.get_state()[1] == before[0]).all() and torch.equal(torch.get_rng_state(), before[1])
    assert compare(new, seen, 7) == first and compare(new, seen, 8) != first


def test_what_only_one_side_has_and_what_is_too_little_is_not_compared() -> None:
    rows = gaussian(40)
    assert compare(Sample(features=rows), Sample(outputs=rows), 0) == {}
    assert compare(Sample(features=rows[:19], values=rows[:, 0]), Sample(features=rows, values=rows[:19, 0]), 0) == {}
    lengths = compare(Sample(values=rows[:, 0] + 3), Sample(values=rows[:, 1]), 0)
    assert list(lengths) == ["labels"] and lengths["labels"].level == "large"


def test_the_level_of_a_record_is_the_highest_of_its_parts() -> None:
    part = compare_numbers(gaussian(50), gaussian(50, seed=1))
    assert part is not None
    parts = {"labels": part, "outputs": part.model_copy(update={"level": "moderate"})}
    assert DriftRecord(parent="v0000", arrivals=["a"], rows=1, seen_rows=1, **parts).level == "moderate"
    assert DriftRecord(parent="v0000", arrivals=["a"], rows=1, seen_rows=1).level == "none"
    assert (LABELS.of(1.0, 0.02), LABELS.of(1.0, 0.01), LABELS.of(0.0, 0.0)) == ("none", "large", "none")
