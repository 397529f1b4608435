"""What a model says of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """A model's answer to one sample, or why there is none."""

    label: str
    """The most probable class, the transcript, or the number as text. Empty where there is no answer."""
    probabilities: tuple[tuple[str, float], ...] = ()
    """All classes with their probabilities, the most probable first. Empty where answers are no classes."""
    value: float | None = None
    """The number, where the answer is one."""
    problem: str = ""
    """Why the sample could not be read; empty where it was answered."""

    def plain(self, top: int) -> dict[str, Any]:
        """The answer as JSON has it: ``error`` where there is none; else ``label``, with ``value`` or ``probabilities``
        (of the ``top`` most probable classes, in that order) where there are any."""
        if self.problem:
            return {"error": self.problem}
        said: dict[str, Any] = {"label": self.label}
        if self.value is not None:
            said["value"] = self.value
        if self.probabilities:
            said["probabilities"] = dict(self.probabilities[:top])
        return said


def class_answers(logits: Tensor, classes: Sequence[str]) -> list[Answer]:
    """Answers of a classifier.

    Args:
        logits: N x classes.
        classes: their names, by id.
    """
    probabilities = logits.double().softmax(dim=1)
    # Of equal probabilities the earlier class comes first, as argmax has it.
    sorted_ = probabilities.sort(dim=1, descending=True, stable=True)
    answers = []
    for values, ids in zip(sorted_.values.tolist(), sorted_.indices.tolist(), strict=True):
        ranked = tuple((classes[i], value) for i, value in zip(ids, values, strict=True))
        answers.append(Answer(ranked[0][0], ranked))
    return answers
