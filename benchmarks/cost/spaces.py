"""The recipes that ``benchmarks/tune_baselines.py`` tries, by workload and method.

A space maps dotted fields of a plan to the values they may take; a method's are tried one after the other. A recipe is
what it changes in the method's own plan (:mod:`benchmarks.cost.methods`); ``parent`` is that of what it starts from.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

from benchmarks.cost.methods import NARROW

Recipe = dict[str, Any]
Space = dict[str, list[Any]]
_LENET_DENSE: Space = {"epochs": [4, 5, 6, 8, 12, 20], "lr": [0.05, 0.1, 0.2], "optimizer.weight_decay": [2e-4, 5e-4]}
_LENET_TUNE: Space = {"epochs": [1, 2, 3, 4, 5], "lr": [0.02, 0.05, 0.1, 0.2], "optimizer.weight_decay": [2e-4, 5e-4]}
_LENET_SHRUNK: Space = {"epochs": [3, 5], "lr": [0.05, 0.1], "shrink": [0.5, 0.7], "optimizer.weight_decay": [2e-4]}
_LENET_GROW: Space = {
    "epochs": [6, 8, 12, 20], "lr": [0.1, 0.2], "seed_density": [0.2, 0.4, 0.7], "optimizer.weight_decay": [5e-4, 1e-3],
}  # fmt: skip
_LENET_UPDATE: list[Space] = [
    # The default plan as it is ...
    {"epochs": [8], "lr": [0.2]},
    # ... and shorter ones at lower rates, for little that is new.
    {"epochs": [5, 6], "lr": [0.05, 0.1], "optimizer.weight_decay": [1e-3, 2e-3]},
    # With much that is new the default plan ends at the threshold itself: a little longer.
    {"epochs": [9, 10], "lr": [0.2], "optimizer.weight_decay": [5e-4, 1e-3]},
    {"epochs": [8], "lr": [0.2], "arrival.share": [0.4]},
    # From a smaller parent: no better.
    {"epochs": [8], "lr": [0.2], "shrink": [0.3, 0.5, 0.7, 0.85], "arrival.share": [0.4]},
    {"epochs": [6], "lr": [0.1], "shrink": [0.5, 0.7, 0.85], "optimizer.weight_decay": [2e-3]},
    {"epochs": [6], "lr": [0.1], "shrink": [0.7], "optimizer.weight_decay": [1e-3]},
    # Learning from the parent too, with little or no replay: keeps what the parent knows, adds little.
    {"epochs": [5, 8], "lr": [0.02, 0.05], "distillation.weight": [0.5], "replay.share": [0.0, 0.05]},
]
_LENET_5_PART: Space = {"optimizer.weight_decay": [5e-4], "arrival.share": [0.4], "replay.share": [0.05]}
_PRUNED_SOON = {"kind": "prune-permanent", "gradual": True, "start": 0.0, "end": 0.4}
_SOON = [{"kind": "grow-new", "epochs": 0}, _PRUNED_SOON]
_EARLIEST = [{"kind": "grow-new", "sample": 0.02, "epochs": 0}, _PRUNED_SOON]
_RESNET_PARENT: Recipe = {"epochs": 24, "lr": 0.1, "seed_density": 0.7, "density": 0.3}
_EARLY = [{"kind": "grow-new", "epochs": 1, "schedule": "constant"}, {"kind": "prune-permanent", "gradual": True}]
_LATE = [
    {"kind": "grow-new", "epochs": 0},
    {"kind": "prune-permanent", "gradual": True, "start": 0.4, "end": 0.9},
]
_LOOSE: Recipe = {"clip_norm": 10.0}
"""What most of speech was searched with."""
_SPEECH_PARENT: Recipe = {
    "epochs": 60, "batch_size": 16, "seed_density": 1.0, "density": 0.3, "phases": _EARLY,
} | _LOOSE  # fmt: skip
_SPEECH_SHORT_SPARSE: Recipe = {
    "epochs": 30, "lr": 0.003, "batch_size": 16, "seed_density": 0.4, "phases": _EARLY,
} | _LOOSE  # fmt: skip
_SPEECH_LONG: Recipe = {"epochs": 120, "lr": 0.003, "batch_size": 16} | _LOOSE
"""A parent that has taken as many steps on half of the data as the reference on all of them."""
_SPEECH_AS_MANY_STEPS = (120, 80, 67)
"""Epochs of a parent that takes as many steps as the reference, on 50, 75 and 90 % of the data."""
_SPEECH_LONG_SPARSE: Recipe = _SPEECH_LONG | {"seed_density": 1.0, "density": 0.3, "phases": _EARLY}
_SPEECH_LONG_HALF: Recipe = _SPEECH_LONG_SPARSE | {"density": 0.5}
_SPEECH_LATE: Recipe = _SPEECH_LONG_SPARSE | {"phases": _LATE}
_SPEECH_CLIPPED: list[Recipe] = [
    _SPEECH_LATE | {"epochs": epochs, "clip_norm": 1.0} for epochs in _SPEECH_AS_MANY_STEPS
]


def _speech(
    epochs: list[int],
    parent: Recipe,
    *,
    density: float = 0.3,
    replay: Sequence[float] = (1.0,),
    lr: Sequence[float] = (0.003,),
    alpha: Sequence[float] = (0.1,),
    shrink: float = 1.0,
    start: float = 0.1,
    end: float = 0.7,
    batch_size: int = 16,
    weight: float = 0.0,
) -> Space:
    """Updates of speech; ``start`` and ``end`` are the parts of the steps that pruning lies between, ``weight`` that of
    what the parent says. Gradients are clipped as the parent's were."""
    phases = [
        {"kind": "grow-new", "epochs": 0},
        {"kind": "prune-permanent", "gradual": True, "start": start, "end": end},
    ]
    return {
        "epochs": epochs, "lr": list(lr), "replay.share": list(replay), "density": [density], "shrink": [shrink],
        "alpha": list(alpha), "phases": [phases], "batch_size": [batch_size], "parent": [parent],
        "clip_norm": [parent["clip_norm"]],
    } | ({"distillation.weight": [weight]} if weight else {})  # fmt: skip


def _paper(epochs: int) -> list[dict[str, Any]]:
    """The phases of the plan ``paper``, each (each round of pruning) so many epochs long."""
    rounds = {"epochs": epochs, "rounds": 4, "beta": 0.3}
    return [
        {"kind": "grow-new", "epochs": epochs, "schedule": "constant"},
        {"kind": "grow-all", "epochs": epochs, "schedule": "constant"},
        {"kind": "prune-recoverable"} | rounds,
        {"kind": "prune-permanent"} | rounds,
    ]


_UNTAUGHT: Space = {"distillation.weight": [0.0], "distillation.fades_at": [None]}
"""The default plan of ResNet-18 learns from the parent."""


def _resnet(epochs: list[int], lr: list[float], replay: list[float], changes: Space | None = None) -> Space:
    """Updates of ResNet-18, from a parent with more connections than the default plan's."""
    common: Space = {"density": [0.3], "replay.share": replay, "parent": [_RESNET_PARENT]}
    return {"epochs": epochs, "lr": lr} | common | _UNTAUGHT | (changes or {})


_LENET_NARROW: dict[str, Space | list[Space]] = {
    # Small networks take longer and forgive less decay.
    "tfs": {"epochs": [12, 24], "lr": [0.1, 0.2], "optimizer.weight_decay": [1e-4]},
    "nft": {"epochs": [3, 5], "lr": [0.05, 0.1], "optimizer.weight_decay": [1e-4]},
}
_NARROW: dict[str, dict[str, Space | list[Space]]] = {
    "lenet-300-100": _LENET_NARROW,
    "lenet-5": _LENET_NARROW,
    "resnet18": {
        "tfs": {"epochs": [24, 36], "lr": [0.1, 0.2], "optimizer.weight_decay": [5e-4]},
        "nft": {"epochs": [8, 10], "lr": [0.1, 0.2], "shrink": [0.5], "optimizer.weight_decay": [5e-4]},
    },
    "deepspeech2": {
        "tfs": {"epochs": [60, 90], "lr": [0.003, 0.006], "batch_size": [16], "clip_norm": [1.0]},
        "nft": {"epochs": [12, 20], "lr": [0.003], "shrink": [0.5], "batch_size": [16], "clip_norm": [1.0]},
    },
}
"""For dense networks with fewer units."""
SPACES: dict[str, dict[str, Space | list[Space]]] = {
    "lenet-300-100": {
        "tfs": _LENET_DENSE, "nft": [_LENET_TUNE, _LENET_SHRUNK], "gp-fs": _LENET_GROW, "raygp": _LENET_UPDATE,
    },
    "lenet-5": {
        "tfs": {"epochs": [4, 6, 8, 12], "lr": [0.02, 0.05, 0.1], "optimizer.weight_decay": [5e-4]},
        "nft": [
            {"epochs": [1, 2, 3], "lr": [0.02, 0.05, 0.1], "optimizer.weight_decay": [5e-4]},
            # From a smaller parent: no better.
            {"epochs": [3], "lr": [0.05, 0.1], "shrink": [0.5, 0.7], "optimizer.weight_decay": [5e-4]},
        ],
        "gp-fs": {"epochs": [6, 10], "lr": [0.05, 0.1], "seed_density": [0.4], "optimizer.weight_decay": [5e-4]},
        "raygp": [
            {
                "epochs": [4, 6, 8], "lr": [0.05, 0.1], "optimizer.weight_decay": [5e-4, 1e-3],
                "arrival.share": [0.2, 0.4], "replay.share": [0.05, 0.1],
            },
            # The first one's best ended at the reference itself: more of the arrival, more of the past ...
            {
                "epochs": [6, 8], "lr": [0.1], "optimizer.weight_decay": [5e-4],
                "arrival.share": [0.4, 0.7, 1.0], "replay.share": [0.1, 0.2],
            },
            # ... which does not help; a higher rate, and a parent that has trained for longer.
            {
                "epochs": [4, 6], "lr": [0.15, 0.2], "optimizer.weight_decay": [5e-4],
                "arrival.share": [0.4], "replay.share": [0.05, 0.1],
            },
            {
                "epochs": [6], "lr": [0.1, 0.2], "optimizer.weight_decay": [5e-4], "arrival.share": [0.4],
                "replay.share": [0.05, 0.1],
                "parent": [{"epochs": 12, "lr": 0.1, "seed_density": 0.4, "optimizer": {"weight_decay": 5e-4}}],
            },
            # With little that is new, the parent is near the reference: a high rate would lose what it knows.
            {
                "epochs": [4, 6], "lr": [0.02, 0.05], "optimizer.weight_decay": [5e-4],
                "arrival.share": [0.4, 1.0], "replay.share": [0.05, 0.1],
            },
            # From a smaller parent: no better.
            {"epochs": [4, 6], "lr": [0.15], "shrink": [0.7]} | _LENET_5_PART,
            {"epochs": [6], "lr": [0.1, 0.15], "shrink": [0.5]} | _LENET_5_PART,
            # Pruned earlier.
            {"epochs": [4, 5, 6], "lr": [0.15], "phases": [_EARLIEST]} | _LENET_5_PART,
        ],
    },
    # Complete where sparse, since the default plans of this task have changed with what was found here.
    "deepspeech2": {
        "tfs": [
            {"epochs": [20, 30, 60], "lr": [0.003], "batch_size": [16], "clip_norm": [10.0]},
            # Gradients clipped earlier: three points better.
            {"epochs": [60], "lr": [0.003], "batch_size": [16], "clip_norm": [1.0]},
            # Twice the steps of an epoch: no better.
            {"epochs": [30], "lr": [0.003], "batch_size": [8], "clip_norm": [10.0]},
        ],
        "nft": [
            {"epochs": [8, 12, 20], "lr": [0.003], "batch_size": [16], "clip_norm": [10.0]},
            {"epochs": [12, 20], "lr": [0.003], "batch_size": [16], "clip_norm": [10.0], "parent": [_SPEECH_LONG]},
            {
                "epochs": [12, 20], "lr": [0.003], "shrink": [0.5], "batch_size": [16], "clip_norm": [10.0],
                "parent": [_SPEECH_LONG],
            },
            # With little that is new, from parents of as many steps.
            {
                "epochs": [12], "lr": [0.003], "shrink": [0.5], "batch_size": [16], "clip_norm": [10.0],
                "parent": [_SPEECH_LONG | {"epochs": 80}],
            },
            {
                "epochs": [8], "lr": [0.003], "shrink": [0.7], "batch_size": [16], "clip_norm": [10.0],
                "parent": [_SPEECH_LONG | {"epochs": 80}],
            },
            {
                "epochs": [8], "lr": [0.003], "shrink": [0.7], "batch_size": [16], "clip_norm": [10.0],
                "parent": [_SPEECH_LONG | {"epochs": 67}],
            },
            # Gradients clipped earlier.
            {
                "epochs": [12, 20], "lr": [0.003], "shrink": [0.5], "batch_size": [16], "clip_norm": [1.0],
                "parent": [_SPEECH_LONG | {"epochs": epochs, "clip_norm": 1.0} for epochs in _SPEECH_AS_MANY_STEPS],
            },
        ],
        "gp-fs": [
            {
                "epochs": [30], "lr": [0.003], "seed_density": [0.4], "phases": [_EARLY], "batch_size": [16],
                "clip_norm": [10.0],
            },
            {
                "epochs": [60], "lr": [0.003], "seed_density": [0.5], "density": [0.3], "phases": [_EARLY],
                "batch_size": [16], "clip_norm": [10.0],
            },
            # Pruned late, from all connections: seven points better, five with fewer of them.
            {
                "epochs": [60], "lr": [0.003], "seed_density": [1.0], "density": [0.2, 0.3], "phases": [_LATE],
                "batch_size": [16], "clip_norm": [10.0],
            },
            {
                "epochs": [60], "lr": [0.003], "seed_density": [1.0], "density": [0.3], "phases": [_LATE],
                "batch_size": [16], "clip_norm": [1.0],
            },
        ],
        "raygp": [
            _speech([8, 12], _SPEECH_SHORT_SPARSE, density=0.2, replay=[0.3]),
            _speech([8, 14], _SPEECH_PARENT, replay=[0.5, 1.0]),
            _speech([14, 20], _SPEECH_LONG_SPARSE),
            # Neither new utterances heard more often nor twice the steps help.
            _speech([24], _SPEECH_LONG_SPARSE, replay=[0.25]),
            _speech([14], _SPEECH_LONG_SPARSE, batch_size=8),
            _speech([20], _SPEECH_LONG_SPARSE, replay=[0.4], batch_size=8),
            # Nor do more connections, or higher rates.
            _speech([14], _SPEECH_LONG_HALF, density=0.5, lr=[0.003, 0.006, 0.01]),
            _speech([14], _SPEECH_LONG_HALF, density=0.5, lr=[0.002], alpha=[0.5]),
            _speech([20], _SPEECH_LONG_HALF, density=0.5),
            # A smaller parent does: the better, the longer the update ...
            _speech([14, 20, 30], _SPEECH_LONG_SPARSE, shrink=0.5),
            _speech([14, 20], _SPEECH_LONG_HALF, density=0.5, shrink=0.5),
            _speech([14], _SPEECH_LONG_SPARSE, shrink=0.3),
            _speech([20], _SPEECH_LONG_SPARSE, shrink=0.7),
            _speech([30], _SPEECH_LONG_SPARSE, shrink=0.5, replay=[0.5]),
            # ... and the more connections wake up, if they are given time before they are pruned.
            _speech([20], _SPEECH_LONG_SPARSE, shrink=0.5, alpha=[0.5, 1.0], start=0.3, end=0.8),
            _speech([20], _SPEECH_LONG_HALF, density=0.5, shrink=0.5, alpha=[1.0], start=0.3, end=0.8),
            _speech([20, 24], _SPEECH_LONG_SPARSE, shrink=0.5, alpha=[1.0], start=0.4, end=0.9),
            # A parent that was pruned late itself makes no difference.
            _speech([24], _SPEECH_LATE, shrink=0.5, alpha=[1.0], start=0.4, end=0.9),
            # With little that is new: learning from the parent adds nothing.
            _speech([12], _SPEECH_LONG_SPARSE, replay=[0.5], shrink=0.7, alpha=[1.0], start=0.4, end=0.9),
            _speech([12], _SPEECH_LONG_SPARSE, replay=[0.5], shrink=0.7, alpha=[1.0], start=0.4, end=0.9, weight=0.5),
            _speech([8], _SPEECH_LONG_SPARSE, replay=[0.5], lr=[0.001], alpha=[1.0], start=0.4, end=0.9, weight=0.5),
            # From parents of as many steps, with more of their data.
            _speech([16, 24], _SPEECH_LATE | {"epochs": 80}, shrink=0.5, alpha=[1.0], start=0.4, end=0.9),
            # Gradients clipped earlier.
            *(
                _speech([12, 16, 24], parent, shrink=0.5, alpha=[1.0], start=0.4, end=0.9)
                for parent in _SPEECH_CLIPPED
            ),
            # Pruned earlier, 12 or 16 epochs do not do what 24 do ...
            *(
                _speech([12, 16], parent, shrink=0.5, alpha=[1.0], start=0.2, end=0.7)
                for parent in _SPEECH_CLIPPED
            ),
            # ... nor, with a tenth that is new, less shrinking or half of the old data.
            _speech([12], _SPEECH_CLIPPED[-1], shrink=0.7, alpha=[1.0], start=0.2, end=0.7),
            _speech([20], _SPEECH_CLIPPED[-1], shrink=0.5, alpha=[1.0], start=0.2, end=0.7, replay=[0.5]),
        ],
        # From the parents of raygp, and to their density.
        "paper": {
            "density": [0.3], "replay.share": [1.0], "shrink": [1.0, 0.5],
            "phases": [_paper(epochs) for epochs in (1, 2, 4)],
        },
    },
    "resnet18": {
        "tfs": {"epochs": [9, 14, 24], "lr": [0.05, 0.1], "optimizer.weight_decay": [5e-4]},
        "nft": [
            {"epochs": [4, 6, 10], "lr": [0.05], "optimizer.weight_decay": [5e-4]},
            # From a smaller parent a higher rate is better: half a point and more.
            {"epochs": [6, 8, 10], "lr": [0.05, 0.1], "shrink": [0.5], "optimizer.weight_decay": [5e-4]},
            {"epochs": [6, 8], "lr": [0.2], "shrink": [0.5], "optimizer.weight_decay": [5e-4]},
            {"epochs": [4], "lr": [0.02], "optimizer.weight_decay": [5e-4]},
            {"epochs": [6], "lr": [0.05], "distillation.weight": [0.5], "optimizer.weight_decay": [5e-4]},
        ],
        "gp-fs": {"epochs": [14], "lr": [0.05, 0.1], "optimizer.weight_decay": [5e-4]},
        "raygp": [
            {"epochs": [6], "lr": [0.05, 0.1], "arrival.share": [0.7], "replay.share": [0.3, 0.5]} | _UNTAUGHT,
            _resnet([4, 6], [0.1], [0.5, 1.0]),
            _resnet([10], [0.1, 0.2], [1.0]),
            _resnet([10], [0.2], [1.0], {"shrink": [0.5, 0.7]}),
            # Shorter: 8 epochs end 0.3 points lower, 7 and 6 by one and two; a higher rate, smaller batches, an even
            # smaller parent, pruning early and choosing by loss do not make up for it.
            _resnet([6, 7, 8], [0.2], [1.0], {"shrink": [0.5]}),
            _resnet([8], [0.3], [1.0], {"shrink": [0.5]}),
            _resnet([8], [0.2], [1.0], {"shrink": [0.5], "batch_size": [32]}),
            _resnet([8], [0.2], [1.0], {"shrink": [0.4]}),
            _resnet([8], [0.2], [1.0], {"shrink": [0.5], "phases": [_SOON]}),
            _resnet(
                [8], [0.2], [0.7],
                {"replay.hard": [0.5], "arrival.share": [0.7], "arrival.hard": [0.5], "shrink": [0.5]},
            ),
            # With little that is new, the parent is near the reference, and an update loses what it knows ...
            _resnet([10], [0.2], [0.3], {"shrink": [0.5]}),
            _resnet([10], [0.1], [0.3], {"shrink": [0.7]}),
            _resnet([6], [0.02], [0.3]),
            _resnet([8], [0.05], [0.3]),
            # ... unless it learns from the parent.
            _resnet([6], [0.02], [0.3], {"distillation.weight": [0.5]}),
            _resnet([8], [0.05], [0.3, 0.5, 1.0], {"distillation.weight": [0.5]}),
            _resnet([8], [0.1], [0.3], {"distillation.weight": [0.5]}),
            _resnet([8], [0.05], [0.3], {"distillation.weight": [0.8]}),
            # With much that is new, its answers hold the update back.
            _resnet([8], [0.1], [1.0], {"distillation.weight": [0.5]}),
            _resnet([10], [0.2], [1.0], {"shrink": [0.5], "distillation.weight": [0.5]}),
            # Nor do they add anything to a smaller parent where little is new.
            _resnet([6, 8], [0.2], [1.0], {"shrink": [0.5], "distillation.weight": [0.5]}),
            _resnet([8], [0.1], [0.5], {"shrink": [0.7], "distillation.weight": [0.5]}),
            # Late pruning from all connections: no difference.
            _resnet([10], [0.2], [1.0], {"shrink": [0.5], "alpha": [1.0], "phases": [_LATE]}),
            # With a quarter that is new, they gain less than a smaller parent.
            _resnet([10], [0.1], [0.5], {"shrink": [0.7], "distillation.weight": [0.5]}),
            # The default plan, without and with them.
            {
                "epochs": [8], "lr": [0.05], "parent": [{"epochs": 24, "lr": 0.1, "optimizer": {"weight_decay": 5e-4}}],
                "distillation.weight": [0.0, 0.5, 0.8], "distillation.fades_at": [None],
            },
            # ... and at the job's rate, from parents that have trained for less.
            *(
                {
                    "epochs": [epochs], "lr": [0.02], "parent": [{"epochs": 2 * epochs, "lr": 0.02}],
                    "distillation.weight": [0.0, 0.5], "distillation.fades_at": [None],
                }
                for epochs in (4, 8)
            ),
        ],
        "paper": {
            "density": [0.3], "replay.share": [1.0], "shrink": [1.0, 0.5], "lr": [0.05, 0.1],
            "phases": [_paper(epochs) for epochs in (1, 2)],
        },
    },
}  # fmt: skip
for _workload, _spaces in _NARROW.items():
    SPACES[_workload] |= {f"{size}-{method}": space for size in NARROW for method, space in _spaces.items()}


def recipes_of(space: Space | list[Space], trials: int, seed: int) -> list[Recipe]:
    """All recipes of a space, or a seeded draw of ``trials`` of them; of several spaces, so many of each."""
    if isinstance(space, list):
        return [recipe for part in space for recipe in recipes_of(part, trials, seed)]
    every = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    chosen = every if len(every) <= trials else random.Random(seed).sample(every, trials)
    return [_nested(recipe) for recipe in chosen]


def _nested(recipe: Recipe) -> Recipe:
    tree: Recipe = {}
    for key, value in recipe.items():
        head, _, tail = key.partition(".")
        if tail:
            tree.setdefault(head, {})[tail] = value
        else:
            tree[head] = value
    return tree
