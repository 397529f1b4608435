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
        "lr": 0.05,
    },
}
_SYNTHESES: dict[str, dict[str, Any]] = {
    "default": {
        "phases": [{"kind": "grow-new", "epochs": 1, "schedule": "constant"}, {**_GRADUAL}],
        "epochs": 8,
        "seed_density": 0.4,
    },
}
_RESNET: dict[str, Any] = {
    "lr": 0.02,
    "batch_size": 64,
    "alpha": 0.1,
    "optimizer": {"weight_decay": 5e-4},
    "replay": {"share": 0.5, "hard": 0.5},
}
_BY_TASK: dict[str, dict[str, Any]] = {
    "lenet-300-100": {"lr": 0.1, "batch_size": 128, "clip_norm": 1.0, "optimizer": {"weight_decay": 2e-4}},
    "lenet-5": {"lr": 0.05, "batch_size": 128, "clip_norm": 1.0, "optimizer": {"weight_decay": 2e-4}},
    "resnet18": _RESNET,
    "resnet18-small": _RESNET | {"lr": 0.05},
}
_TASK_EPOCHS: dict[str, dict[Role, int]] = {
    "resnet18": {"synthesis": 16, "update": 8},
    "resnet18-small": {"synthesis": 16, "update": 8},
}


def named_plan(name: str, role: Role, task: str = "") -> Plan:
    """The plan called ``name`` with the settings that suit ``task``.

    Raises:
        KeyError: no plan of that name (see :func:`plan_names`).
    """
    known = _UPDATES if role == "update" else _SYNTHESES
    fields = _BY_TASK.get(task, {}) | known[name] | {"name": name}
    if name == "default" and role in _TASK_EPOCHS.get(task, {}):
        fields["epochs"] = _TASK_EPOCHS[task][role]
    return Plan.model_validate(fields)


def plan_names(role: Role) -> list[str]:
    """The names that :func:`named_plan` knows."""
    return list(_UPDATES if role == "update" else _SYNTHESES)
