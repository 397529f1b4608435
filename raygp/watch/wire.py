"""Events and errors between a watcher and the process that updates for it: one JSON value a line, nothing lost.

:func:`raygp.events.as_json` is for others to read: it leaves out what they have no use for. What comes out here is what
went in.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from raygp import errors, events
from raygp.errors import RaygpError
from raygp.events import Event
from raygp.store import Card, Duplicates, Manifest


def event_to_line(event: Event) -> str:
    """An event as one line of JSON."""
    form = _form(type(event))
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    # Where a field may hold anything, it may be a number of numpy's.
    content = form.model_construct(**values).model_dump_json(fallback=lambda value: value.item())
    return json.dumps({"event": type(event).__name__, "fields": content})


def error_to_line(error: RaygpError) -> str:
    """An error as one line of JSON."""
    kind = next(kind for kind in type(error).__mro__ if vars(errors).get(kind.__name__) is kind)
    return json.dumps({"error": kind.__name__, "said": str(error), "exit_code": error.exit_code})


def event_of(content: dict[str, Any]) -> Event:
    """The event that a line holds."""
    kind: type[Event] = vars(events)[content["event"]]
    values = _form(kind).model_validate_json(content["fields"])
    return kind(**{field.name: getattr(values, field.name) for field in dataclasses.fields(kind)})


def error_of(content: dict[str, Any]) -> RaygpError:
    """The error that a line holds."""
    kind: type[RaygpError] = vars(errors)[content["error"]]
    error = kind(content["said"])
    error.exit_code = content["exit_code"]
    return error


def _form(kind: type[Event]) -> type[BaseModel]:
    """A model with the fields of an event, which can be written and read."""
    return _form_of(kind.__name__)


@cache
def _form_of(name: str) -> type[BaseModel]:
    kind: type[Event] = vars(events)[name]
    names = {"Card": Card, "Duplicates": Duplicates, "Manifest": Manifest}
    hints = typing.get_type_hints(kind, localns=names)
    fields: dict[str, Any] = {field.name: (hints[field.name], ...) for field in dataclasses.fields(kind)}
    config = ConfigDict(ser_json_inf_nan="constants", protected_namespaces=())
    return create_model(kind.__name__, __config__=config, **fields)
