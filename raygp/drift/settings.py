"""``on_drift``: what becomes of an update whose arrival is unlike what the line has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from raygp.update.fields import Settings

Then = Literal["off", "note", "warn", "sweep", "wait"]


class DriftSettings(Settings):
    """What is done, and from which level on."""

    then: Then = "note"
    """``note``: it is recorded and told. ``warn``: told as a warning. ``sweep``: the update becomes a sweep. ``wait``:
    the update is not started. ``off``: arrivals are not compared."""
    at: Literal["moderate", "large"] = "moderate"
    """From which level on ``warn``, ``sweep`` and ``wait`` act."""


def _of_word(value: Any) -> Any:
    if isinstance(value, DriftSettings | Mapping):
        return value
    # YAML reads the bare word "off" as false.
    return {"then": "off" if value is False else value}


OnDrift = Annotated[DriftSettings, BeforeValidator(_of_word)]
"""Given as a word, such as ``warn``, or as a mapping, such as ``{then: wait, at: large}``."""
