"""Events as plain data."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from raygp.events import Event, Promoted, Published, RungStarted, StepsDone, as_json, type_name
from raygp.record import EpochRecord, PhaseRecord
from raygp.store import Card, Duplicates, Manifest
from tests.conftest import new_card

AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
MANIFEST = Manifest(arrival="mon", published="2026-01-01T00:00:00.000000+00:00", shards=[], labels={"1": 3}, source="x")
MODELS: dict[type[BaseModel], BaseModel] = {
    Card: new_card(phases=[{"kind": "grow-new", "history": [{
        "round": 0, "loss": 1.0, "val_accuracy": 0.5, "densities": {}, "grown": 1, "pruned": 0, "examples": 2.0,
        "seconds": 1.0,
    }]}]),
    Manifest: MANIFEST,
    PhaseRecord: PhaseRecord(kind="grow-new"),
    EpochRecord: EpochRecord(
        round=0, loss=float("nan"), val_accuracy=0.5, densities={"fc": 0.1}, grown=1, pruned=0, examples=2.0, seconds=1
    ),
}  # fmt: skip
"""One value of each model that cannot be made of its defaults."""


def kinds(base: type[Event] = Event) -> Iterator[type[Event]]:
    """Every event that raygp tells, and the classes between."""
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


EVENTS = sorted((kind for kind in kinds() if not kind.__subclasses__()), key=lambda kind: kind.__name__)


def value_of(hint: Any) -> Any:
    """Some value of a type: never an empty one, so that what cannot be written is met."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return value_of(next(part for part in inside if part is not type(None)))
    if origin is typing.Literal:
        return inside[0]
    if origin in (tuple, list):
        return origin([value_of(inside[0])])
    if origin is not None and issubclass(origin, Mapping):
        return {"plan.lr": value_of(inside[1])}
    if hint in (int, float, str, bool):
        return {int: 3, float: 0.5, str: "text", bool: True}[hint]
    if hint is Any:
        return (1, {"a": np.float32(0.5)}, float("inf"))
    if dataclasses.is_dataclass(hint):
        known = typing.get_type_hints(hint)
        return hint(**{field.name: value_of(known[field.name]) for field in dataclasses.fields(hint)})
    if issubclass(hint, Card.__mro__[1]):  # UpdateRecord, which a card is, too.
        return MODELS[Card]
    if hint in MODELS:
        return MODELS[hint]
    assert issubclass(hint, BaseModel), f"give this test a value of {hint}"
    needed = {name: field.annotation for name, field in hint.model_fields.items() if field.is_required()}
    return hint(**{name: value_of(annotation) for name, annotation in needed.items()})


def made(kind: type[Event]) -> Event:
    """An event of a kind, with a value in every field."""
    names = {"Card": Card, "Duplicates": Duplicates, "Manifest": Manifest}
    hints = typing.get_type_hints(kind, localns=names)
    return kind(**{field.name: value_of(hints[field.name]) for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_has_a_form_in_json(kind: type[Event]) -> None:
    event = made(kind)
    content = as_json(event, AT)
    # Nothing is lost on the way: no NaN, no tuple, no key that is no text.
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    fields = {field.name for field in dataclasses.fields(event)}
    assert not fields & {"type", "time", "line"}, "these names say something else in JSON"
    assert set(content) == fields | {"type", "time"}
    assert (content["type"], content["time"]) == (type_name(kind), "2026-01-31T09:30:00.000000+00:00")


def test_names_of_types_are_different_and_stay_what_they_are() -> None:
    assert len({type_name(kind) for kind in EVENTS}) == len(EVENTS)
    # Hooks and dashboards of others hold on to these.
    assert {
        "samples_checked", "files_copied", "published", "all_known", "withdrawn", "rows_measured", "adopted",
        "nothing_new", "updates_waiting", "update_started", "promoted", "refused", "rolled_back", "notice",
        "rung_started", "resumed", "phase_started", "steps_done", "epoch_ended", "phase_ended", "checkpoint_stored",
        "sweep_started", "work_shared", "trial_ended", "budget_spent",
    } <= {type_name(kind) for kind in EVENTS}  # fmt: skip


def test_a_time_is_utc_whatever_zone_it_is_given_in() -> None:
    event = made(StepsDone)
    assert as_json(event, AT.astimezone(timezone(timedelta(hours=5)))) == as_json(event, AT)
    assert as_json(event, AT.replace(tzinfo=None)) == as_json(event, AT)
    now = datetime.fromisoformat(as_json(event)["time"])
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1) and now.utcoffset() == timedelta(0)


def test_documents_are_as_they_are_stored_but_for_the_history_of_epochs() -> None:
    card = typing.cast(Card, MODELS[Card])
    content = as_json(Promoted(card=card))["card"]
    assert "history" not in content["phases"][0] and card.phases[0].history
    assert Card.model_validate(content).model_copy(update={"phases": card.phases}) == card
    manifest = as_json(Published(manifest=MANIFEST, quarantine=""))["manifest"]
    assert Manifest.model_validate(manifest).digest == MANIFEST.digest


def test_numbers_that_are_not_finite_are_null() -> None:
    steps = dataclasses.replace(typing.cast(StepsDone, made(StepsDone)), loss=float("nan"))
    assert as_json(steps)["loss"] is None
    rung = RungStarted(rung=0, rungs=1, name="a", changes={"plan.lr": (float("inf"), 1)}, because="")
    assert as_json(rung)["changes"] == {"plan.lr": [None, 1]}
