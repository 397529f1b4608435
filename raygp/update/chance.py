"""What chance alone explains, of counts of right answers: exact, where few rows are too few for a normal curve."""

from __future__ import annotations

import math


def at_most(count: int, rows: int, chance: float) -> float:
    """Probability of at most ``count`` right answers of ``rows`` if each is right with probability ``chance``.

    Args:
        count: may be negative (then it is 0) or more than ``rows`` (then it is 1).
        rows: answers that do not depend on each other.
        chance: from 0 to 1.
    """
    if count < 0:
        return 0.0
    if count >= rows or chance <= 0.0:
        return 1.0
    if chance >= 1.0:
        return 0.0
    first = math.lgamma(rows + 1) + rows * math.log1p(-chance)
    odds = math.log(chance) - math.log1p(-chance)
    # By logarithms: the factors of a term alone may be larger or smaller than a float can be.
    terms = (first - math.lgamma(k + 1) - math.lgamma(rows - k + 1) + k * odds for k in range(count + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def at_least(count: int, rows: int, chance: float) -> float:
    """Probability of at least ``count`` right answers of ``rows`` if each is right with probability ``chance``."""
    return at_most(rows - count, rows, 1.0 - chance)


def sign_test(lost: int, gained: int) -> float:
    """Probability of losing at least so many rows although losing a row is as likely as gaining one.

    This is McNemar's test in its exact, one-sided form: rows that both models answer alike say nothing.

    Args:
        lost: rows that the parent has right and the candidate wrong.
        gained: rows that the candidate has right and the parent wrong.
    """
    return at_least(lost, lost + gained, 0.5)
