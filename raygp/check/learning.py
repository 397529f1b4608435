"""Checks of what a task learns by: loss, gradient, metric, and answers."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from raygp.check.finding import Fault
from raygp.check.subject import Subject, differ, pick, shape_of
from raygp.data.listing import listed
from raygp.sparse.layers import prunable_layers
from raygp.tasks.protocol import Task

_SURE = 10.0
"""A logit of a model that is sure."""
_MANY = 32
"""Classes, among which a metric that counts the first few tells right from wrong."""


def loss(subject: Subject) -> str:
    """A finite number for each example, which depends on that example alone, and is lower for right answers."""
    task, count = subject.task, len(subject.rows)
    with torch.no_grad():
        losses = task.losses(subject.outputs, subject.targets)
    _one_each(losses, count, "the loss")
    _finite_each(subject, losses, "the loss")
    for row in {0, count - 1}:
        alone = task.losses(pick(subject.outputs, [row]), pick(subject.targets, [row]))
        if differ(alone.detach()[0], losses[row]):
            raise Fault(f"the loss of {subject.rows[row].key} depends on the other samples of its batch")
    if subject.is_classifier:
        _takes_logits(subject)
        right, wrong = (float(task.losses(*sure).detach().mean()) for sure in _answers(subject))
        if right >= wrong:
            higher = "the same for right and wrong answers" if right == wrong else "higher for right answers"
            raise Fault(
                f"the loss is {higher}: {right:.4g} where the model is sure and right, {wrong:.4g} "
                "where it is sure and wrong"
            )
    return f"{_whose(task, 'loss', 'losses')}: {float(losses.mean()):.4g} on average before training"


def _takes_logits(subject: Subject) -> None:
    """The usual loss gets no probabilities.

    Raises:
        Fault: it does.
    """
    # Whoever writes a loss may want probabilities.
    if getattr(subject.task, "loss", None) is None and are_probabilities(subject.outputs):
        raise Fault(
            "outputs of every row are positive and sum to 1, so the model ends in a softmax, and cross entropy takes "
            "the softmax of its outputs itself: the model would learn slowly, or badly. Leave the model's last softmax "
            "out"
        )


def are_probabilities(outputs: object) -> bool:
    """Whether every row of outputs is positive and sums to 1, as after a softmax."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < 2:
        return False
    sums = outputs.detach().double().sum(dim=1)
    return bool((outputs >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), rtol=0, atol=1e-4)


def teaching(subject: Subject) -> str:
    """The distance from a teacher that knows fewer classes is a finite number for each example."""
    task, outputs = subject.task, subject.outputs
    taught = outputs
    if subject.is_classifier and len(subject.classes) > 2:
        taught = outputs[:, :-1]
    found = task.divergences(outputs, taught, subject.targets, 2.0)
    _one_each(found, len(subject.rows), "divergences")
    _finite_each(subject, found.detach(), "divergences")
    return "of a parent's answers, too"


def gradient(subject: Subject) -> str:
    """Every parameter gets a finite gradient."""
    task, model = subject.task, subject.network.train()
    model.zero_grad()
    before = {name: value.clone() for name, value in model.named_buffers()}
    losses = task.losses(model(task.prepare(subject.inputs, subject.draws(2))), subject.targets)
    if not losses.requires_grad:
        raise Fault("the loss has no gradient: it must be computed from the outputs by torch, without detach or numpy")
    losses.mean().backward()
    for name, value in model.named_buffers():
        value.copy_(before[name])
    prunable = {layer.parameter for layer in prunable_layers(model, task.dense)}
    still = [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad and name in prunable]
    if still:
        raise Fault(f"no gradient for {listed(still, 3)}: the model's forward does not use it, or cuts it off (detach)")
    if frozen:
        raise Fault(f"{listed(frozen, 3)} is prunable and frozen (requires_grad=False): growth needs its gradient")
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            raise Fault(f"the gradient of {name} is NaN or infinite")
    found = ((name, parameter.grad) for name, parameter in model.named_parameters())
    silent = [name for name, grad in found if grad is not None and not bool(grad.any())]
    model.zero_grad()
    told = f"; it is zero on these rows for {listed(silent, 3)}" if silent else ""
    return f"for all {sum(1 for _ in model.parameters())} parameters{told}"


def metric(subject: Subject) -> str:
    """Points and weights of each example, more for right answers."""
    task, count = subject.task, len(subject.rows)
    found = task.score(subject.outputs, subject.targets)
    names = len(task.metrics)
    if not isinstance(found, Tensor) or found.shape != (count, names, 2):
        raise Fault(f"score must give {count} x {names} x 2 ({', '.join(task.metrics)}), and gives {shape_of(found)}")
    points, weights = found.detach().double().unbind(dim=2)
    if not bool(torch.isfinite(found).all()) or bool((weights < 0).any()):
        raise Fault("score gives points or weights that are not finite, or weights below 0")
    for place, name in enumerate(task.metrics):
        least = 0.0 if task.labels_are_classes or _is_own(subject, place) else -torch.inf
        outside = (points[:, place] > weights[:, place] + 1e-6) | (points[:, place] < least - 1e-6)
        if bool(outside.any()):
            row = int(outside.nonzero()[0])
            raise Fault(
                f"{name} must give each example from 0 to {float(weights[row, place]):g} points, and gives "
                f"{float(points[row, place]):.4g} for {subject.rows[row].key}"
            )
    if subject.is_classifier:
        for place, name in enumerate(task.metrics):
            right, wrong = _points_of_answers(subject, place)
            if right <= wrong:
                tells = ": it does not tell them apart" if right == wrong else ""
                raise Fault(f"{name} gives {right:.4g} points for right answers and {wrong:.4g} for wrong ones{tells}")
    elif not task.sequences:
        _looks_at_numbers(subject)
    values = ", ".join(f"{name} {_value(points, weights, place)}" for place, name in enumerate(task.metrics))
    return f"{_whose(task, 'metric', 'score')}: {values}"


def answers(subject: Subject) -> str:
    """What the model says of each sample can be read."""
    found = subject.task.answers(subject.outputs, subject.classes)
    if len(found) != len(subject.rows):
        raise Fault(f"answers gives {len(found)} for {len(subject.rows)} samples")
    if subject.is_classifier and (strange := [one.label for one in found if one.label not in subject.classes]):
        raise Fault(f"answers names '{strange[0]}', which is no class")
    return f"such as '{found[0].label}' for {subject.rows[0].key}"


def _whose(task: Task, function: str, method: str) -> str:
    """Whether a loss or metric is one's own, and where it stands; else what that of this kind of task is."""
    mine = getattr(type(task), method, None)
    own = mine if getattr(mine, "__module__", "") == type(task).__module__ else getattr(task, function, None)
    if own is not None:
        code = getattr(own, "__code__", None)
        return f"yours, line {code.co_firstlineno}" if code else "yours"
    if function == "metric":
        return "raygp's"
    return "CTC" if task.sequences else "cross entropy" if task.labels_are_classes else "squared error"


def _is_own(subject: Subject, place: int) -> bool:
    return place == 0 and getattr(subject.task, "metric", None) is not None


def _value(points: Tensor, weights: Tensor, place: int) -> str:
    total = float(weights[:, place].sum())
    return f"{float(points[:, place].sum()) / total:.3f}" if total else "without weight"


def _looks_at_numbers(subject: Subject) -> None:
    """Where answers are numbers, points depend on them.

    Raises:
        Fault: they do not.
    """
    right = subject.targets.reshape(subject.outputs.shape).to(subject.outputs)
    points = [subject.task.score(right + off, subject.targets)[:, :, 0] for off in (0, 3, -3)]
    for place, name in enumerate(subject.task.metrics):
        if all(torch.equal(points[0][:, place], each[:, place]) for each in points):
            raise Fault(f"{name} gives the same points whatever the answer: it does not tell right from wrong")


def _points_of_answers(subject: Subject, place: int) -> tuple[float, float]:
    """Points of a metric for right answers, and for wrong ones."""

    def points(classes: int) -> tuple[float, float]:
        right, wrong = (subject.task.score(*sure)[:, place, 0].double().mean() for sure in _answers(subject, classes))
        return float(right), float(wrong)

    found = points(len(subject.classes))
    if found[0] == found[1]:
        # Among few classes, everything is among the best five.
        with contextlib.suppress(Exception):  # A metric may know how many classes there are.
            found = points(_MANY)
    return found


def _answers(subject: Subject, classes: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Outputs of a model that is sure and right, and of one that is sure and wrong, with the targets."""
    classes = classes or len(subject.classes)
    every = torch.arange(len(subject.rows))
    made = []
    for moved in (0, 1):
        sure = torch.full((len(subject.rows), classes), -_SURE)
        if moved:
            sure[every, subject.targets] = -2 * _SURE  # Of all classes the last.
        sure[every, (subject.targets + moved) % classes] = _SURE
        made.append((sure, subject.targets))
    return made


def _one_each(found: object, count: int, what: str) -> None:
    if not isinstance(found, Tensor) or found.shape != (count,):
        gives = shape_of(found) if not isinstance(found, Tensor) or found.ndim else "one number in all"
        raise Fault(f"{what} must be one number for each example, shape ({count},), and is {gives}")


def _finite_each(subject: Subject, found: Tensor, what: str) -> None:
    bad = (~torch.isfinite(found)).nonzero()
    if len(bad):
        row = int(bad[0])
        raise Fault(f"{what} of {subject.rows[row].key} (label '{subject.rows[row].label}') is {float(found[row])}")
