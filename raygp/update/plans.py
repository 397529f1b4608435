"""Named plans. ``default`` is made to hold on data that nobody tuned it for; ``hardest`` is cheap where labels are
clean; ``paper`` follows the order of phases that the paper's abstract gives, with settings of our own. What suits one
task only stands with that task."""

from __future__ import annotations

from typing import Any

from raygp.tasks import PlanRole, TaskRef, tuning_of
from raygp.update.plan import Plan

Role = PlanRole

_GROW_NEW = {"kind": "grow-new", "epochs": 0}
_GRADUAL = {"kind": "prune-permanent", "gradual": True}

_HARDEST = {"hard": 1.0, "leave_out": "auto"}

_UPDATES: dict[str, dict[str, Any]] = {
    # One growth step, then one learning-rate cycle that trains and prunes together. On everything, drawn at random, and
    # fitted to the arrival: nobody knows what a task of one's own will meet.
    "default": {
        "phases": [_GROW_NEW, _GRADUAL],
        "epochs": 3,
        "replay": {"share": 1.0, "hard": 0.0},
        "arrival": {"share": 1.0, "hard": 0.0},
        "fit": {},
    },
    # For clean labels: a third of the default's examples. What the parent did not learn of its own data is left out.
    "hardest": {
        "phases": [_GROW_NEW, _GRADUAL],
        "epochs": 8,
        "replay": {"share": 0.15, **_HARDEST},
        "arrival": {"share": 0.3, **_HARDEST},
    },
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
        # Eight epochs over a few hundred rows are too few steps for any network to learn something.
        "fit": {"min_steps": 400, "min_batch": 16, "most_epochs": 10.0},
    },
}


def named_plan(name: str, role: Role, task: TaskRef = "") -> Plan:
    """The plan called ``name`` with the settings that suit ``task``, its whole spec or its name alone (see
    :class:`raygp.tasks.TaskKind`); the plan as it is for a task that is not known.

    Raises:
        KeyError: no plan of that name (see :func:`plan_names`).
        InputError: the package that brings the task cannot be loaded, or a field of its spec is wrong.
    """
    tuning = tuning_of(task)
    fields = {
        **tuning.settings,
        **(_UPDATES if role == "update" else _SYNTHESES)[name],
        **tuning.fields_for(name, role),
    }
    return Plan.model_validate({**fields, "name": name})


def plan_names(role: Role) -> list[str]:
    """The names that :func:`named_plan` knows."""
    return list(_UPDATES if role == "update" else _SYNTHESES)
