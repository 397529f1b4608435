"""Optimizer state of single connections.

State tensors are found by shape (momentum buffers, first and second moments have their parameter's), not by a table of
optimizer types, so any optimizer that keeps its state entry by entry works.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def state_tensors(optimizer: Optimizer, parameter: nn.Parameter) -> Iterator[tuple[str, Tensor]]:
    """The entries of the optimizer's state that belong to single connections of ``parameter``: (key, tensor)."""
    for key, value in optimizer.state.get(parameter, {}).items():
        # A step counter is a tensor, too, but has no dimensions.
        if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim() > 0:
            yield key, value


@torch.no_grad()
def clear_state(optimizer: Optimizer | None, parameter: nn.Parameter, where: Tensor) -> None:
    """Zero the state of the connections in ``where`` (bool, the parameter's shape); the others keep theirs."""
    if optimizer is None:
        return
    for _, tensor in state_tensors(optimizer, parameter):
        tensor.masked_fill_(where, 0.0)
