"""Methods of continual learning with a memory, run by avalanche-lib: experience replay, DER++, GDumb."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from benchmarks.stream.arrivals import Stream, Told
from benchmarks.stream.dense import NEW_EACH, REPLAYED_EACH, dense_cost, learning_rate, optimizer_of
from raygp.errors import InputError

INSTALL = "pip install avalanche-lib==0.6.0, or pip install -e '.[continual]'"
"""Where the peers come from."""


def run_peer(kind: str, memory: int, stream: Stream, recipe: dict[str, Any], seed: int, told: Told) -> dict[str, Any]:
    """Run a method of avalanche-lib on the stream.

    Args:
        kind: ``er``, ``der++`` or ``gdumb``.
        memory: examples that it may keep.
        stream: the data.
        recipe: ``lr``, ``optimizer``, ``schedule`` as for :func:`benchmarks.stream.dense.run_dense`; ``alpha`` and
            ``beta`` of DER++; ``epochs`` of GDumb.
        seed: of weights, order and memory.
        told: called after each arrival.

    Returns:
        Fields of the run's row.

    Raises:
        InputError: avalanche-lib is not installed.
    """
    # avalanche-lib warns of its own deprecated calls, at every arrival, and of solvers that these methods do not use.
    with warnings.catch_warnings(record=True):
        return _run(kind, memory, stream, recipe, seed, told)


def _run(kind: str, memory: int, stream: Stream, recipe: dict[str, Any], seed: int, told: Told) -> dict[str, Any]:
    try:
        from avalanche.benchmarks import benchmark_from_datasets
        from avalanche.benchmarks.utils.classification_dataset import _make_taskaware_tensor_classification_dataset
        from avalanche.core import SupervisedPlugin
        from avalanche.training.plugins import EvaluationPlugin
        from avalanche.training.supervised import DER, GDumb, Replay
    except ImportError as error:
        raise InputError(f"{kind} needs avalanche-lib ({error}): {INSTALL}; or leave it out (--method)") from error

    class Watch(SupervisedPlugin):
        """Sets the learning rate, and counts examples."""

        def __init__(self) -> None:
            super().__init__()
            self.examples, self.done, self.steps = 0.0, 0, 1

        def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
            self.examples, self.done, self.steps = 0.0, 0, len(strategy.dataloader) * strategy.train_epochs

        def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
            strategy.optimizer.param_groups[0]["lr"] = learning_rate(recipe, self.done / self.steps)

        def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
            self.done += 1
            self.examples += len(strategy.mb_x)

    torch.manual_seed(seed)
    model = stream.task.build_model(len(stream.classes))
    watch = Watch()
    common: dict[str, Any] = {
        "model": model, "criterion": nn.CrossEntropyLoss(), "mem_size": memory,
        "optimizer": optimizer_of(model, recipe),
        "train_mb_size": NEW_EACH, "train_epochs": recipe.get("epochs", 1), "plugins": [watch],
        "evaluator": EvaluationPlugin(),
    }  # fmt: skip
    if kind == "er":
        strategy = Replay(**common)
    elif kind == "der++":
        strategy = DER(**common, batch_size_mem=REPLAYED_EACH, alpha=recipe["alpha"], beta=recipe["beta"])
    else:
        strategy = GDumb(**common)
    datasets = []
    for rows in stream.arrivals:
        inputs, targets = stream.tensors(rows)
        datasets.append(_make_taskaware_tensor_classification_dataset(inputs, targets, task_labels=0))
    after, examples = [], []
    for number, experience in enumerate(benchmark_from_datasets(train=datasets).train_stream):
        strategy.train(experience)
        after.append(stream.accuracies(strategy.model, number))
        # Answers that DER++ keeps for its memory are forward passes: a third of an example, as raygp's ledger says.
        kept = len(stream.arrivals[number]) / 3.0 if kind == "der++" else 0.0
        examples.append(watch.examples + kept)
        told(number, after[-1])
    return {"after": after, **dense_cost(stream, examples)}
