"""Named plans. ``default`` is chosen by evidence (README, section "The default plan"); ``paper`` follows the order of
phases that the paper's abstract gives, with settings of our own."""

from __future__ import annotations

from typing import Any, Literal

from raygp.update.plan import Plan

Role = Literal["synthesis", "update"]

_GROW_NEW = {"kind": "grow-new", "epochs": 0}
_GRADUAL = {"kind": "prune-permanent", "gradual": True}

_UPDATES: dict[str, dict[str, Any]] = {
    # One growth step, then one learning-rate cycle that trains and prunes together.
    "default": {"phases": [_GROW_NEW, _GRADUAL], "epochs": 3},
    "paper": {
        "phases": [
            {"kind": "grow-new", "epochs": 1, "schedule": "constant"},
            {"kind": "grow-all", "epochs": 1, "schedule": "constant"},
            {"kind": "prune-recoverable", "epochs": 1, "rounds": 4, "beta": 0.3},
            {"kind": "prune-permanent", "epochs": 1, "rounds": 4, "beta": 0.3},
        ],
    },
}
_SYNTHESES: dict[str, dict[str, Any]] = {
    "default": {
        "phases": [{"kind": "grow-new", "epochs": 1, "schedule": "constant"}, {**_GRADUAL}],
        "epochs": 8,
        "seed_density": 0.4,
    },
}
_LENET: dict[str, Any] = {"lr": 0.2, "batch_size": 128, "clip_norm": 1.0, "optimizer": {"weight_decay": 2e-3}}
_RESNET: dict[str, Any] = {"lr": 0.02, "batch_size": 64, "alpha": 0.1, "optimizer": {"weight_decay": 5e-4}}
_SPEECH: dict[str, Any] = {
    "lr": 0.003,
    "batch_size": 32,
    # At 10, some trainings ended with half of the words.
    "clip_norm": 1.0,
    "alpha": 0.1,
    "density": 0.2,
    "optimizer": {"name": "adamw", "weight_decay": 0.01},
}
_BY_TASK: dict[str, dict[str, Any]] = {
    "lenet-300-100": _LENET,
    "lenet-5": _LENET | {"lr": 0.1},
    "resnet18": _RESNET,
    "resnet18-small": _RESNET | {"lr": 0.05},
    "deepspeech2": _SPEECH,
    # Hundreds of utterances make few steps of an epoch.
    "deepspeech2-small": _SPEECH | {"batch_size": 16},
}
"""What suits a task in any plan."""
_LENET_UPDATE: dict[str, Any] = {"epochs": 8, "replay": {"share": 0.15}, "arrival": {"share": 0.3}}
_LENET_SYNTHESIS: dict[str, Any] = {
    "epochs": 20,
    "lr": 0.2,
    "seed_density": 0.2,
    "optimizer": {"weight_decay": 5e-4},
}
_RESNET_UPDATE: dict[str, Any] = {
    "epochs": 8,
    "replay": {"share": 0.5, "hard": 0.5},
    # Without it, an update with little that is new ends below its parent.
    "distillation": {"weight": 1.0, "fades_at": 0.5},
}
_RESNET_SYNTHESIS: dict[str, Any] = {"epochs": 16}
_SPEECH_UPDATE: dict[str, Any] = {"epochs": 12, "replay": {"share": 0.5}}
_SPEECH_SYNTHESIS: dict[str, Any] = {"epochs": 40}
_LATE = [_GROW_NEW, {**_GRADUAL, "start": 0.4, "end": 0.9}]
_SPEECH_SMALL_UPDATE: dict[str, Any] = {
    # So few utterances are fitted closely: the parent lets go of them, and all connections get their chance again.
    "phases": _LATE,
    "epochs": 24,
    "replay": {"share": 1.0},
    "shrink": 0.5,
    "alpha": 1.0,
}
_DEFAULT: dict[tuple[str, Role], dict[str, Any]] = {
    ("lenet-300-100", "update"): _LENET_UPDATE,
    ("lenet-300-100", "synthesis"): _LENET_SYNTHESIS,
    ("lenet-5", "update"): _LENET_UPDATE,
    ("lenet-5", "synthesis"): _LENET_SYNTHESIS,
    ("resnet18", "update"): _RESNET_UPDATE,
    ("resnet18", "synthesis"): _RESNET_SYNTHESIS,
    ("resnet18-small", "update"): _RESNET_UPDATE,
    ("resnet18-small", "synthesis"): _RESNET_SYNTHESIS,
    ("deepspeech2", "update"): _SPEECH_UPDATE,
    ("deepspeech2", "synthesis"): _SPEECH_SYNTHESIS,
    ("deepspeech2-small", "update"): _SPEECH_SMALL_UPDATE,
    # All connections, pruned late: against few from the start, five to seven points more words.
    ("deepspeech2-small", "synthesis"): {"phases": _LATE, "epochs": 60, "seed_density": 1.0},
}
_PAPER: dict[tuple[str, Role], dict[str, Any]] = {
    ("lenet-300-100", "update"): {"lr": 0.05},
    ("lenet-5", "update"): {"lr": 0.05},
}
_BY_PLAN = {"default": _DEFAULT, "paper": _PAPER}
"""What suits a task in one plan."""


def named_plan(name: str, role: Role, task: str = "") -> Plan:
    """The plan called ``name`` with the settings that suit ``task``.

    Raises:
        KeyError: no plan of that name (see :func:`plan_names`).
    """
    known = _UPDATES if role == "update" else _SYNTHESES
    suited = _BY_PLAN[name].get((task, role), {})
    return Plan.model_validate(_BY_TASK.get(task, {}) | known[name] | suited | {"name": name})


def plan_names(role: Role) -> list[str]:
    """The names that :func:`named_plan` knows."""
    return list(_UPDATES if role == "update" else _SYNTHESES)
