"""What a watcher and the process that updates for it say to each other."""

from __future__ import annotations

import json

import pytest

from raygp.errors import DriftedError, InputError, RaygpError, RejectedError, StoppedError
from raygp.events import Event, Promoted
from raygp.watch.wire import error_of, error_to_line, event_of, event_to_line
from tests.conftest import new_card
from tests.test_event_json import EVENTS, made


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_comes_out_as_it_went_in(kind: type[Event]) -> None:
    event = made(kind)
    line = event_to_line(event)
    assert "\n" not in line
    found = event_of(json.loads(line))
    assert type(found) is kind
    assert event_to_line(found) == line


def test_the_history_of_a_card_and_numbers_that_are_none_survive() -> None:
    card = new_card(phases=[{"kind": "grow-new", "history": [{
        "round": 0, "loss": 1.0, "val_accuracy": 0.5, "densities": {"fc": 0.5}, "grown": 1, "pruned": 0,
        "examples": 2.0, "seconds": 1.0,
    }]}])  # fmt: skip
    assert event_of(json.loads(event_to_line(Promoted(card=card, reason="as good")))) == Promoted(
        card=card, reason="as good"
    )


@pytest.mark.parametrize("kind", [RaygpError, InputError, RejectedError, DriftedError, StoppedError])
def test_errors_keep_their_kind_and_their_exit_code(kind: type[RaygpError]) -> None:
    error = kind("what was wrong")
    error.exit_code = 99
    found = error_of(json.loads(error_to_line(error)))
    assert (type(found), str(found), found.exit_code) == (kind, "what was wrong", 99)


def test_an_error_of_a_package_is_its_nearest_known_kind() -> None:
    class Worse(InputError):
        pass

    assert type(error_of(json.loads(error_to_line(Worse("x"))))) is InputError
