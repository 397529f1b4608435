"""Finding the parameters that a step does not use leaves a model as it was."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raygp.sparse import unused_parameters


class Positions(nn.Module):
    """Keeps a table that grows with its input, makes another at its first pass, and replaces its count."""

    table: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)
        self.register_buffer("table", torch.zeros(1), persistent=False)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) > len(self.table):
            self.register_buffer("table", torch.zeros(len(inputs)), persistent=False)
        if not hasattr(self, "made"):
            self.register_buffer("made", torch.zeros(2), persistent=False)
        self.count = self.count + 1.0
        return torch.dropout(self.used(inputs), 0.5, train=True)


def test_buffers_and_random_state_stay() -> None:
    model, state = Positions(), torch.get_rng_state()
    found = unused_parameters(model, lambda: model(torch.ones(5, 4)).sum(), seed=1)
    assert found == {"unused.weight", "unused.bias"}
    assert float(model.count) == 0.0, "a count that a step replaced is what it was"
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
