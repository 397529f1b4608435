"""Small models with hand-set weights, optimizers, and what holds at every dormant connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from raygp.sparse import GradientSum, Masks, state_tensors

torch.set_num_threads(1)

MakeOptimizer = Callable[[nn.Module], Optimizer]


def sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def nesterov(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)


def adam(model: nn.Module) -> Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)


def adamw(model: nn.Module) -> Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


def amsgrad(model: nn.Module) -> Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)


OPTIMIZERS: dict[str, MakeOptimizer] = {f.__name__: f for f in (sgd, nesterov, adam, adamw, amsgrad)}


def one_row(weights: Sequence[float], active: Sequence[int] | None = None) -> tuple[nn.Linear, Masks]:
    """A Linear of one output with these weights; active where ``active`` is 1, by default where a weight is not 0."""
    model = nn.Linear(len(weights), 1, bias=False)
    model.weight.data = torch.tensor([list(weights)], dtype=torch.float32)
    masks = Masks(model)
    masks.set({"weight": model.weight.detach() != 0 if active is None else torch.tensor([list(active)]).bool()})
    return model, masks


def rows(*sizes: int) -> nn.Sequential:
    """Bias-free Linear layers ``0``, ``1``, ... of one output and these inputs (they are not meant to be called)."""
    return nn.Sequential(*(nn.Linear(size, 1, bias=False) for size in sizes))


def conv_net() -> nn.Sequential:
    """A convolution, its norm and a Linear, over images of 2 x 5 x 5; 72 + 144 connections."""
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4))


class Recurrent(nn.Module):
    """An LSTM and a GRU over (time, batch, 3), then a Linear on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4)
        self.gru = nn.GRU(4, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        last: Tensor = self.out(self.gru(self.lstm(inputs)[0])[0][-1])
        return last


def random_masks(model: nn.Module, density: float, seed: int = 0) -> Masks:
    """Masks over ``model`` with each connection active by chance; dormant weights zeroed."""
    generator = torch.Generator().manual_seed(seed)
    masks = Masks(model)
    masks.set({name: torch.rand(mask.shape, generator=generator) < density for name, mask in masks.bits.items()})
    masks.apply()
    return masks


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradient_of(masks: Masks, seed: int, examples: int = 4) -> GradientSum:
    """Random gradient sums with many ties and zeros: whole numbers from -3 to 3."""
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(mask.shape) for name, mask in masks.bits.items()}
    return GradientSum(
        {n: torch.from_numpy(rng.integers(-3, 4, s).astype(np.float32)) for n, s in shapes.items()}, examples
    )


def nonzero_dormant(masks: Masks, optimizer: Optimizer | None = None) -> list[str]:
    """What is not exactly zero at dormant connections, in the weights and in the optimizer's state."""
    found = []
    for name, mask in masks.bits.items():
        parameter = masks.parameter(name)
        tensors = [("weight", parameter.detach())]
        if optimizer is not None:
            tensors += list(state_tensors(optimizer, parameter))
        found += [f"{name} {key}" for key, tensor in tensors if bool(tensor[~mask].ne(0).any())]
    return found
