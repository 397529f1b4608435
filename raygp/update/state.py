"""Everything that an update in flight consists of, as tensors and plain data: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from raygp.record import CostLedger, RunningRecord

if TYPE_CHECKING:
    from torch import Tensor

Tensors = dict[str, "Tensor"]


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
    loss_sum: float = 0.0
    """Sum of the training losses of ``loss_steps`` of those steps on rank 0."""
    loss_steps: int = 0
    """How many of those steps ``loss_sum`` covers: the last of them. All, unless the update went on from a checkpoint
    of raygp 0.1.0 inside the epoch, which did not have the sum."""
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
    """Connections removed in this round, which come back if it is taken back."""
    removals: int = 0
    """Removals of a gradual pruning that are done."""


def new_record() -> RunningRecord:
    """The record of an update that has not done anything yet."""
    return RunningRecord(phases=[], ledger=CostLedger(), val_accuracy=0.0, mask_digest="")


@dataclass
class UpdateState:
    """Position and record: the part of a checkpoint that is no tensor."""

    cursor: Cursor = field(default_factory=Cursor)
    record: RunningRecord = field(default_factory=new_record)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"cursor": asdict(self.cursor), "record": self.record.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UpdateState:
        """The state that :meth:`to_dict` gave.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        return cls(Cursor(**data["cursor"]), RunningRecord.model_validate(data["record"]))


@dataclass(frozen=True)
class Checkpoint:
    """An update between two steps: enough to go on as if it had never stopped."""

    state: UpdateState
    tensors: Tensors
    """Model and optimizer in compact form; ``parent-scores`` on validation; ``snapshot/...`` in a recoverable round;
    ``chosen``, ids of the training examples, once they are; ``buffers/...`` inside an epoch, those of every rank."""


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Those of the tensors whose names begin so, under the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
