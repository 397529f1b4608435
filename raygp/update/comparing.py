"""How the gate compares a candidate with its parent: over all rows, by arrival and by class, and what is new.

Rows of classes that the parent knows are compared row by row. What is new has a floor of its own: guessing.

**New classes in play.** A candidate of ten classes takes a 3 for an 8 now and then, which a parent of five never does.
That is no forgetting. So where the update brings classes, all this is compared *among known classes*: the candidate too
answers with those that the parent knows alone. Beside that stands the candidate as it will be served, *with the new
classes in play*, so that none of these swallows a known one: over all rows, each arrival and each class, with the
tolerance of classes. Some rows are lost to new classes by right, so chance is that of losing as many although the
tolerance is kept, and not that of losing them although nothing is lost.

**Many comparisons.** With ten classes and three arrivals, one of thirteen differences is large by chance in every other
update. All rows together are compared at the level of the gate, ``1 - confidence``. All else shares half as much again,
in equal parts (Bonferroni), so that a candidate that is as good as its parent is hardly refused more often for its
sake. Holm's method would refuse the same candidates: it goes on to milder levels only after it has found a difference
at this one, and one is enough here. An arrival that has all rows is no comparison of its own.

**Few rows.** Where an answer is right or wrong, chance is reckoned exactly (:func:`raygp.update.chance.sign_test`).
Where rows weigh more than one (an utterance: its words) it is the normal form of
:func:`raygp.update.gate.val_noise`, and never less than the sign test could give with as many rows that differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from raygp.record import called, measured
from raygp.update.chance import at_least, at_most, sign_test
from raygp.update.gate import AMONG_KNOWN, GateSettings, Verdict, judge, standard_error, val_noise
from raygp.update.val_rows import ValRows, accuracy

_HALF = 0.5
"""Accuracy of a class that is half learnt. So few rows right as such a class may well have decide nothing, and guessing
that has more right says nothing about a model."""
_ALL = "validation"
"""What all rows of known classes are called in a verdict."""
_NAMED = 3
"""Of what else was refused, so many are named."""


@dataclass(frozen=True)
class _Objection:
    """Something that the gate refuses a candidate for."""

    what: str
    rows: int
    text: str
    chance: float = 0.0
    """Of seeing it in a candidate that is as good as its parent."""
    swallowed: float = 0.0
    """Accuracy that is lost with new classes in play; 0 for what was lost among known ones, or not learnt."""


@dataclass(frozen=True)
class _Comparison:
    """Rows of known classes, over which a candidate may not lose more than this."""

    what: str
    """Such as "class 7"."""
    rows: np.ndarray
    """Their positions."""
    tolerance: float
    in_play: bool = False
    """Whether the candidate answers with new classes too. Then the tolerance is what it is expected to lose."""


@dataclass(frozen=True)
class _Answers:
    """Points and weights of each row by the first metric, rows x 2."""

    candidate: np.ndarray
    parent: np.ndarray
    among_known: np.ndarray | None
    """The candidate's among known classes; None where no class is new, or answers cannot be restricted."""

    @property
    def kept(self) -> np.ndarray:
        """The candidate's that say whether something was forgotten."""
        return self.candidate if self.among_known is None else self.among_known

    def of(self, one: _Comparison) -> np.ndarray:
        """The candidate's that are compared."""
        return self.candidate if one.in_play else self.kept


def decide(
    candidate: np.ndarray, parent: np.ndarray, rows: ValRows, gate: GateSettings, among_known: np.ndarray | None = None
) -> Verdict:
    """Judge a candidate by its answers on validation and its parent's.

    Args:
        candidate: points and weights of each row by the first metric, rows x 2.
        parent: the parent's on the same rows.
        rows: what they are.
        gate: how much may be lost.
        among_known: the candidate's where it answers with the classes alone that the parent knows; None where no class
            is new.
    """
    answers, known = _Answers(candidate, parent, among_known), np.flatnonzero(~rows.new)
    overall = Verdict(True, "no validation row is of a class that the parent knows")
    if len(known):
        ours, theirs = answers.kept[known], parent[known]
        noise = val_noise(ours, theirs, gate.confidence)
        how = "" if among_known is None else AMONG_KNOWN
        overall = judge(accuracy(ours), accuracy(theirs), gate.tolerance, noise=noise, how=how, metric=rows.metric)
    basis = overall.reason.removeprefix("rejected: ") + _other_bases(answers, rows, gate)
    if overall.promoted and not gate.compares:
        return Verdict(True, basis, rows=rows.count)
    comparisons = _comparisons(rows, answers, gate)
    level = _level(rows, comparisons, gate)
    objections = _known_objections(answers, comparisons, level, gate, rows.metric)
    objections += _new_objections(candidate, rows, level, gate)
    if not overall.promoted:
        rest = [objection for objection in objections if objection.what != _ALL]
        return Verdict(False, f"rejected: {basis}{_also(rest)}", rows=len(known))
    if not objections:
        return Verdict(True, basis, rows=rows.count)
    first = objections[0]
    reason = f"rejected: {first.text}{_also(objections[1:])}; all in all {basis}"
    return Verdict(False, reason, decided_by=first.what, rows=first.rows, advice=_swallowed(objections))


def _other_bases(answers: _Answers, rows: ValRows, gate: GateSettings) -> str:
    """What a verdict rests on, behind the accuracy over rows of known classes."""
    new, among_known = rows.new, answers.among_known
    known, found = np.flatnonzero(~new), ""
    if len(known):
        found = f", on {len(known):,} rows{' of known classes' if new.any() or among_known is not None else ''}"
    if len(known) and among_known is not None:
        served = accuracy(answers.candidate[known])
        found += f"; {served:.2%} with the new classes in play, tolerance {gate.tolerance_of_class:.2%}"
    return found + (f"; {_new_basis(answers.candidate, rows)}" if new.any() else "")


def _swallowed(objections: Sequence[_Objection]) -> str:
    """What to try where new classes take rows of known ones, and nothing else is held against a candidate."""
    if not objections or any(objection.swallowed <= 0.0 for objection in objections):
        return ""
    most = math.ceil(100 * max(objection.swallowed for objection in objections)) / 100
    return f"gate_class_tolerance={most:g} if new classes look like known ones"


def _also(objections: Sequence[_Objection]) -> str:
    """What else was refused, in brackets."""
    if not objections:
        return ""
    names = [objection.what for objection in objections[:_NAMED]]
    more = len(objections) - len(names)
    return f" (also {', '.join(names)}{f' and {more} more' if more else ''})"


# -- what the parent knew ---------------------------------------------------------------------------------------------


def _level(rows: ValRows, comparisons: Sequence[_Comparison], gate: GateSettings) -> float:
    """Probability below which a difference of one arrival or class is no chance."""
    return 0.5 * (1.0 - gate.confidence) / max(1, len(comparisons) + len(_new_classes(rows)))


def _comparisons(rows: ValRows, answers: _Answers, gate: GateSettings) -> list[_Comparison]:
    """All but the one over all rows at the level of the gate."""
    is_new = rows.new
    known = np.flatnonzero(~is_new)

    def parts(what: str, found: Mapping[str, np.ndarray], tolerance: float, in_play: bool = False) -> list[_Comparison]:
        of_known = [(f"{what} {name}", part[~is_new[part]]) for name, part in found.items()]
        # Those that have all of the rows, or none, are no comparisons of their own.
        return [_Comparison(w, part, tolerance, in_play) for w, part in of_known if 0 < len(part) < len(known)]

    of_class = gate.tolerance_of_class
    found = parts("arrival", rows.by_arrival(), gate.tolerance) + parts("class", rows.by_class(), of_class)
    if answers.among_known is None or not len(known):
        return found
    served = parts("arrival", rows.by_arrival(), of_class, True) + parts("class", rows.by_class(), of_class, True)
    return [*found, _Comparison(_ALL, known, of_class, True), *served]


def _known_objections(
    answers: _Answers, comparisons: Sequence[_Comparison], level: float, gate: GateSettings, metric: str
) -> list[_Objection]:
    """Arrivals and classes that have lost more than they may, each once, the surest first."""
    found: dict[str, _Objection] = {}
    for one in comparisons:
        ours, theirs = answers.of(one)[one.rows], answers.parent[one.rows]
        if accuracy(theirs) - accuracy(ours) <= one.tolerance + 1e-12:
            continue
        chance, counts = _chance(ours, theirs, one.tolerance if one.in_play else 0.0)
        if gate.allows_for_chance and chance >= level:
            continue
        # What was forgotten comes first in the list, and says more than what is lost with new classes in play.
        found.setdefault(one.what, _objection(one, answers, chance, counts, metric))
    return sorted(found.values(), key=lambda objection: objection.chance)


def _objection(one: _Comparison, answers: _Answers, chance: float, counts: list[str], metric: str) -> _Objection:
    """What is held against a candidate that lost more over some rows than it may."""
    ours, theirs, kept = (scores[one.rows] for scores in (answers.of(one), answers.parent, answers.kept))
    taken = int((kept[:, 0] > ours[:, 0]).sum())
    told = ", ".join([*counts, *([f"{taken:,} taken by new classes"] if taken else [])])
    text = (
        f"{'the classes known before' if one.what == _ALL else one.what} fell from {called(accuracy(theirs), metric)} "
        f"to {measured(accuracy(ours), metric)} on {len(one.rows):,} rows{f' ({told})' if told else ''}, tolerance "
        f"{measured(one.tolerance, metric)}"
    )
    loss = accuracy(theirs) - accuracy(ours)
    return _Objection(one.what, len(one.rows), text, chance, loss if one.in_play else 0.0)


def _chance(ours: np.ndarray, theirs: np.ndarray, allowed: float) -> tuple[float, list[str]]:
    """Probability of such a loss in a candidate that is worse than its parent by so much and no more, and the counts
    that it comes from."""
    rows, differ = len(ours), int((ours[:, 0] != theirs[:, 0]).sum())
    if _right_or_wrong(ours) and _right_or_wrong(theirs):
        lost = int((theirs[:, 0] > ours[:, 0]).sum())
        gained = differ - lost
        chance = sign_test(lost - int(allowed * rows), gained)
        if allowed:
            # That takes for certain how many may be lost, and this how many were gained: chance is more than either.
            chance = max(chance, at_least(lost, rows, min(1.0, allowed + gained / rows)))
        return chance, [f"{lost:,} lost", f"{gained:,} gained"]
    error, loss = standard_error(ours, theirs), accuracy(theirs) - accuracy(ours) - allowed
    normal = NormalDist().cdf(-loss / error) if error > 0.0 else 0.0
    return max(normal, _HALF**differ), []


def _right_or_wrong(scores: np.ndarray) -> bool:
    """Whether every row counts once and is right or wrong."""
    points, weights = scores.T
    return bool((weights == 1.0).all() and np.isin(points, (0.0, 1.0)).all())


# -- what is new ------------------------------------------------------------------------------------------------------


def _new_classes(rows: ValRows) -> list[tuple[str, np.ndarray]]:
    is_new = rows.new
    return [(name, part) for name, part in rows.by_class().items() if is_new[part[0]]]


def _right(scores: np.ndarray) -> int:
    """How many rows are right. What rows are right by halves is added up, and rounded down."""
    return int(accuracy(scores) * len(scores) + 1e-9)


def _guessing(rows: ValRows) -> tuple[int, float]:
    """How many rows are of new classes, and the part of them that is right where every row is answered at random, each
    class as often as validation has it."""
    sizes = [len(part) for _, part in _new_classes(rows)]
    total = sum(sizes)
    return total, sum(size * size for size in sizes) / rows.count / max(1, total)


def _new_basis(candidate: np.ndarray, rows: ValRows) -> str:
    total, guessing = _guessing(rows)
    return f"{accuracy(candidate[rows.new]):.2%} on {total:,} rows of new classes, guessing {guessing:.2%}"


def _new_objections(candidate: np.ndarray, rows: ValRows, of_one: float, gate: GateSettings) -> list[_Objection]:
    """New classes that have not been learnt: all together, then each, at the level ``of_one``."""
    total, guessing = _guessing(rows)
    if total == 0:
        return []
    found = []
    right, floor = _right(candidate[rows.new]), min(guessing, _HALF)
    asked = f"guessing has {guessing * total:,.1f}"
    if gate.new_margin:
        asked += f" and gate_new_margin asks for {gate.new_margin:.2%} more"
    level = 1.0 - gate.confidence
    if gate.new_margin and right <= (floor + gate.new_margin) * total:
        refused = True
    elif gate.allows_for_chance:
        refused = at_least(right, total, floor) >= level and at_most(right, total, _HALF) < level
    else:
        refused = right <= floor * total
    if refused:
        found.append(_Objection("new classes", total, f"new classes have {right:,} of {total:,} rows right, {asked}"))
    return found + _unlearnt(candidate, rows, of_one, gate)


def _unlearnt(candidate: np.ndarray, rows: ValRows, level: float, gate: GateSettings) -> list[_Objection]:
    """New classes that are answered no better than by guessing, where the rows can tell; the largest first."""
    found = []
    for name, part in _new_classes(rows):
        right = _right(candidate[part])
        if right > min(len(part) / rows.count, _HALF) * len(part):
            continue
        if gate.allows_for_chance and at_most(right, len(part), _HALF) >= level:
            continue
        text = f"new class {name} has {right:,} of {len(part):,} rows right, no more than guessing"
        found.append(_Objection(f"new class {name}", len(part), text))
    return sorted(found, key=lambda objection: -objection.rows)
