"""How the gate compares a candidate with its parent: over all rows, by arrival and by class, and what is new.

Rows of classes that the parent knows are compared row by row. What is new has a floor of its own: guessing.

**Many comparisons.** With ten classes and three arrivals, one of thirteen differences is large by chance in every other
update. All rows together are compared at the level of the gate, ``1 - confidence``. Arrivals and classes share half as
much again, in equal parts (Bonferroni), so that a candidate that is as good as its parent is hardly refused more often
for their sake. Holm's method would refuse the same candidates: it goes on to milder levels only after it has found a
difference at this one, and one is enough here. An arrival that has all rows is no comparison of its own.

**Few rows.** Where an answer is right or wrong, chance is reckoned exactly (:func:`raygp.update.chance.sign_test`).
Where rows weigh more than one (an utterance: its words) it is the normal form of
:func:`raygp.update.gate.val_noise`, and never less than the sign test could give with as many rows that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from raygp.update.chance import at_least, at_most, sign_test
from raygp.update.gate import GateSettings, Verdict, judge, standard_error, val_noise
from raygp.update.val_rows import ValRows, accuracy

_HALF = 0.5
"""Accuracy of a class that is half learnt. So few rows right as such a class may well have decide nothing, and guessing
that has more right says nothing about a model."""
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


def decide(candidate: np.ndarray, parent: np.ndarray, rows: ValRows, gate: GateSettings) -> Verdict:
    """Judge a candidate by its answers on validation and its parent's.

    Args:
        candidate: points and weights of each row by the first metric, rows x 2.
        parent: the parent's on the same rows.
        rows: what they are.
        gate: how much may be lost.
    """
    new = rows.new
    known = np.flatnonzero(~new)
    overall = Verdict(True, "no validation row is of a class that the parent knows")
    if len(known):
        ours, theirs = candidate[known], parent[known]
        noise = val_noise(ours, theirs, gate.confidence)
        overall = judge(accuracy(ours), accuracy(theirs), gate.tolerance, noise=noise)
    of_known = " of known classes" if new.any() else ""
    basis = overall.reason.removeprefix("rejected: ") + (f", on {len(known):,} rows{of_known}" if len(known) else "")
    if new.any():
        basis += f"; {_new_basis(candidate, rows)}"
    if overall.promoted and not gate.compares:
        return Verdict(True, basis, rows=rows.count)
    objections = _known_objections(candidate, parent, rows, gate) + _new_objections(candidate, rows, gate)
    if not overall.promoted:
        return Verdict(False, f"rejected: {basis}{_also(objections)}", rows=len(known))
    if not objections:
        return Verdict(True, basis, rows=rows.count)
    first = objections[0]
    reason = f"rejected: {first.text}{_also(objections[1:])}; all in all {basis}"
    return Verdict(False, reason, decided_by=first.what, rows=first.rows)


def _also(objections: Sequence[_Objection]) -> str:
    """What else was refused, in brackets."""
    if not objections:
        return ""
    names = [objection.what for objection in objections[:_NAMED]]
    more = len(objections) - len(names)
    return f" (also {', '.join(names)}{f' and {more} more' if more else ''})"


# -- what the parent knew ---------------------------------------------------------------------------------------------


def _level(rows: ValRows, gate: GateSettings) -> float:
    """Probability below which a difference of one arrival or class is no chance."""
    return 0.5 * (1.0 - gate.confidence) / max(1, len(_known_parts(rows)) + len(_new_classes(rows)))


def _known_parts(rows: ValRows) -> list[tuple[str, np.ndarray]]:
    """Arrivals and classes with their rows of known classes, but those that have all of them or none."""
    is_new = rows.new
    all_rows = int((~is_new).sum())
    parts = [(f"arrival {name}", part) for name, part in rows.by_arrival().items()]
    parts += [(f"class {name}", part) for name, part in rows.by_class().items()]
    known = [(what, part[~is_new[part]]) for what, part in parts]
    return [(what, part) for what, part in known if 0 < len(part) < all_rows]


def _known_objections(
    candidate: np.ndarray, parent: np.ndarray, rows: ValRows, gate: GateSettings
) -> list[_Objection]:
    """Arrivals and classes that have lost more than they may, the surest first."""
    level = _level(rows, gate)
    found = []
    for what, part in _known_parts(rows):
        tolerance = gate.tolerance_of_class if what.startswith("class ") else gate.tolerance
        ours, theirs = candidate[part], parent[part]
        loss = accuracy(theirs) - accuracy(ours)
        if loss <= tolerance + 1e-12:
            continue
        chance, counts = _chance(ours, theirs)
        if gate.allows_for_chance and chance >= level:
            continue
        text = f"{what} fell from {accuracy(theirs):.2%} to {accuracy(ours):.2%} on {len(part):,} rows{counts}"
        found.append(_Objection(what, len(part), f"{text}, tolerance {tolerance:.2%}", chance))
    return sorted(found, key=lambda objection: objection.chance)


def _chance(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, str]:
    """Probability of such a loss in a candidate that is as good as its parent, and the counts that it comes from."""
    differ = int((ours[:, 0] != theirs[:, 0]).sum())
    if _right_or_wrong(ours) and _right_or_wrong(theirs):
        lost = int((theirs[:, 0] > ours[:, 0]).sum())
        return sign_test(lost, differ - lost), f" ({lost:,} lost, {differ - lost:,} gained)"
    error, loss = standard_error(ours, theirs), accuracy(theirs) - accuracy(ours)
    normal = NormalDist().cdf(-loss / error) if error > 0.0 else 0.0
    return max(normal, _HALF**differ), ""


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


def _new_objections(candidate: np.ndarray, rows: ValRows, gate: GateSettings) -> list[_Objection]:
    """New classes that have not been learnt: all together, then each."""
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
    return found + _unlearnt(candidate, rows, gate)


def _unlearnt(candidate: np.ndarray, rows: ValRows, gate: GateSettings) -> list[_Objection]:
    """New classes that are answered no better than by guessing, where the rows can tell; the largest first."""
    level = _level(rows, gate)
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
