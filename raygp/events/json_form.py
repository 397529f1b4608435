"""Events as plain data, for whoever is told of them outside this process: hooks, files of JSON lines, trackers."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from raygp.events import Event

_TRIMMED = "history"
"""What is left out of the phases of cards and records: their epochs, each of which an ``epoch_ended`` has told."""


def type_name(event: Event | type[Event]) -> str:
    """What an event is called outside Python: ``update_started`` for :class:`raygp.events.UpdateStarted`."""
    kind = event if isinstance(event, type) else type(event)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def as_json(event: Event, at: datetime | None = None) -> dict[str, Any]:
    """An event as plain data that ``json.dumps`` takes: its ``type``, its ``time``, and its fields by their names.

    Cards, manifests and records are as they lie in storage, with two differences: the phases of a card or record are
    without the ``history`` of their epochs, and a number that is not finite is null. Tuples are lists.

    Args:
        event: what happened.
        at: when; None: now. A time without a zone is taken for UTC.

    Returns:
        ``{"type": "update_started", "time": "2026-01-31T09:30:00.000000+00:00", "version": "v0004", ...}``; the time is
        UTC, ISO 8601 with microseconds.
    """
    when = at or datetime.now(UTC)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    named = {"type": type_name(event), "time": when.isoformat(timespec="microseconds")}
    return {**named, **{field.name: _plain(getattr(event, field.name)) for field in dataclasses.fields(event)}}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, BaseModel):
        return _without_history(json.loads(value.model_dump_json()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "item"):  # A number of numpy's.
        return _plain(value.item())
    raise TypeError(f"an event holds {value!r}, which has no form in JSON")


def _without_history(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    kept = {key: value for key, value in content.items() if key != _TRIMMED}
    if isinstance(phases := kept.get("phases"), list):
        kept["phases"] = [_without_history(phase) for phase in phases]
    return kept
