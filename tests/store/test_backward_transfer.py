"""How accuracy on earlier arrivals changed, from what a card has."""

from __future__ import annotations

import pytest

from raygp.record import Compared
from raygp.report.drift import change, transfer_line
from tests.store.helpers import MakeCard


def part(rows: int | None, accuracy: float, parent: float | None) -> Compared:
    return Compared(rows=rows, accuracy=accuracy, parent_accuracy=parent)


def test_it_is_the_change_on_earlier_arrivals_by_rows_and_by_arrival(make_card: MakeCard) -> None:
    parts = {"a": part(300, 0.90, 0.92), "b": part(100, 0.80, 0.74), "c": part(500, 0.5, 0.1), "d": part(9, 0.5, 0.9)}
    card = make_card("v0001", "v0000", arrivals=["a", "b", "c", "d"], arrival="d", beside=["c"], by_arrival=parts)
    found = card.backward_transfer
    assert found is not None and found.arrivals == 2, "what the update folded in is not earlier"
    assert found.mean == pytest.approx(0.0) and found.by_arrival == pytest.approx(0.02)
    assert (found.worst, found.worst_change) == ("a", pytest.approx(-0.02))
    assert transfer_line(found) == "earlier arrivals: +0.00 points (mean of 2 arrivals +2.00, worst a -2.00)"
    assert transfer_line(found, "R2").startswith("earlier arrivals: +0.000 R2 (mean of 2 arrivals +0.020")


def test_of_one_arrival_there_is_one_figure(make_card: MakeCard) -> None:
    card = make_card("v0001", "v0000", arrival="b", by_arrival={"a": part(300, 0.90, 0.925), "b": part(3, 1.0, 0.0)})
    assert card.backward_transfer is not None
    assert transfer_line(card.backward_transfer) == "earlier arrivals: -2.50 points"


def test_where_it_is_not_known_there_is_none(make_card: MakeCard) -> None:
    assert make_card().backward_transfer is None, "a first version"
    old = make_card("v0001", "v0000", arrival="b", by_arrival={"a": part(None, 0.9, None), "b": part(None, 0.9, None)})
    assert old.backward_transfer is None, "what an earlier raygp wrote"
    assert change(None) == "-" and change(-0.00001) == "+0.00"
