"""A version as one module: decoded samples in, outputs out. What is exported is this, so that whoever runs it need not
know how the task normalises.

Names of inputs and outputs are the same in every format. A task of sequences has two of each, values and lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from raygp.data.ragged import stacked
from raygp.store import Card
from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Task

Arrays = tuple[np.ndarray, ...]
"""One array; of a task of sequences two: values (N x T x ...) and lengths (int64, shape (N,))."""
Run = Callable[[Arrays], Arrays]
"""Runs an exported model on a batch of decoded samples."""


class Whole(nn.Module):
    """Preparation without augmentation, then the model: decoded samples N x ... to outputs."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of a batch."""
        outputs: Tensor = self.model(self.task.prepare(inputs, None))
        return outputs


class WholeOfSequences(Whole):
    """The same for padded sequences: values N x T x ... and lengths, in and out."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Outputs of a batch and their lengths."""
        outputs = self.model(self.task.prepare(Padded(inputs, lengths), None))
        return outputs.values, outputs.lengths


@dataclass(frozen=True)
class Subject:
    """The version that is exported, in memory."""

    task: Task
    card: Card
    model: nn.Module
    """Of the version, in evaluation mode, on the CPU."""
    examples: Sequence[np.ndarray]
    """A few decoded samples, not all of the same length where they are sequences."""

    @property
    def module(self) -> nn.Module:
        """Preparation and model as one."""
        kind = WholeOfSequences if self.task.sequences else Whole
        return kind(self.task, self.model).eval()

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of the inputs and of the outputs, in order."""
        if self.task.sequences:
            return ("inputs", "lengths"), ("outputs", "output_lengths")
        return ("inputs",), ("outputs",)

    @property
    def dynamic(self) -> dict[str, dict[int, str]]:
        """By input, the axes of which any size will do, and their names."""
        if self.task.sequences:
            return {"inputs": {0: "batch", 1: "time"}, "lengths": {0: "batch"}}
        return {"inputs": {0: "batch"}}

    def batch(self, decoded: Sequence[np.ndarray]) -> Arrays:
        """Decoded samples as the module's inputs."""
        found = stacked(decoded, self.task.sequences)
        return (found.values.numpy(), found.lengths.numpy()) if self.task.sequences else (found.numpy(),)

    def run(self, inputs: Arrays) -> Arrays:
        """What the version itself answers: what every exported file is compared with."""
        return run_module(self.module, inputs)


def run_module(module: nn.Module, inputs: Arrays) -> Arrays:
    """Outputs of a module as arrays."""
    with torch.inference_mode():
        found = module(*(torch.from_numpy(array) for array in inputs))
    outputs = found if isinstance(found, tuple) else (found,)
    return tuple(output.numpy() for output in outputs)
