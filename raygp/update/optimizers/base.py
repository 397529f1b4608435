"""What every optimizer's settings are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from raygp.update.fields import Settings

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class OptimizerSettings(Settings):
    """Settings of an optimizer. It must keep its state entry by entry (tensors of a parameter's shape), so that growth
    and pruning can clear the state of single connections (:mod:`raygp.sparse.optimizer`)."""

    name: str

    def make(self, parameters: Iterable[nn.Parameter], lr: float) -> Optimizer:
        """The optimizer over ``parameters``, with a learning rate that every step sets anew."""
        raise NotImplementedError
