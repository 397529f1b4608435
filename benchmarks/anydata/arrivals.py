"""The kinds of arrival of the matrix: which rows are old, which are new, and what is done to the new ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional as TF

from benchmarks.anydata.datasets import Loaded, mislabelled, with_labels
from benchmarks.cost.workloads import draw
from raygp.data.ragged import Ragged
from raygp.data.resident import Examples, ResidentData

_VAL_SHARE, _VAL_SEED = 1 / 6, 12345
_ROTATION_DEGREES, _BRIGHTNESS, _BLUR = 25.0, 1.6, 5


@dataclass(frozen=True)
class Part:
    """What arrives together: rows to train on, and held-out rows of the same kind."""

    train: Examples
    val: Examples
    test: Examples
    classes: int
    """Size of the vocabulary once this part is known."""


@dataclass(frozen=True)
class Kind:
    """How a data set is cut into arrivals."""

    cut: Callable[[np.ndarray, int, int], list[np.ndarray]]
    """From class ids of rows, the number of classes and a seed to the rows of each arrival."""
    change: Callable[[Examples, int, bool], Examples] | None = None
    """What is done to later arrivals: examples, seed, whether they are trained on (held-out rows keep their labels)."""
    classes_only: bool = True
    """Whether it makes sense for classes alone, and not for texts."""


def parts(loaded: Loaded, kind: str, seed: int) -> list[Part]:
    """The arrivals of a cell, the first of which the parent is made from.

    Validation rows are a sixth of each class, the same for every seed; what is new is drawn from the seed. The test
    split is cut in the same way as the training rows.
    """
    chosen = KINDS[kind]
    rows = np.arange(len(loaded.train))
    val = draw(rows, loaded.train_labels, _VAL_SHARE, _VAL_SEED)
    train = np.setdiff1d(rows, val)
    number = len(loaded.classes)

    def pieces(examples: Examples, labels: np.ndarray, ids: np.ndarray) -> list[Examples]:
        return [examples.take(ids[piece]) for piece in chosen.cut(labels[ids], number, seed)]

    cut_train = pieces(loaded.train, loaded.train_labels, train)
    cut_val = pieces(loaded.train, loaded.train_labels, val)
    cut_test = pieces(loaded.test, loaded.test_labels, np.arange(len(loaded.test)))
    if chosen.change is not None:
        for group, trained in ((cut_train, True), (cut_val, False), (cut_test, False)):
            group[1:] = [chosen.change(examples, seed, trained) for examples in group[1:]]
    made, known = [], 0
    for trained_on, held_val, held_test in zip(cut_train, cut_val, cut_test, strict=True):
        known = max(known, _classes_of(trained_on)) if loaded.task.labels_are_classes else number
        made.append(Part(trained_on, held_val, held_test, known))
    return made


def data_of(seen: list[Part], new: Part) -> ResidentData:
    """The data of one update."""
    every = [*seen, new]
    groups = {"val": _groups([part.val for part in every]), "test": _groups([part.test for part in every])}
    return ResidentData(
        join([part.train for part in every]),
        sum(len(part.train) for part in seen),
        {"val": join([part.val for part in every]), "test": join([part.test for part in every])},
        groups,  # type: ignore[arg-type]
    )


def join(examples: list[Examples]) -> Examples:
    """Examples one after the other."""
    inputs, targets = ([getattr(each, side) for each in examples] for side in ("inputs", "targets"))
    return Examples(_join(inputs), _join(targets))


def _join(values: list[Tensor] | list[Ragged]) -> Tensor | Ragged:
    if isinstance(values[0], Tensor):
        return torch.cat(values)  # type: ignore[arg-type]
    starts = np.cumsum([0, *(len(each.values) for each in values[:-1])])  # type: ignore[union-attr]
    ends = torch.cat([each.ends + int(start) for each, start in zip(values, starts, strict=True)])  # type: ignore[union-attr]
    return Ragged(torch.cat([each.values for each in values]), ends)  # type: ignore[union-attr]


def _groups(held_out: list[Examples]) -> dict[str, slice]:
    stops = np.cumsum([len(each) for each in held_out])
    return {
        f"arrival {number}": slice(int(stop) - len(each), int(stop))
        for number, (stop, each) in enumerate(zip(stops, held_out, strict=True))
    }


def _classes_of(examples: Examples) -> int:
    assert isinstance(examples.targets, Tensor)
    return int(examples.targets.max()) + 1


# -- cuts ------------------------------------------------------------------------------------------------------------


def _share_new(share: float) -> Callable[[np.ndarray, int, int], list[np.ndarray]]:
    def cut(labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
        rows = np.arange(len(labels))
        new = draw(rows, labels, share, seed)
        return [np.setdiff1d(rows, new), new]

    return cut


def _few_new(count: int) -> Callable[[np.ndarray, int, int], list[np.ndarray]]:
    def cut(labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
        rows = np.arange(len(labels))
        # Of held-out rows as many as a line holds out of so small an arrival would judge nothing: a tenth.
        wanted = count if len(rows) >= 2 * count else max(1, len(rows) // 10)
        new = np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))
        return [np.setdiff1d(rows, new), new]

    return cut


def _new_classes(known: float) -> Callable[[np.ndarray, int, int], list[np.ndarray]]:
    def cut(labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
        first = labels < round(known * classes)
        return [np.flatnonzero(first), np.flatnonzero(~first)]

    return cut


def _unbalanced(labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
    """Half of the rows are old, all classes alike; of the other half, class c comes with a share of 0.7^c."""
    rows = np.arange(len(labels))
    new = draw(rows, labels, 0.5, seed)
    order = np.random.default_rng(seed).permutation(classes)
    kept = [
        members[: max(1, round(len(members) * 0.7 ** int(np.flatnonzero(order == label)[0])))]
        for label in np.unique(labels[new])
        for members in [new[labels[new] == label]]
    ]
    return [np.setdiff1d(rows, new), np.sort(np.concatenate(kept))]


def _in_a_row(labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
    """Half of the rows first, then ten arrivals of a twentieth each."""
    order = np.random.default_rng(seed).permutation(len(labels))
    half = len(order) // 2
    return [np.sort(order[:half]), *(np.sort(piece) for piece in np.array_split(order[half:], 10))]


# -- changes ---------------------------------------------------------------------------------------------------------


def _wrong_labels(examples: Examples, seed: int, trained: bool) -> Examples:
    assert isinstance(examples.targets, Tensor)
    labels = examples.targets.numpy()
    return with_labels(examples, mislabelled(labels, 0.2, int(labels.max()) + 1, seed)) if trained else examples


def _images(change: Callable[[Tensor], Tensor]) -> Callable[[Examples, int, bool], Examples]:
    def changed(examples: Examples, seed: int, trained: bool) -> Examples:
        assert isinstance(examples.inputs, Tensor)
        return Examples(change(examples.inputs), examples.targets)

    return changed


def _brighter(images: Tensor) -> Tensor:
    return (images.float() * _BRIGHTNESS + 30.0).clamp(0, 255).to(torch.uint8)


KINDS: dict[str, Kind] = {
    "half": Kind(_share_new(0.5), classes_only=False),
    "quarter": Kind(_share_new(0.25), classes_only=False),
    "tenth": Kind(_share_new(0.1), classes_only=False),
    "64-rows": Kind(_few_new(64), classes_only=False),
    "wrong-labels": Kind(_share_new(0.25), _wrong_labels),
    "unbalanced": Kind(_unbalanced),
    "brighter": Kind(_share_new(0.25), _images(_brighter)),
    "blurred": Kind(_share_new(0.25), _images(lambda images: TF.gaussian_blur(images, _BLUR))),
    "rotated": Kind(_share_new(0.25), _images(lambda images: TF.rotate(images, _ROTATION_DEGREES))),
    "5+5-classes": Kind(_new_classes(0.5)),
    "8+2-classes": Kind(_new_classes(0.8)),
    "ten-in-a-row": Kind(_in_a_row, classes_only=False),
}
"""By name. In a chain ("ten-in-a-row") every arrival is an update."""
