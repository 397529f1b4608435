"""What a look at something found: ``raygp check`` tells of a task, ``raygp doctor`` of a machine and a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem", "not looked at"]


@dataclass(frozen=True)
class Finding:
    """What came of one check."""

    check: str
    """Its name."""
    state: State
    """``warning``: it works, or may be a slip; ``problem``: it does not work, or will not."""
    text: str
    """What was seen, or what is wrong and where, and what follows; or which check has to pass first."""
    advice: str = ""
    """What to do; empty where there is nothing to do, or the text says it."""
