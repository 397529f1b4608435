"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from raygp.update.optimizers.base import OptimizerSettings

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

_SECOND_DECAY = 0.999


class _AdamSettings(OptimizerSettings):
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """First decay rate."""
    nesterov: bool = True
    """Without meaning here. All three optimizers have it, so that one can be changed for another."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """How strongly weights are drawn to zero. adam: this times the weight is added to its gradient. adamw: each step
    takes the learning rate times this from the weight itself."""


class Adam(_AdamSettings):
    """Adam (arXiv 1412.6980)."""

    name: Literal["adam"] = "adam"

    def make(self, parameters: Iterable[nn.Parameter], lr: float) -> Optimizer:
        """torch's Adam."""
        import torch

        betas = (self.momentum, _SECOND_DECAY)
        return torch.optim.Adam(parameters, lr=lr, betas=betas, weight_decay=self.weight_decay)


class AdamW(_AdamSettings):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    name: Literal["adamw"] = "adamw"

    def make(self, parameters: Iterable[nn.Parameter], lr: float) -> Optimizer:
        """torch's AdamW."""
        import torch

        betas = (self.momentum, _SECOND_DECAY)
        return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=self.weight_decay)
