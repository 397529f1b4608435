"""Named plans: what they take over from a task."""

import pytest

from raygp.tasks import TASKS
from raygp.update.plans import named_plan, plan_names


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", plan_names("update"))
def test_every_plan_has_the_optimizer_of_the_task_and_no_higher_rate_than_its_default(name: str, task: str) -> None:
    plan, default = named_plan(name, "update", task), named_plan("default", "update", task)
    assert plan.optimizer == default.optimizer
    assert plan.lr <= default.lr
    assert plan.clip_norm == default.clip_norm
