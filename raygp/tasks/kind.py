"""What raygp knows of a task by its name: its settings, how it is made, and which plans suit it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raygp.errors import InputError
from raygp.registry import Registry
from raygp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from raygp.tasks.protocol import Task

PlanFields = Mapping[str, Any]
"""Some fields of a :class:`raygp.update.plan.Plan`, by name, as plain data."""
PlanRole = Literal["synthesis", "update"]
"""Whether a plan makes the first version of a line or updates a version."""


TaskRef = str | Mapping[str, Any]
"""A task by its name alone, or by its whole spec, as ``line.json`` holds it."""


@dataclass(frozen=True)
class Tuning:
    """Which plans suit a task. An empty one: the plans as they are."""

    settings: PlanFields = field(default_factory=dict)
    """Fields of every plan for this task, such as its optimizer. A named plan's own fields win over them."""
    plans: Mapping[str, Mapping[PlanRole, PlanFields]] = field(default_factory=dict)
    """By name of a plan ("default") and its role, fields that win over the named plan's own."""

    def fields_for(self, plan: str, role: PlanRole) -> PlanFields:
        """What :attr:`plans` holds for one plan; empty if it holds nothing."""
        return self.plans.get(plan, {}).get(role, {})


class Unfit(InputError):
    """Samples that a task cannot be fitted to (:attr:`TaskKind.fit`).

    Args:
        text: what is wrong, and what to do.
        sample: position of the sample that shows it, among those that were given; None where none does more than
            others.
    """

    def __init__(self, text: str, sample: int | None = None) -> None:
        super().__init__(text)
        self.sample = sample


@dataclass(frozen=True)
class TaskKind:
    """The entry of a task in :data:`TASKS`. Named plans take over what it says about plans; a task that says nothing is
    trained with the plans as they are."""

    spec: type[TaskSpec]
    """The class of the task's settings."""
    make: Callable[[Any], Task]
    """Makes the task from an instance of ``spec``."""
    settings: PlanFields = field(default_factory=dict)
    """Fields of every plan for this task, such as its optimizer. A named plan's own fields win over them."""
    plans: Mapping[str, Mapping[PlanRole, PlanFields]] = field(default_factory=dict)
    """By name of a plan ("default") and its role, fields that win over the named plan's own."""
    fit: Callable[[Any, Iterable[tuple[bytes, str]]], TaskSpec] | None = None
    """Fills in what the task has to know of its data, such as means of columns or a tokenizer: from an instance of
    ``spec``, and the training samples of a line's first arrival with their labels, makes the spec that ``line.json``
    keeps. Called once, by the ingest that makes the line. Raises :class:`Unfit` where a sample cannot be used."""
    fitted: tuple[str, ...] = ()
    """Fields of ``spec`` that ``fit`` fills in: whoever names the task of a line need not give them."""
    tuning: Callable[[Any], Tuning] | None = None
    """From an instance of ``spec``, what suits its task, where that depends on more than the name. It stands in for
    ``settings`` and ``plans``, which then count only where no more than the name is known."""

    checked: bool = False
    """Whether making a spec checks the names of parameters in it, so that no model has to be built for that again."""

    def tuning_for(self, spec: TaskSpec | None) -> Tuning:
        """What suits the task of this spec; None: any task of this kind."""
        if self.tuning is None or spec is None:
            return Tuning(self.settings, self.plans)
        return self.tuning(spec)


TASKS: Registry[TaskKind] = Registry(
    "task",
    "raygp.tasks",
    {
        "lenet-300-100": "raygp.tasks.lenet:LENET_300_100",
        "lenet-5": "raygp.tasks.lenet:LENET_5",
        "resnet18": "raygp.tasks.resnet:RESNET18",
        "resnet18-small": "raygp.tasks.resnet:RESNET18_SMALL",
        "tabular": "raygp.tasks.tabular:TABULAR",
        "tabular-regression": "raygp.tasks.tabular:REGRESSION",
        "deepspeech2": "raygp.tasks.speech:DEEPSPEECH2",
        "deepspeech2-small": "raygp.tasks.speech:DEEPSPEECH2_SMALL",
        "timm": "raygp.tasks.libraries.timm:TIMM",
        "torchvision": "raygp.tasks.libraries.torchvision:TORCHVISION",
        "text": "raygp.tasks.text:TEXT",
    },
)
"""All tasks by name. To list the names costs nothing; to get an entry loads its model's code, and torch with it."""
