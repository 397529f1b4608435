"""What an update came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.record import UpdateRecord
from raygp.update.gate import Verdict
from raygp.update.probe import Probe

if TYPE_CHECKING:
    from raygp.update.state import Tensors


@dataclass(frozen=True)
class Outcome:
    """What an update came to: a candidate, what it was measured to be, and what the gate said of it."""

    verdict: Verdict
    record: UpdateRecord
    """What the update did and measured: the same figures that the version's card has."""
    tensors: Tensors
    """The candidate in compact form, without optimizer state."""
    probe: Probe | None = None
    """What it made of a few validation rows; None where that is not known, as of what an earlier raygp measured."""
