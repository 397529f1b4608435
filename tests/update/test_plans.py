"""Named plans: what they take over from a task."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raygp.errors import InputError
from raygp.settings import load_settings
from raygp.tasks import TASKS, ImageSpec, TaskKind, Tuning
from raygp.update.plan import Plan
from raygp.update.plans import named_plan, plan_names


@pytest.mark.parametrize("task", TASKS.names())
@pytest.mark.parametrize("name", plan_names("update"))
def test_every_plan_has_the_optimizer_of_the_task_and_no_higher_rate_than_its_default(name: str, task: str) -> None:
    plan, default = named_plan(name, "update", task), named_plan("default", "update", task)
    assert plan.optimizer == default.optimizer
    assert plan.lr <= default.lr
    assert plan.clip_norm == default.clip_norm


KEPT = json.loads((Path(__file__).parent / "plans.json").read_text())
"""By task, role and name, all plans as raygp 0.1.0 had them: "" and an unknown task among them."""
EARLIER: dict[str, dict[str, Any]] = {
    "lenet-300-100": {"epochs": 8, "lr": 0.2, "replay": {"share": 0.15}, "arrival": {"share": 0.3}, "fit": None},
    "lenet-5": {"epochs": 8, "lr": 0.1, "replay": {"share": 0.15}, "arrival": {"share": 0.3}, "fit": None},
    **{task: {"replay": {"share": 0.1, "hard": 0.7}, "arrival": {}, "fit": None} for task in ("", "not-a-known-task")},
    "resnet18": {"replay": {"share": 0.5, "hard": 0.5}},
    "resnet18-small": {"replay": {"share": 0.5, "hard": 0.5}},
}
"""By task, what its default plan of an update had that is another now."""
NOT_FITTED = ("", "not-a-known-task")
"""Tasks whose first version is fitted to its arrival now."""


@pytest.mark.parametrize("task", KEPT)
@pytest.mark.parametrize("role", ["synthesis", "update"])
def test_plans_are_what_they_were(role: str, task: str) -> None:
    assert set(KEPT[task][role]) <= set(plan_names(role))  # type: ignore[arg-type]
    for name, fields in KEPT[task][role].items():
        plan = named_plan(name, role, task)  # type: ignore[arg-type]
        if (role, name) == ("update", "default") and task in EARLIER:
            assert plan != Plan.model_validate(fields)
            plan = Plan.model_validate(plan.model_dump() | EARLIER[task])
        if role == "synthesis" and task in NOT_FITTED:
            assert plan.fit is not None
            plan = plan.model_copy(update={"fit": None})
        assert plan == Plan.model_validate(fields)
        assert plan.identity() == fields, "or updates that were begun before are not found again"


@pytest.fixture
def own_task() -> Iterator[str]:
    """A task that was registered with plans of its own."""
    kind = TaskKind(
        ImageSpec,
        lambda spec: None,  # type: ignore[arg-type,return-value]  # Plans do not need the task itself.
        settings={"lr": 0.01, "batch_size": 7},
        plans={"default": {"update": {"epochs": 5, "lr": 0.02}}},
    )
    TASKS.register("own", kind)
    yield "own"
    TASKS.forget("own")


def test_a_registered_task_owns_its_plans(own_task: str) -> None:
    default, paper = named_plan("default", "update", own_task), named_plan("paper", "update", own_task)
    assert (default.name, default.lr, default.batch_size, default.epochs) == ("default", 0.02, 7, 5)
    assert (paper.lr, paper.batch_size, paper.epochs) == (0.01, 7, named_plan("paper", "update").epochs)
    # What a named plan says itself wins over the settings of the task.
    assert named_plan("default", "synthesis", own_task).epochs == named_plan("default", "synthesis").epochs


class DeepSpec(ImageSpec):
    """Settings of a network of any depth."""

    depth: int


def tuned(spec: DeepSpec) -> Tuning:
    rate = 0.1 / spec.depth
    return Tuning({"lr": rate, "clip_norm": 2.0}, {"default": {"update": {"epochs": spec.depth}}})


def test_plans_may_depend_on_the_whole_spec() -> None:
    kind = TaskKind(DeepSpec, lambda spec: None, settings={"lr": 0.03}, tuning=tuned)  # type: ignore[arg-type,return-value]
    TASKS.register("deep", kind)
    try:
        task = {"name": "deep", "image_size": 32, "depth": 10}
        default, paper = named_plan("default", "update", task), named_plan("paper", "update", task)
        assert (default.lr, default.clip_norm, default.epochs) == (0.01, 2.0, 10)
        assert (paper.lr, paper.epochs) == (0.01, named_plan("paper", "update").epochs)
        settings = load_settings(task)
        assert (settings.plan, settings.synthesis.lr, settings.plan.name) == (default, 0.01, "default")
        assert load_settings(task, overrides=["plan.lr=0.5"]).plan.name == "custom"
        # By its name alone it is any task of that kind.
        assert named_plan("default", "update", "deep").lr == 0.03
        with pytest.raises(InputError, match="task deep: depth is missing"):
            load_settings({"name": "deep", "image_size": 32})
    finally:
        TASKS.forget("deep")


@pytest.mark.parametrize("task", ["lenet-300-100", "resnet18-small", "deepspeech2"])
def test_the_whole_spec_of_a_task_gives_the_plans_of_its_name(task: str) -> None:
    for role in ("synthesis", "update"):
        for name in plan_names(role):  # type: ignore[arg-type]
            whole = named_plan(name, role, {"name": task, "image_size": 64})  # type: ignore[arg-type]
            assert whole == named_plan(name, role, task)  # type: ignore[arg-type]


def test_two_tasks_cannot_have_one_name(own_task: str) -> None:
    with pytest.raises(InputError, match="a task called 'own' exists already: choose another name"):
        TASKS.register(own_task, TASKS.get(own_task))
