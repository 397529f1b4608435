"""Everything that an update in flight consists of, as tensors and JSON: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from raygp.record import CostLedger, PhaseRecord

Tensors = dict[str, Tensor]


@dataclass
class Cursor:
    """Position in the plan. ``stage`` is "enter" before a round's growth or cut, "train" after it."""

    phase: int = 0
    stage: str = "enter"
    round: int = 0
    """Rounds of this phase that are finished."""
    epoch: int = 0
    """Epochs of this round that are finished."""
    step: int = 0
    """Steps of the running epoch that are finished: with seed and ``epochs_total``, the position in the data."""
    epochs_total: int = 0
    """Epochs of the update that are finished, abandoned rounds included: seeds order and augmentation."""
    beta: float = 0.0
    """Pruning ratio of this round."""
    reference: float = 0.0
    """Validation accuracy when the phase began."""
    start_density: float = 0.0
    """Density when the round's gradual pruning began."""
    best: float = -1.0
    """Best validation accuracy of the round, for early stopping."""
    waited: int = 0
    """Epochs since then."""
    pruned_in_round: int = 0
    removals: int = 0
    """Removals of a gradual pruning that are done."""


@dataclass
class UpdateState:
    """Position, records and cost: the JSON part of a checkpoint."""

    cursor: Cursor = field(default_factory=Cursor)
    records: list[PhaseRecord] = field(default_factory=list)
    ledger: CostLedger = field(default_factory=CostLedger)
    val_accuracy: float = 0.0
    """At the last evaluation."""
    mask_digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"records": [record.model_dump() for record in self.records]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UpdateState:
        """The state that :meth:`to_dict` gave."""
        fields = dict(data)
        fields["cursor"] = Cursor(**fields["cursor"])
        fields["records"] = [PhaseRecord(**record) for record in fields["records"]]
        fields["ledger"] = CostLedger(**fields["ledger"])
        return cls(**fields)


@dataclass(frozen=True)
class Checkpoint:
    """An update between two steps: enough to go on as if it had never stopped."""

    state: dict[str, Any]
    """:meth:`UpdateState.to_dict`."""
    tensors: Tensors
    """Model and optimizer in compact form; ``parent-scores`` on validation; ``snapshot/...`` in a recoverable round;
    ``chosen``, ids of the training examples, once they are; ``buffers/...`` inside an epoch, those of every rank."""
