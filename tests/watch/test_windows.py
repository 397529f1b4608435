"""Windows of time in which no update starts, and what a week may cost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raygp.errors import InputError
from raygp.record import CostLedger
from raygp.settings import load_settings
from raygp.store.watched import WEEK_S, Watched
from raygp.watch.budget import Spending, note, room_from, spendings
from raygp.watch.settings import BudgetSettings
from raygp.watch.windows import Quiet
from tests.conftest import new_card


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def until(quiet: Quiet, now: str) -> str | None:
    found = quiet.until(at(now))
    return None if found is None else f"{datetime.fromtimestamp(found, UTC):%a %d %H:%M}"


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    quiet = Quiet(["fri 22:00-06:00"], "UTC")
    assert until(quiet, "2026-02-06 21:59:59") is None
    assert until(quiet, "2026-02-06 22:00:00") == "Sat 07 06:00"
    assert until(quiet, "2026-02-07 05:59:59") == "Sat 07 06:00"
    assert until(quiet, "2026-02-07 06:00:00") is None
    assert until(quiet, "2026-02-07 23:00:00") is None
    # Over the end of the week.
    assert until(Quiet(["sun 22:00-06:00"], "UTC"), "2026-02-09 01:00") == "Mon 09 06:00"


def test_windows_that_touch_are_one() -> None:
    quiet = Quiet(["mon-fri 08:00-18:00", "17:00-23:00", "sat,sun 00:00-24:00"], "UTC")
    assert until(quiet, "2026-02-03 09:00") == "Tue 03 23:00"
    assert until(quiet, "2026-02-07 09:00") == "Mon 09 00:00"
    assert until(Quiet(["sat-mon 12:00-12:00"], "UTC"), "2026-02-07 12:00") == "Tue 10 12:00"
    assert until(Quiet([]), "2026-02-07 12:00") is None


def test_clocks_that_change() -> None:
    """In Berlin, 02:00 is followed by 03:00 on 29 March 2026, and 03:00 by 02:00 on 25 October."""
    night = Quiet(["22:00-06:00"], "Europe/Berlin")
    assert until(night, "2026-03-28 21:00") == "Sun 29 04:00", "06:00 is an hour earlier than on the day before"
    assert until(night, "2026-10-24 20:00") == "Sun 25 05:00"
    # The end does not exist on that day: what comes after it is the first moment that is not in the window.
    assert until(Quiet(["01:00-02:30"], "Europe/Berlin"), "2026-03-29 00:30") == "Sun 29 01:00"
    # The hour that comes twice is in the window twice.
    twice = Quiet(["02:00-03:00"], "Europe/Berlin")
    assert until(twice, "2026-10-25 00:30") == until(twice, "2026-10-25 01:30") == "Sun 25 02:00"
    assert until(Quiet(["02:15-02:45"], "Europe/Berlin"), "2026-10-25 00:30") == "Sun 25 00:45"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("watch.quiet=[mo 08:00-18:00]", "no day 'mo'"),
        ("watch.quiet=[08:00 to 18:00]", "expected [DAYS] HH:MM-HH:MM"),
        ("watch.quiet=[08:00-25:00]", "no time 25:00"),
        ("watch.quiet=['00:00-24:00']", "leave no time"),
        ("watch.timezone=Berlin", "no time zone 'Berlin'"),
        ("watch.budget.money=10", "needs hour_price"),
        ("watch.drop.folder=s3://bucket/in", "needs drop.source"),
        ("watch.refused=ignore", "watch.refused"),
        ("watch.intervall_s=3", "did you mean 'interval_s'?"),
        ("watch.drop.newclasses=true", "did you mean 'new_classes'?"),
    ],
)
def test_settings_that_do_not_fit(override: str, said: str) -> None:
    with pytest.raises(InputError, match="watch") as caught:
        load_settings("lenet-5", overrides=[override])
    assert said in str(caught.value)


def test_a_budget_has_room_again_when_enough_is_a_week_old() -> None:
    now = at("2026-02-09 00:00")
    spent = [Spending(now - WEEK_S + 100.0 * day, 10.0, 3600.0) for day in (1, 2, 3)]
    assert room_from(BudgetSettings(examples=31), spent, now) is None
    assert room_from(BudgetSettings(examples=30), spent, now) == (now + 100, "30 of 30 examples of this week are spent")
    assert room_from(BudgetSettings(examples=15), spent, now)[0] == now + 200  # type: ignore[index]
    assert room_from(BudgetSettings(examples=5), spent, now)[0] == now + 300  # type: ignore[index]
    money = BudgetSettings(money=7.0, hour_price=2.5)
    assert room_from(money, spent, now) == (now + 100, "7.50 of 7.00 (money) of this week are spent")
    assert room_from(BudgetSettings(hours=2.5, examples=1e9), spent, now)[0] == now + 100  # type: ignore[index]
    assert room_from(BudgetSettings(), spent, now) is None


def test_what_counts_is_what_versions_and_lost_updates_cost_in_seven_days() -> None:
    now = at("2026-02-09 00:00")
    old, new = (
        new_card(created=f"2026-02-{day}T00:00:00+00:00", ledger={"examples": 5.0, "worker_seconds": 7200.0})
        for day in ("01", "03")
    )
    notes = note(Watched(), "v0002-tue", CostLedger(examples=3.0), now - 9 * 86_400)
    notes = note(notes, "v0003-wed", CostLedger(examples=2.0), now - 86_400)
    notes = note(notes, "v0003-wed", CostLedger(examples=4.0), now - 60), now
    found = spendings([old, new], notes[0], now)
    assert [(one.examples, one.hours) for one in found] == [(5.0, 2.0), (4.0, 0.0)]
    assert list(notes[0].spent) == ["v0003-wed"], "what is resumed counts once, what is old is dropped"
