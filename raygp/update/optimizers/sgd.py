"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from raygp.update.optimizers.base import OptimizerSettings

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


class Sgd(OptimizerSettings):
    """SGD with momentum."""

    name: Literal["sgd"] = "sgd"
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """Part of the last step's direction that is kept; 0: none."""
    nesterov: bool = True
    """Nesterov's form of momentum; without momentum it says nothing."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """How strongly weights are drawn to zero: this times the weight is added to its gradient."""

    def make(self, parameters: Iterable[nn.Parameter], lr: float) -> Optimizer:
        """torch's SGD."""
        import torch

        nesterov = self.nesterov and self.momentum > 0
        return torch.optim.SGD(
            parameters, lr=lr, momentum=self.momentum, nesterov=nesterov, weight_decay=self.weight_decay
        )
