"""The data sets of the matrix: each a source, a task, and how many of its rows are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cost.workloads import decode, draw, strata
from raygp.data.resident import Examples
from raygp.data.sources import open_source
from raygp.tasks import make_task
from raygp.tasks.protocol import Task

_TEST_SHARE, _DRAW_SEED, _NOISE_SEED = 1 / 6, 54321, 777


@dataclass(frozen=True)
class DataSet:
    """Where a data set comes from, and what is learnt from it."""

    source: str
    """As ``raygp ingest`` takes it; ``{data}`` is the folder that ``--data`` names."""
    task: dict[str, Any]
    rows: int | None = None
    """At most so many training rows, drawn class by class: the matrix has many cells."""
    wrong_labels: float = 0.0
    """Part of the training labels (validation included, the test split not) that is replaced at random."""


DATA_SETS: dict[str, DataSet] = {
    "mnist": DataSet("idx:{data}/mnist", {"name": "lenet-300-100"}, rows=24_000),
    "mnist-wrong": DataSet("idx:{data}/mnist", {"name": "lenet-300-100"}, rows=24_000, wrong_labels=0.1),
    "mnist-lenet-5": DataSet("idx:{data}/mnist", {"name": "lenet-5"}, rows=12_000),
    "digits": DataSet("digits", {"name": "lenet-300-100"}),
    "digits-lenet-5": DataSet("digits", {"name": "lenet-5"}),
    "cifar10-lenet-5": DataSet("imagefolder:{data}/cifar10/cifar10-small.tar", {"name": "lenet-5", "channels": 3}),
    "cifar10": DataSet(
        "imagefolder:{data}/cifar10/cifar10-small.tar",
        {"name": "resnet18-small", "image_size": 32, "augment": "shift-flip"},
    ),
    "tiny-imagenet": DataSet(
        "imagefolder:{data}/tiny-imagenet/tiny-imagenet-20.tar",
        {"name": "resnet18-small", "image_size": 32, "augment": "shift-flip"},
    ),
    "imagenette": DataSet(
        "imagefolder:{data}/imagenette/imagenette-small.tar",
        {"name": "resnet18-small", "image_size": 64, "augment": "shift-flip"},
    ),
    "an4": DataSet("an4:{data}/an4/an4.tar.gz", {"name": "deepspeech2-small"}),
    "tones": DataSet("tones", {"name": "deepspeech2-small"}),
}


@dataclass(frozen=True)
class Loaded:
    """A data set in memory."""

    name: str
    task: Task
    classes: tuple[str, ...]
    """Vocabulary: classes in sorted order, or characters."""
    train: Examples
    train_labels: np.ndarray
    """A number for each row: its class; 0 where labels are texts. int64."""
    test: Examples
    test_labels: np.ndarray


def load(name: str, data: Path) -> Loaded:
    """Decode a data set.

    Raises:
        InputError: its source cannot be read.
    """
    chosen = DATA_SETS[name]
    task = make_task(chosen.task)
    samples = list(open_source(chosen.source.format(data=data)).samples())
    symbols = set().union(*(task.symbols(sample.label) for sample in samples))
    classes = (*task.reserved, *sorted(symbols - set(task.reserved)))
    numbers = strata(task, [sample.label for sample in samples]).astype(np.int64)
    is_test = np.array([sample.split == "test" for sample in samples])
    if not is_test.any():
        is_test[draw(np.arange(len(samples)), numbers, _TEST_SHARE, _DRAW_SEED)] = True
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    if chosen.rows is not None and len(train) > chosen.rows:
        train = draw(train, numbers, chosen.rows / len(train), _DRAW_SEED)
    examples = decode(task, classes, [samples[row] for row in train])
    labels = numbers[train]
    if chosen.wrong_labels:
        labels = mislabelled(labels, chosen.wrong_labels, len(classes), _NOISE_SEED)
        examples = with_labels(examples, labels)
    return Loaded(
        name, task, classes, examples, labels, decode(task, classes, [samples[row] for row in test]), numbers[test]
    )


def mislabelled(labels: np.ndarray, share: float, classes: int, seed: int) -> np.ndarray:
    """The labels with a part of them replaced by another class, drawn evenly."""
    generator = np.random.default_rng(seed)
    wrong = generator.random(len(labels)) < share
    other = (labels + generator.integers(1, classes, len(labels))) % classes
    return np.where(wrong, other, labels)


def with_labels(examples: Examples, labels: np.ndarray) -> Examples:
    """Examples with other class ids."""
    import torch

    return Examples(examples.inputs, torch.from_numpy(labels.astype(np.int64)))
