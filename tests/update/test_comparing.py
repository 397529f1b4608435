"""What the gate sees beside the mean: arrivals, classes and what is new; how often it errs, and what it says."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from raygp.update.advice import Effort, advice
from raygp.update.chance import at_least, at_most, sign_test
from raygp.update.comparing import decide
from raygp.update.gate import GateSettings, Verdict
from raygp.update.plans import named_plan
from raygp.update.val_rows import ValRows

GATE = GateSettings()


def scores(right: np.ndarray) -> np.ndarray:
    """Answers that are right or wrong, rows x 2."""
    return np.stack([right.astype(float), np.ones(len(right))], axis=1)


def validation(classes: int, each: int, arrivals: int = 1, known: int | None = None) -> ValRows:
    """Rows of so many classes in turn, cut into arrivals."""
    cuts = np.linspace(0, classes * each, arrivals + 1).astype(int)
    parts = {f"week{number}": slice(*cuts[number : number + 2].tolist()) for number in range(arrivals)}
    return ValRows(parts, np.tile(np.arange(classes), each), known)


def wrong(rows: ValRows, **counts: int) -> np.ndarray:
    """Scores with the first so many rows of some classes wrong, by ``c<id>``."""
    right = np.ones(rows.count, dtype=bool)
    for name, count in counts.items():
        right[rows.by_class()[name[1:]][:count]] = False
    return scores(right)


# -- chance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chance", [Fraction(1, 2), Fraction(1, 10), Fraction(97, 100)])
@pytest.mark.parametrize("rows", [1, 2, 23, 60])
def test_the_binomial_tails_are_exact(rows: int, chance: Fraction) -> None:
    terms = [math.comb(rows, k) * chance**k * (1 - chance) ** (rows - k) for k in range(rows + 1)]
    for count in range(rows + 1):
        assert at_most(count, rows, float(chance)) == pytest.approx(float(sum(terms[: count + 1])), rel=1e-9)
        assert at_least(count, rows, float(chance)) == pytest.approx(float(sum(terms[count:])), rel=1e-9)


def test_the_tails_at_their_ends() -> None:
    assert (at_most(-1, 5, 0.5), at_most(5, 5, 0.5), at_most(0, 0, 0.5)) == (0.0, 1.0, 1.0)
    assert (at_most(3, 5, 0.0), at_most(3, 5, 1.0), at_least(0, 5, 0.1)) == (1.0, 0.0, 1.0)
    assert at_most(49_000, 100_000, 0.5) == pytest.approx(1.3e-10, rel=0.05), "no overflow with many rows"


def test_the_sign_test_is_mcnemars() -> None:
    assert sign_test(0, 0) == sign_test(0, 7) == 1.0
    assert sign_test(16, 0) == pytest.approx(2.0**-16)
    assert sign_test(5, 2) == pytest.approx((21 + 7 + 1) / 128)
    # Its normal form, with the correction for whole numbers, where many rows differ.
    normal = 0.5 * math.erfc((1100 - 900 - 1) / math.sqrt(2000) / math.sqrt(2))
    assert sign_test(1100, 900) == pytest.approx(normal, rel=0.02)


# -- how often it errs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize(
    ("classes", "each", "arrivals", "accuracy"),
    [(10, 22, 3, 0.95), (10, 100, 3, 0.9), (100, 20, 4, 0.7), (100, 100, 4, 0.7), (10, 50, 10, 0.5)],
)
def test_a_candidate_as_good_as_its_parent_is_hardly_refused_more_often_than_the_confidence_says(
    classes: int, each: int, arrivals: int, accuracy: float, confidence: float
) -> None:
    rng, rows, tries = np.random.default_rng(4), validation(classes, each, arrivals), 300
    refused = 0
    for _ in range(tries):
        # Some rows are harder than others, for both.
        chance = rng.beta(accuracy, 1.0 - accuracy, rows.count)
        parent, candidate = (scores(rng.random(rows.count) < chance) for _ in range(2))
        refused += not decide(candidate, parent, rows, GateSettings(confidence=confidence)).promoted
    level = 1.0 - confidence
    assert refused / tries <= 1.2 * level + 2.0 * math.sqrt(level * confidence / tries)


def test_a_new_class_that_is_half_learnt_is_hardly_refused() -> None:
    rng, rows = np.random.default_rng(4), validation(10, 8, known=5)
    refused = 0
    for _ in range(400):
        right = np.where(rows.new, rng.random(rows.count) < 0.5, True)
        refused += not decide(scores(right), wrong(rows, c5=8, c6=8, c7=8, c8=8, c9=8), rows, GATE).promoted
    assert refused <= 0.05 * 400


# -- what it sees -----------------------------------------------------------------------------------------------------


def test_a_class_that_collapses_is_seen_under_a_good_mean() -> None:
    rows = validation(10, 24, arrivals=2)
    parent = wrong(rows, c0=6, c1=6, c2=6, c4=6)
    candidate = wrong(rows, c3=16)
    assert candidate[:, 0].mean() > parent[:, 0].mean()
    verdict = decide(candidate, parent, rows, GATE)
    assert (verdict.promoted, verdict.decided_by, verdict.rows) == (False, "class 3", 24)
    assert verdict.reason == (
        "rejected: class 3 fell from 100.00% to 33.33% on 24 rows (16 lost, 0 gained), tolerance 5.00%; all in all "
        "validation 93.33%, parent 90.00%, tolerance 0.20%, noise 4.33%, on 240 rows"
    )
    assert not decide(candidate, parent, rows, GateSettings(class_tolerance=0.66)).promoted
    assert decide(candidate, parent, rows, GateSettings(class_tolerance=0.67)).promoted
    assert decide(candidate, parent, rows, GateSettings(tolerance=0.67)).promoted, "it counts for classes too"


def test_a_class_that_may_have_lost_by_chance_passes_unless_chance_is_no_excuse() -> None:
    rows = validation(10, 24)
    parent, candidate = wrong(rows, c1=4), wrong(rows, c3=4)
    assert decide(candidate, parent, rows, GATE).promoted
    strict = decide(candidate, parent, rows, GateSettings(confidence=0.5))
    assert (strict.promoted, strict.decided_by) == (False, "class 3")
    # Within its tolerance a class may lose for certain.
    rows = validation(2, 1000)
    assert decide(wrong(rows, c1=49), wrong(rows, c0=49), rows, GATE).promoted
    assert decide(wrong(rows, c1=52), wrong(rows, c0=52), rows, GATE).decided_by == "class 1"


def test_an_arrival_that_is_forgotten_is_seen() -> None:
    rows = validation(2, 100, arrivals=2)
    early, late = np.arange(200) < 100, np.arange(200) >= 100
    parent = scores(~(late & (np.arange(200) % 5 == 0)))
    candidate = scores(~(early & (np.arange(200) % 5 == 0)))
    verdict = decide(candidate, parent, ValRows(rows.arrivals), GATE)
    assert (verdict.promoted, verdict.decided_by, verdict.rows) == (False, "arrival week0", 100)
    assert "week0 fell from 100.00% to 80.00% on 100 rows (20 lost, 0 gained), tolerance 0.20%" in verdict.reason


def test_what_else_was_refused_is_named() -> None:
    rows = validation(10, 24)
    parent = wrong(rows, c0=24, c1=24, c2=24, c3=24, c4=24)
    verdict = decide(wrong(rows, c5=20, c6=19, c7=18, c8=17, c9=16), parent, rows, GATE)
    assert verdict.decided_by == "class 5" and "(also class 6, class 7, class 8 and 1 more)" in verdict.reason
    worse = decide(wrong(rows, c3=16), wrong(rows), rows, GATE)
    assert worse.decided_by == "validation" and worse.reason.endswith("on 240 rows (also class 3)")


def test_rows_of_new_classes_say_nothing_of_the_parent() -> None:
    rows = validation(10, 23, known=5)
    parent = wrong(rows, c5=23, c6=23, c7=23, c8=23, c9=23)
    forgot = decide(wrong(rows, c3=15), parent, rows, GATE)
    assert (forgot.promoted, forgot.decided_by, forgot.rows) == (False, "validation", 115)
    good = decide(wrong(rows, c5=3), parent, rows, GATE)
    assert good.promoted and good.rows == 230 and good.reason == (
        "validation 100.00%, parent 100.00%, tolerance 0.20%, on 115 rows of known classes; 97.39% on 115 rows of new "
        "classes, guessing 10.00%"
    )


def test_a_new_class_that_is_not_learnt_is_refused() -> None:
    rows = validation(10, 23, known=5)
    parent = wrong(rows, c5=23, c6=23, c7=23, c8=23, c9=23)
    verdict = decide(wrong(rows, c5=23, c7=22), parent, rows, GATE)
    assert (verdict.promoted, verdict.decided_by, verdict.rows) == (False, "new class 5", 23)
    assert "new class 5 has 0 of 23 rows right, no more than guessing (also new class 7)" in verdict.reason
    assert decide(wrong(rows, c5=18), parent, rows, GATE).promoted, "5 of 23 are more than guessing"
    few = ValRows({"a": slice(0, 52)}, np.array([0] * 25 + [1] * 25 + [2] * 2), 2)
    assert decide(wrong(few, c2=2), wrong(few, c2=2), few, GATE).promoted, "two rows decide nothing"


def test_new_classes_together_must_be_told_from_guessing() -> None:
    rows = validation(10, 10, known=5)
    parent = wrong(rows, c5=10, c6=10, c7=10, c8=10, c9=10)
    # Each has a row right, as guessing would have: 5 of 50.
    verdict = decide(wrong(rows, c5=8, c6=8, c7=8, c8=9, c9=9), parent, rows, GATE)
    assert (verdict.promoted, verdict.decided_by, verdict.rows) == (False, "new classes", 50)
    assert "new classes have 8 of 50 rows right, guessing has 5.0" in verdict.reason
    half = wrong(rows, c5=5, c6=5, c7=5, c8=5, c9=5)
    assert decide(half, parent, rows, GATE).promoted
    asked = decide(half, parent, rows, GateSettings(new_margin=0.4))
    assert asked.decided_by == "new classes" and "gate_new_margin asks for 40.00% more" in asked.reason
    assert decide(half, parent, rows, GateSettings(new_margin=0.39)).promoted


def test_a_parent_without_a_validation_row_is_not_compared() -> None:
    rows = ValRows({"b": slice(0, 40)}, np.full(40, 3), 3)
    assert decide(scores(np.ones(40)), scores(np.zeros(40)), rows, GATE).promoted
    refused = decide(scores(np.zeros(40)), scores(np.zeros(40)), rows, GATE)
    assert refused.decided_by == "new classes"
    assert "no validation row is of a class that the parent knows" in refused.reason


def test_a_tolerance_of_everything_compares_nothing() -> None:
    rows = validation(10, 23, known=5)
    assert decide(scores(np.zeros(230)), wrong(rows), rows, GateSettings(tolerance=1.0)).promoted


def test_utterances_are_compared_by_their_words() -> None:
    rng = np.random.default_rng(3)
    words = rng.integers(1, 9, 400).astype(float)
    rows = ValRows({"early": slice(0, 200), "late": slice(200, 400)})

    def heard(early: float, late: float) -> np.ndarray:
        return np.stack([rng.binomial(words.astype(int), np.repeat([early, late], 200)), words], axis=1)

    verdict = decide(heard(0.7, 0.9), heard(0.8, 0.75), rows, GATE)
    assert (verdict.promoted, verdict.decided_by) == (False, "arrival early") and "lost" not in verdict.reason
    refused = sum(not decide(heard(0.8, 0.8), heard(0.8, 0.8), rows, GATE).promoted for _ in range(300))
    assert refused <= 0.09 * 300
    # One utterance says nothing, however many words it has.
    alone = ValRows({"early": slice(0, 1), "late": slice(1, 400)})
    parent = heard(0.8, 0.8)
    candidate = parent.copy()
    candidate[0, 0], parent[0, 0] = 0.0, parent[0, 1]
    candidate[1:40, 0] = candidate[1:40, 1]
    assert decide(candidate, parent, alone, GATE).promoted


# -- new classes in play ----------------------------------------------------------------------------------------------


def served(rows: ValRows, among: np.ndarray, **taken: int) -> np.ndarray:
    """Answers with new classes in play: as ``among``, but for the last so many right rows of a class, by ``c<id>``."""
    points = among.copy()
    for name, count in taken.items():
        part = rows.by_class()[name[1:]]
        points[part[points[part, 0] > 0][-count:], 0] = 0.0
    return points


FIVE = {f"c{number}": 400 for number in range(5, 10)}
"""All rows of the new classes."""


def test_rows_that_new_classes_take_are_not_forgotten() -> None:
    rows = validation(10, 400, known=5)
    parent, among = wrong(rows, c0=4, c3=4, **FIVE), wrong(rows, c1=5, c4=5, **FIVE)
    candidate = np.where(rows.new[:, None], wrong(rows, **{name: 12 for name in FIVE}), among)
    candidate = served(rows, candidate, c0=8, c1=8, c2=8, c3=8, c4=8)
    # Without a look at what is known alone, 1.6 points lost on 2,000 rows refuse it.
    assert decide(candidate, parent, rows, GATE).decided_by == "validation"
    verdict = decide(candidate, parent, rows, GATE, among)
    assert verdict.promoted and verdict.reason == (
        "validation 99.50% among known classes, parent 99.60%, tolerance 0.20%, noise 0.35%, on 2,000 rows of known "
        "classes; 97.50% with the new classes in play, tolerance 5.00%; 97.00% on 2,000 rows of new classes, guessing "
        "10.00%"
    )


def test_a_known_class_that_a_new_one_swallows_is_refused() -> None:
    rows = validation(10, 100, known=5)
    among = parent = wrong(rows, c3=2, **{name: 100 for name in FIVE})
    candidate = np.where(rows.new[:, None], 1.0, served(rows, among, c3=30))
    verdict = decide(candidate, parent, rows, GATE, among)
    assert (verdict.promoted, verdict.decided_by, verdict.rows) == (False, "class 3", 100)
    assert verdict.reason.startswith(
        "rejected: class 3 fell from 98.00% to 68.00% on 100 rows (30 lost, 0 gained, 30 taken by new classes), "
        "tolerance 5.00%; all in all validation 99.60% among known classes, parent 99.60%"
    )
    assert verdict.advice == "gate_class_tolerance=0.3 if new classes look like known ones"
    assert decide(candidate, parent, rows, GateSettings(class_tolerance=0.3), among).promoted
    assert decide(candidate, parent, rows, GateSettings(tolerance=1.0), among).promoted
    few = np.where(rows.new[:, None], 1.0, served(rows, among, c3=11))
    assert decide(few, parent, rows, GATE, among).promoted, "five are allowed, and six more may be chance"
    strict = GateSettings(confidence=0.5)
    assert decide(few, parent, rows, strict, among).decided_by == "class 3", "chance is no excuse"


def test_all_known_classes_together_may_not_lose_more_than_one_may() -> None:
    rows = validation(10, 400, known=5)
    among = parent = wrong(rows, **FIVE)

    def with_taken(count: int) -> Verdict:
        taken = {f"c{number}": count for number in range(5)}
        return decide(np.where(rows.new[:, None], 1.0, served(rows, among, **taken)), parent, rows, GATE, among)

    assert with_taken(20).promoted and with_taken(22).promoted
    verdict = with_taken(29)  # No class has lost enough to be sure of: 34 of its 400 rows.
    assert (verdict.decided_by, verdict.rows) == ("validation", 2000)
    assert "the classes known before fell from 100.00% to 92.75% on 2,000 rows (145 lost, 0 gained" in verdict.reason
    assert "class 3" not in verdict.reason


def test_what_was_forgotten_is_refused_and_not_put_down_to_new_classes() -> None:
    rows = validation(10, 100, arrivals=3, known=5)
    parent = wrong(rows, c1=9, c2=9, c4=9, **{name: 100 for name in FIVE})
    among = wrong(rows, c3=25, **{name: 100 for name in FIVE})
    candidate = np.where(rows.new[:, None], 1.0, served(rows, among, c3=5))
    verdict = decide(candidate, parent, rows, GATE, among)
    assert (verdict.promoted, verdict.decided_by, verdict.advice) == (False, "class 3", "")
    assert "class 3 fell from 100.00% to 75.00% on 100 rows (25 lost, 0 gained), tolerance 5.00%" in verdict.reason
    worse = decide(candidate, wrong(rows, **{name: 100 for name in FIVE}), rows, GATE, among)
    assert worse.decided_by == "validation" and "(also arrival week0, class 3)" in worse.reason
    assert "validation 95.00% among known classes, parent 100.00%" in worse.reason


def test_an_arrival_is_compared_among_known_classes() -> None:
    rows = validation(10, 40, arrivals=4, known=5)
    known = np.flatnonzero(~rows.new)
    parent = wrong(rows, **{name: 40 for name in FIVE})
    among = parent.copy()
    among[known[:12], 0] = 0.0
    parent[known[50:62], 0] = 0.0
    candidate = np.where(rows.new[:, None], 1.0, among)
    verdict = decide(candidate, parent, rows, GATE, among)
    assert verdict.decided_by == "arrival week0" and "(12 lost, 0 gained), tolerance 0.20%" in verdict.reason


def test_new_classes_in_play_are_looked_at_without_a_row_of_theirs() -> None:
    rows = ValRows({"a": slice(0, 60)}, np.repeat([0, 1], 30), 2)
    among = parent = scores(np.ones(60))
    assert decide(served(rows, among, c1=25), parent, rows, GATE, among).decided_by == "class 1"


@pytest.mark.parametrize("taken", [0.0, 0.04])
@pytest.mark.parametrize(
    ("classes", "each", "known", "arrivals", "accuracy"),
    [(10, 25, 5, 1, 0.97), (10, 400, 8, 3, 0.98), (50, 30, 40, 4, 0.7)],
)
def test_a_candidate_that_forgot_nothing_is_hardly_refused_for_what_new_classes_take(
    classes: int, each: int, known: int, arrivals: int, accuracy: float, taken: float
) -> None:
    """Of known rows, new classes take less than is allowed."""
    rng, rows, tries = np.random.default_rng(4), validation(classes, each, arrivals, known), 150
    refused = sum(not simulated(rng, rows, accuracy, taken).promoted for _ in range(tries))
    assert refused / tries <= 0.06 + 2.0 * math.sqrt(0.05 * 0.95 / tries)


@pytest.mark.parametrize("arrivals", [1, 3])
def test_a_candidate_that_forgot_three_points_is_refused(arrivals: int) -> None:
    rng, rows = np.random.default_rng(4), validation(10, 300, arrivals, 5)
    refused = sum(not simulated(rng, rows, 0.98, 0.01, forgot=0.03).promoted for _ in range(50))
    assert refused >= 47
    # Of one class: where the two hardly differ else.
    refused = sum(not simulated(rng, rows, 0.98, 0.01, forgot=0.03, of=0, alike=0.98).promoted for _ in range(50))
    assert refused >= 40


def simulated(
    rng: np.random.Generator,
    rows: ValRows,
    accuracy: float,
    taken: float,
    forgot: float = 0.0,
    of: int | None = None,
    alike: float = 0.0,
) -> Verdict:
    """The verdict on a candidate that is as good as its parent among known classes, but for what it forgot of one class
    or of all, and of whose right rows new classes take a part.

    ``alike``: part of the rows that both answer alike for sure.
    """
    assert rows.classes is not None
    chance = rng.beta(4 * accuracy, 4 * (1.0 - accuracy), rows.count)
    parent, own = (rng.random(rows.count) < chance for _ in range(2))
    kept = np.where(rng.random(rows.count) < alike, parent, own) & ~rows.new
    forgotten = (rng.random(rows.count) < forgot) & ((rows.classes == of) if of is not None else True)
    among = kept & ~forgotten
    candidate = np.where(rows.new, rng.random(rows.count) < 0.9, among & (rng.random(rows.count) >= taken))
    return decide(scores(candidate), scores(parent & ~rows.new), rows, GATE, scores(among))


# -- what to try ------------------------------------------------------------------------------------------------------


def test_the_advice_fits_what_was_refused() -> None:
    plan = named_plan("hardest", "update", "lenet-300-100")
    lost = advice(Verdict(False, "", "class 3"), Effort(plan, 64, 16))
    assert lost.startswith("more plan.epochs (64 new rows gave 16 steps), or plan.replay.share=1")
    assert advice(Verdict(False, "", "new class 5"), Effort(plan, 64, 16)) == (
        "more plan.epochs (64 new rows gave 16 steps)"
    )
    assert advice(Verdict(False, "", "new classes"), Effort(plan, 60_000, 9_000)) == "more plan.epochs"
    assert "steps" not in advice(Verdict(False, ""), Effort(plan, 60_000, 9_000))
    overlap = Verdict(False, "", "class 3", advice="gate_class_tolerance=0.3 if new classes look like known ones")
    assert advice(overlap, Effort(plan, 60_000, 9_000)).endswith(
        "or plan.arrival.hard=0, or gate_class_tolerance=0.3 if new classes look like known ones"
    )
