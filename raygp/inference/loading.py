"""From a version in storage to a model in memory."""

from __future__ import annotations

import torch
from torch import nn

from raygp.errors import InputError
from raygp.sparse import Masks, unpack_model
from raygp.store import Card, Location, read_tensors
from raygp.tasks.protocol import Task


def load_model(location: Location, card: Card, task: Task) -> nn.Module:
    """A version's model on the CPU, in evaluation mode: plain dense tensors, zero where a connection is dormant.

    Args:
        location: root of the line.
        card: of the version.
        task: the line's.

    Raises:
        InputError: the version's file is missing or damaged, or its tensors do not fit the task's model.
    """
    tensors = read_tensors(location, card)
    with torch.random.fork_rng(devices=[]):  # First weights are drawn and thrown away: nobody's draws move by that.
        model = task.build_model(len(card.classes))
    try:
        unpack_model(tensors, model, Masks(model, task.dense))
    except ValueError as error:
        raise InputError(f"{card.version} does not fit task {task.name}: {error}") from error
    return model.eval()
