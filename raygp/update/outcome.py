"""What an update came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from raygp.update.gate import Verdict
from raygp.update.state import Tensors


@dataclass(frozen=True)
class Outcome:
    """What an update came to."""

    verdict: Verdict
    tensors: Tensors
    """The candidate in compact form, without optimizer state."""
    val_accuracy: float
    test_accuracy: float | None
    """None if the gate refused the candidate: the test split is not looked at."""
    parent_val_accuracy: float | None
    accuracy_by_arrival: dict[str, float]
    """Validation accuracy by the arrival that brought the rows."""
    density: float
    densities: dict[str, float]
    active_connections: int
    total_connections: int
    mask_digest: str
    ledger: dict[str, float]
    phases: list[dict[str, Any]]
    test_metrics: dict[str, float] = field(default_factory=dict)
    """Every metric of the task on the test split, by name."""
    val_noise: float | None = None
    """How much of the difference to the parent may be chance (:func:`raygp.update.gate.val_noise`)."""
