"""The parent as a teacher: an update may learn from its answers beside the labels (knowledge distillation)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from raygp.sparse import Masks


@dataclass(frozen=True)
class Teacher:
    """The parent as it was when the update started, with the classes it knew. It does not change."""

    model: nn.Module
    """In evaluation mode, without gradients."""
    masks: Masks
    """The parent's, which say what an answer costs."""
    weight: float
    """Part of the loss that is the parent's."""
    temperature: float
    """Softens both models' outputs."""
    replay_only: bool
    """Whether it is asked about replayed examples only."""

    def asked_about(self, ids: np.ndarray, old_rows: int) -> np.ndarray:
        """Positions of the examples that the parent is asked about, int64.

        Args:
            ids: of training examples.
            old_rows: how many the parent has seen, which have the first ids.
        """
        return np.flatnonzero(ids < old_rows) if self.replay_only else np.arange(len(ids))
