"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong", "not looked at"]


@dataclass(frozen=True)
class Finding:
    """What came of one check."""

    check: str
    """Its name."""
    state: State
    text: str
    """What was seen, or what is wrong and where, or what may be a slip; or which check has to pass first."""


class Fault(Exception):
    """Something is wrong with the task; the message says what and where."""
