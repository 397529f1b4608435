"""What a line has spent in the last seven days, and when there is room for more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raygp.record import CostLedger
from raygp.store import Card
from raygp.store.documents import instant, seconds
from raygp.store.watched import WEEK_S, Spent, Watched
from raygp.watch.settings import BudgetSettings


@dataclass(frozen=True)
class Spending:
    """What one update cost."""

    at: float
    """When it ended, seconds since 1970."""
    examples: float
    worker_seconds: float

    @property
    def hours(self) -> float:
        """Worker-hours."""
        return self.worker_seconds / 3600.0


def spendings(cards: Sequence[Card], notes: Watched, now: float) -> list[Spending]:
    """What was spent in the seven days before ``now``, oldest first: versions as their cards say, and what watchers
    have noted of updates that became none."""
    made = [Spending(seconds(card.created), card.ledger.examples, card.ledger.worker_seconds) for card in cards]
    lost = [Spending(seconds(spent.at), spent.examples, spent.worker_seconds) for spent in notes.spent.values()]
    return sorted((one for one in (*made, *lost) if one.at > now - WEEK_S), key=lambda one: one.at)


def room_from(budget: BudgetSettings, spent: Sequence[Spending], now: float) -> tuple[float, str] | None:
    """When so much has gone out of the week that a budget has room again.

    Args:
        budget: limits; an update may start while less than each of them is spent.
        spent: in the last seven days, oldest first.
        now: seconds since 1970.

    Returns:
        Seconds since 1970, and which budget is spent, for people; None if there is room now.
    """
    price = budget.hour_price or 0.0
    found = [
        _room(spent, lambda one: one.examples, budget.examples, "{:,.0f} of {:,.0f} examples"),
        _room(spent, lambda one: one.hours, budget.hours, "{:,.2f} of {:,.2f} worker-hours"),
        _room(spent, lambda one: one.hours * price, budget.money, "{:,.2f} of {:,.2f} (money)"),
    ]
    late = [room for room in found if room is not None and room[0] > now]
    return max(late) if late else None


def note(notes: Watched, key: str, ledger: CostLedger, now: float) -> Watched:
    """Remember what an update cost that became no version, under its name; what is too old to count is dropped."""
    spent = Spent(at=instant(now), examples=ledger.examples, worker_seconds=ledger.worker_seconds)
    kept = {name: one for name, one in notes.spent.items() if seconds(one.at) > now - WEEK_S}
    return notes.model_copy(update={"spent": {**kept, key: spent}})


def _room(
    spent: Sequence[Spending], cost: Callable[[Spending], float], limit: float | None, said: str
) -> tuple[float, str] | None:
    if limit is None:
        return None
    total = left = sum(map(cost, spent))
    if total < limit:
        return None
    for one in spent:
        left -= cost(one)
        if left < limit:
            return one.at + WEEK_S, said.format(total, limit) + " of this week are spent"
    return None
