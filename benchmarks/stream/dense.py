"""Methods without a memory of their own, in a plain loop over a dense network: fine-tuning, replay of everything that
is stored, training on everything at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.stream.arrivals import Stream, Told
from raygp.sparse import Masks, count_uses, training_flops

NEW_EACH, REPLAYED_EACH = 10, 10
"""Examples of a step: new ones, and replayed ones."""

FIRST_SHARE, SHARE = 0.3, 0.595
"""Of the rows stored: what :func:`uniform_share` takes of the first arrival, and what of all at each later one."""


def fine_tuning(stream: Stream, arrival: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """The arrival alone, once."""
    return _batches(generator.permutation(stream.arrivals[arrival]), NEW_EACH)


def uniform(stream: Stream, arrival: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Twice as many examples as the arrival has, drawn from all that are stored, the arrival included."""
    if arrival == 0:
        return fine_tuning(stream, arrival, generator)
    wanted = 2 * len(stream.arrivals[arrival])
    return _batches(generator.permutation(stream.up_to(arrival))[:wanted], NEW_EACH + REPLAYED_EACH)


def uniform_share(stream: Stream, arrival: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """A fixed share of all that are stored, so that later arrivals get more, as raygp's plan for this stream."""
    share = FIRST_SHARE if arrival == 0 else SHARE
    rows = generator.permutation(stream.up_to(arrival))
    return _batches(rows[: round(share * len(rows))], NEW_EACH + REPLAYED_EACH)


def replay_all(stream: Stream, arrival: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """The arrival once, and beside it as many of all earlier examples."""
    steps = fine_tuning(stream, arrival, generator)
    if arrival == 0:
        return steps
    old = _batches(generator.permutation(stream.up_to(arrival - 1)), REPLAYED_EACH)
    return (np.concatenate(pair) for pair in zip(steps, old, strict=False))


def joint(stream: Stream, arrival: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Everything at once, when the last arrival is there."""
    if arrival < len(stream.arrivals) - 1:
        return iter(())
    return _batches(generator.permutation(stream.up_to(arrival)), NEW_EACH)


CHOICES = {
    "fine-tuning": fine_tuning, "uniform": uniform, "uniform-share": uniform_share, "replay-all": replay_all,
    "joint": joint, "joint-2": joint,
}  # fmt: skip
"""By method, the rows of each step of an arrival. ``joint-2`` takes two passes."""


def run_dense(method: str, stream: Stream, recipe: dict[str, Any], seed: int, told: Told) -> dict[str, Any]:
    """Train a dense network on the stream.

    Args:
        method: a key of :data:`CHOICES`.
        stream: the data.
        recipe: ``lr``; ``optimizer``: sgd (the default) or adam; ``schedule``: constant, or cycle (see
            :func:`learning_rate`).
        seed: of weights and order.
        told: called after each arrival.

    Returns:
        Fields of the run's row.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    model = stream.task.build_model(len(stream.classes))
    optimizer = optimizer_of(model, recipe)
    after, examples = [], []
    for number in range(len(stream.arrivals)):
        passes = 2 if method == "joint-2" else 1
        steps = [rows for _ in range(passes) for rows in CHOICES[method](stream, number, generator)]
        model.train()
        for at, rows in enumerate(steps):
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, at / len(steps))
            inputs, targets = stream.tensors(rows)
            loss = F.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        after.append(stream.accuracies(model, number))
        examples.append(float(sum(map(len, steps))))
        told(number, after[-1])
    return {"after": after, **dense_cost(stream, examples)}


def optimizer_of(model: nn.Module, recipe: dict[str, Any]) -> torch.optim.Optimizer:
    """The optimizer that a recipe names: plain SGD, or Adam."""
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    return kinds[recipe.get("optimizer", "sgd")](model.parameters(), lr=recipe["lr"])


def learning_rate(recipe: dict[str, Any], done: float) -> float:
    """The rate when the part ``done`` of an arrival's steps is over: constant, or raygp's cycle (a tenth of the way up,
    then a cosine to zero), anew for each arrival."""
    if recipe.get("schedule", "constant") == "constant":
        return recipe["lr"]
    if done < 0.1:
        return recipe["lr"] * (0.1 + 9.0 * done)
    return recipe["lr"] * 0.5 * (1.0 + math.cos(math.pi * (done - 0.1) / 0.9))


def dense_cost(stream: Stream, examples: list[float]) -> dict[str, Any]:
    """Fields of a row: what so many examples by arrival cost a dense network."""
    model = stream.task.build_model(len(stream.classes))
    flops = training_flops(count_uses(model, stream.tensors(stream.arrivals[0][:1])[0]).dense_forward())
    total = Masks(model).total
    spent = {"examples": examples, "sparse_flops": [count * flops for count in examples]}
    return {"spent": spent, "active_connections": total, "total_connections": total}


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Whole batches; what is left over is dropped, as a training epoch of raygp does."""
    return (rows[at : at + size] for at in range(0, len(rows) - size + 1, size))
