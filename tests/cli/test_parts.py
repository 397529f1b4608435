"""Accuracy by arrival and by class, with the parent's beside it, as people see it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from raygp.cli.printer import Printer
from raygp.events import Promoted, Refused
from raygp.report.graph import versions_graph
from raygp.report.parts import parts_table, worst_line
from raygp.report.tables import versions_table
from raygp.report.verdict import verdict_line
from raygp.store import Card, Location
from tests.store.helpers import MakeCard


def part(rows: int | None, accuracy: float, parent: float | None = None, new: int = 0) -> dict[str, Any]:
    return {"rows": rows, "accuracy": accuracy, "parent_accuracy": parent, "new_rows": new}


@pytest.fixture
def cards(make_card: MakeCard) -> list[Card]:
    """A first version of five classes, and one of ten."""
    old, new = [str(number) for number in range(5)], [str(number) for number in range(5, 10)]
    first = make_card(
        classes=old, by_arrival={"week1": part(120, 0.99)}, by_class={name: part(24, 0.99) for name in old}
    )
    by_class = {name: part(24, 0.95, 0.99) for name in old} | {name: part(20, 0.9, 0.0, 20) for name in new}
    by_class["3"] = part(24, 0.75, 1.0)
    second = make_card(
        "v0001", "v0000", "u2", arrivals=["first", "week2"], arrival="week2", classes=old + new,
        by_arrival={"week1": part(120, 0.95, 0.99), "week2": part(100, 0.9, 0.0, 100)}, by_class=by_class,
        val_accuracy=0.92, parent_val_accuracy=0.54, val_noise=0.02, known=part(120, 0.95, 0.99),
        new=part(100, 0.9, 0.0, 100), test_accuracy=0.93,
    )  # fmt: skip
    return [first, second]


def shown(table: Any, width: int = 80) -> list[str]:
    out = io.StringIO()
    table.show(Console(file=out, width=width, highlight=False))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def row(lines: list[str], name: str) -> list[str]:
    [found] = [line for line in lines if line.startswith(f" {name} ")]
    return found.removeprefix(f" {name} ").split()


def test_the_table_has_arrivals_and_classes_with_the_parents_beside_them(cards: list[Card]) -> None:
    table = parts_table(cards[1])
    assert table is not None
    lines = shown(table)
    assert lines[1].split("  ")[0] == " validation rows of" and lines[1].split()[-4:] == ["%", "parent", "%", "change"]
    assert row(lines, "class 3") == ["24", "75.00", "100.00", "-25.00"]
    assert row(lines, "class 7") == ["20", "90.00", "new"]
    assert row(lines, "arrival week1") == ["120", "95.00", "99.00", "-4.00"]
    assert max(map(len, lines)) <= 80
    first = parts_table(cards[0])
    assert first is not None and "parent" not in "".join(shown(first)), "a first version has none"


def test_rows_of_new_classes_in_an_arrival_are_counted_and_not_held_against_the_parent(cards: list[Card]) -> None:
    mixed = cards[1].model_copy(deep=True)
    mixed.by_arrival["week2"] = mixed.by_arrival["week2"].model_copy(update={"new_rows": 60, "parent_accuracy": 0.4})
    table = parts_table(mixed)
    assert table is not None
    lines = shown(table)
    assert "of new classes" in lines[1]
    assert row(lines, "arrival week2") == ["100", "60", "90.00", "40.00"]


def test_of_many_classes_the_worst_and_the_new_are_shown(make_card: MakeCard) -> None:
    classes = {f"{number:03d} of a long name that goes on and on and on": part(30, 0.9, 0.9) for number in range(100)}
    names = list(classes)
    classes[names[41]], classes[names[7]] = part(30, 0.3, 0.9), part(30, 0.8, 0.9)
    classes[names[98]] = classes[names[99]] = part(30, 0.8, 0.0, 30)
    card = make_card("v0001", "v0000", by_class=classes, parent_val_accuracy=0.9, classes=names)
    table, whole = parts_table(card, every=False), parts_table(card)
    assert table is not None and whole is not None
    assert len(whole.rows) == 100 and whole.note == ""
    kept = [found.name.split()[1] for found in table.rows]
    assert {"007", "041", "098", "099"} <= set(kept) and len(kept) == 7 and kept == sorted(kept)
    assert table.note == "Shown are the worst and the new: 7 of 100 classes."
    assert max(map(len, shown(table))) <= 80


def test_one_arrival_and_one_class_need_no_table(make_card: MakeCard) -> None:
    assert parts_table(make_card()) is None and worst_line(make_card()) == ""


def test_the_worst_in_a_line(cards: list[Card]) -> None:
    assert worst_line(cards[1]) == (
        "worst: class 3 75.00% (24 rows, parent 100.00%), arrival week2 90.00% (100 rows, new)"
    )


def test_a_version_is_compared_with_its_parent_on_the_rows_that_both_know(cards: list[Card]) -> None:
    assert verdict_line(cards[1]) == (
        "validation 92.00% on 220 rows, of known classes 95.00% on 120 rows, parent 99.00% (noise 2.00%), "
        "of new classes 90.00% on 100 rows, test 93.00%"
    )
    [tree] = versions_graph(cards, None)
    assert "validation 99.00" not in str(tree.label) and "parent" not in str(tree.label)
    assert "on 220 rows, known classes 95.00 % (parent 99.00 %)" in str(tree.children[0].label)


@pytest.mark.parametrize("width", [80, 160])
def test_versions_say_on_which_rows_they_were_measured(cards: list[Card], width: int) -> None:
    lines = shown(versions_table(cards, "v0001"), width)
    heads = lines[1]
    assert all(name in heads for name in ("val %", "val rows", "known %", "parent %"))
    assert "54.00" not in " ".join(lines), "the parent's over rows that it cannot know is beside nothing"
    assert {"220", "95.00", "99.00", "92.00"} <= set(row(lines, "v0001 *"))
    note = " ".join(" ".join(lines).split())
    assert "a version and its parent on the same rows, those of classes that the parent knows" in note
    assert "Versions have different val and test rows." in note
    assert max(map(len, lines)) <= width
    alone = " ".join(" ".join(shown(versions_table(cards[:1]), width)).split())
    assert "parent" not in alone and "rows." not in alone, "there is nothing to compare"


def test_versions_without_new_classes_need_no_further_column(cards: list[Card]) -> None:
    plain = [card.model_copy(update={"known": None, "new": None}) for card in cards]
    lines = shown(versions_table(plain))
    assert "known %" not in lines[1] and {"92.00", "54.00"} <= set(row(lines, "v0001"))
    assert any(line.startswith("val % and parent %: a version and its parent on the same rows.") for line in lines)


def test_an_old_card_has_no_row_counts(make_card: MakeCard) -> None:
    old = make_card("v0001", "v0000", by_arrival={"a": part(None, 0.9), "b": part(None, 0.8)}, parent_val_accuracy=0.9)
    assert row(shown(versions_table([old])), "v0001")[:4].count("-") == 1
    assert worst_line(old) == "worst: arrival b 80.00%" and verdict_line(old) == "validation 90.00%, parent 90.00%"
    table = parts_table(old)
    assert table is not None and row(shown(table), "arrival b") == ["-", "80.00", "-"]


def test_the_last_lines_of_an_update_show_what_was_won_and_lost(cards: list[Card], location: Location) -> None:
    def printed(event: Promoted | Refused) -> str:
        out = io.StringIO()
        Printer(Console(file=out, width=80, highlight=False), location)(event)
        return out.getvalue()

    assert "class 3" in printed(Promoted(card=cards[1])) and "class" not in printed(Promoted(card=cards[0]))
    refused = Refused(version="v0001", arrival="week2", reason="rejected: it", head="v0000", record=cards[1])
    assert " class 3 " in printed(refused)
