"""What a model makes of rows, as one vector each: the input of its output layer, and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Task, Values
from raygp.tasks.traits import labels_are_numbers

MOST = 256
"""Of wider layers so many features are looked at, spread evenly."""


class FeatureWatch:
    """Notes what goes into a model's output layer, for the time of a with block. The model is left as it was.

    Args:
        model: of any task.
        layer: name of its output layer.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        self._layer = dict(model.named_modules()).get(layer)
        self._last: Tensor | None = None
        self._handle: Any = None

    def __enter__(self) -> FeatureWatch:
        if self._layer is not None:
            self._handle = self._layer.register_forward_pre_hook(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.remove()

    def _note(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        first = inputs[0] if inputs else None
        self._last = first.values if isinstance(first, Padded) else first if isinstance(first, Tensor) else None

    def by_row(self, rows: int, outputs: Values) -> np.ndarray | None:
        """What went in at the last forward pass, a vector for each row: means over positions, where there are several.

        Args:
            rows: of the batch.
            outputs: of the model; of sequences they say which positions are padding.

        Returns:
            rows x features; None if the layer was not asked, or its input does not have the rows as its first axis.
        """
        found, self._last = self._last, None
        if found is None or found.ndim < 2 or len(found) != rows:
            return None
        if isinstance(self._layer, nn.modules.conv._ConvNd):
            found = found.movedim(1, -1)
        vectors = _mean_over_positions(found.detach().float(), outputs)
        chosen = np.unique(np.linspace(0, vectors.shape[1] - 1, MOST).astype(np.int64))
        return vectors.cpu().numpy()[:, chosen]


def outputs_by_row(task: Task, outputs: Values, classes: Sequence[str]) -> np.ndarray:
    """A model's answers, a vector for each row: probabilities of classes, a number, or of a sequence the mean
    probabilities of symbols.

    Args:
        task: reads outputs.
        outputs: of the model.
        classes: its vocabulary, by id.
    """
    if isinstance(outputs, Padded):
        shares = Padded(outputs.values.detach().float().softmax(dim=-1), outputs.lengths)
        return _mean_over_positions(shares.values, shares).cpu().numpy()
    answers = task.answers(outputs, classes)
    if labels_are_numbers(task):
        return np.array([[answer.value if answer.value is not None else np.nan] for answer in answers])
    place = {name: number for number, name in enumerate(classes)}
    found = np.zeros((len(answers), len(classes)))
    for row, answer in enumerate(answers):
        for name, probability in answer.probabilities:
            found[row, place[name]] = probability
    return found


def _mean_over_positions(values: Tensor, outputs: Values) -> Tensor:
    """Rows x ... x features as rows x features; of padded sequences, over valid positions alone."""
    if values.ndim == 3 and isinstance(outputs, Padded) and values.shape[1] == outputs.values.shape[1]:
        valid = outputs.valid().to(values.dtype)[:, :, None]
        return torch.sum(values * valid, dim=1) / valid.sum(dim=1).clamp_min(1.0)
    return values.flatten(1, -2).mean(dim=1) if values.ndim > 2 else values
