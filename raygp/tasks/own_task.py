"""What all tasks of one's own share: how they are made from a spec and code, and which defaults they have.

The base classes that people write subclasses of are in :mod:`raygp.tasks.base`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from types import FunctionType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raygp.errors import InputError
from raygp.tasks.layers import check_dense, dense_and_network, last_layer, output_layer
from raygp.tasks.making import parse_spec
from raygp.tasks.own import OwnSpec, TaskCode, rebuild
from raygp.tasks.padded import Padded
from raygp.tasks.protocol import Values
from raygp.tasks.spec import TaskSpec
from raygp.tasks.spelling import misspelt

PerExample = Callable[[Any, Any], Tensor]
"""From outputs and targets to a number for each example, shape (N,)."""
_FUNCTIONS = ("loss", "metric")
_NO_OPTIONS = ("name", "dense")
"""Fields of a task's spec that a task of one's own has elsewhere."""


class OwnTask:
    """What all tasks of one's own share. Subclasses are made from a spec and the code that they stand in; without, they
    are made from what the class says alone, to try them out.

    Implements :class:`raygp.tasks.protocol.Task` together with a class that says what labels are.
    """

    loss: ClassVar[PerExample | None] = None
    """Of each example; None: the loss of this kind of task."""
    metric: ClassVar[PerExample | None] = None
    """Points of each example, 0 to 1, of which more is better; None: the metric of this kind of task alone."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Fields of every plan for this task, such as ``{"lr": 0.05, "batch_size": 64}``."""
    settings_of_kind: ClassVar[Mapping[str, Any]] = {}
    """Those of this kind of task, where ``settings`` does not say them."""
    options_kind: ClassVar[Any] = TaskSpec
    """The class of the options of this kind of task."""
    options_name: ClassVar[str] = "own"
    """The name that ``options_kind`` wants."""

    sequences: bool = False
    labels_are_classes: bool = True
    reserved: tuple[str, ...] = ()

    def __init__(self, spec: OwnSpec | None = None, code: TaskCode | None = None) -> None:
        found = type(self)
        spec = spec or OwnSpec.of("", found.__name__, "")
        mine = vars(self)  # Some of the base classes are frozen.
        mine["spec"], mine["code"] = spec, code
        mine["picked"] = self._pick(spec.options or spec.given)
        mine.update((name, value) for name, value in mine["picked"] if name not in _NO_OPTIONS)

    def _pick(self, given: Mapping[str, Any]) -> TaskSpec:
        """The options: those that are given, else what the class says, else defaults."""
        fields = [name for name in self.options_kind.model_fields if name not in _NO_OPTIONS]
        said = {name: getattr(type(self), name, None) for name in fields}
        wanted = {name: value for name, value in said.items() if value is not None} | dict(given)
        kind: type[TaskSpec] = self.options_kind
        return parse_spec({**wanted, "name": self.options_name}, type(self).__name__, kind)

    def complete_spec(self) -> OwnSpec:
        """The spec with all that has to be known without the code: options, and what the model says of the task."""
        dumped = self.picked.model_dump(mode="json")
        options = {key: value for key, value in dumped.items() if key not in _NO_OPTIONS}
        if not isinstance(self.settings, Mapping):
            raise InputError(
                f'settings of {type(self).__name__} must be like {{"lr": 0.05}}, not a {type(self.settings).__name__}'
            )
        found: dict[str, Any] = {"options": options, "settings": {**self.settings_of_kind, **self.settings}}
        if self.is_fitted:
            found["classifier"] = self.classifier
            check_dense(self.build_model, self.dense, type(self).__name__)
            found |= {"dense": tuple(self.dense), "network": self.network}
        spec: OwnSpec = self.spec.model_copy(update=found)
        return spec

    def fitted_spec(self, picked: TaskSpec, fields: tuple[str, ...]) -> OwnSpec:
        """The spec with options that were found in the first arrival: they count as given from now on.

        Args:
            picked: the options with them.
            fields: which ones.
        """
        dumped = picked.model_dump(mode="json")
        given = {**self.spec.given, **{name: dumped[name] for name in fields}}
        return type(self)(self.spec.model_copy(update={"given": given, "options": {}}), self.code).complete_spec()

    @property
    def oversights(self) -> list[str]:
        """For people: names in the class, or of functions beside it, that are ignored and may be misspelt."""
        return misspelt(type(self), self.code.text if self.code else "")

    @property
    def is_fitted(self) -> bool:
        """Whether the model can be built. Some kinds of task have to see the first arrival before."""
        return True

    spec: Any
    """An :class:`raygp.tasks.own.OwnSpec`. (The classes that know what images and sound are have specs of theirs.)"""
    code: TaskCode | None
    """What the task was made from; None: from a class of this process."""
    picked: Any
    """The options, an instance of ``options_kind``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _FUNCTIONS:
            function = cls.__dict__.get(name)
            # A method keeps its ``self``; a plain function has none.
            if isinstance(function, FunctionType) and "self" not in inspect.signature(function).parameters:
                setattr(cls, name, staticmethod(function))

    @classmethod
    def take_functions(cls, names: Mapping[str, Any]) -> None:
        """Take over functions ``loss`` and ``metric`` that stand beside the class, unless it has its own."""
        for name in _FUNCTIONS:
            function = names.get(name)
            if getattr(cls, name) is None and callable(function) and not isinstance(function, type):
                setattr(cls, name, staticmethod(function))

    def __reduce__(self) -> Any:
        # By what it was made from: the class's module exists in this process only.
        return rebuild, (self.spec.model_dump(), self.code)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnTask) and (self.spec, self.code) == (other.spec, other.code)

    __hash__ = None  # type: ignore[assignment]  # Specs hold dictionaries.

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.file})"

    @property
    def name(self) -> str:
        """Of all tasks of one's own: ``own``."""
        return str(self.spec.name)

    @cached_property
    def classifier(self) -> str:
        """The output layer: the one that grows with the number of classes."""
        if self.spec.classifier:
            return str(self.spec.classifier)
        has_classes = self.labels_are_classes or self.sequences
        return output_layer(self.build_model, type(self).__name__) if has_classes else last_layer(self.build_model)

    @cached_property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned: weights of the first convolution and of depthwise ones, say."""
        return tuple(self.spec.dense) if self.spec.network else self._looked_at[0]

    @cached_property
    def network(self) -> str:
        """Kind of network, which plans depend on."""
        return self.spec.network or self._looked_at[1]

    @cached_property
    def _looked_at(self) -> tuple[tuple[str, ...], str]:
        return dense_and_network(self.build_model, self.example())

    def example(self) -> Values | None:
        """An input of the model with a batch of one, whatever its values; None: none is known."""
        return None

    @cached_property
    def density_bounds(self) -> Mapping[str, tuple[float, float]]:
        """The output layer keeps at least 30 % of its connections."""
        return {f"{self.classifier}.weight": (0.3, 1.0)}

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metric of one's own, if there is one; then that of this kind of task."""
        of_kind: tuple[str, ...] = self.metrics_of_kind
        if self.metric is None:
            return of_kind
        return (getattr(self.metric, "__name__", "metric").replace("_", " "), *of_kind)

    metrics_of_kind: ClassVar[tuple[str, ...]] = ("accuracy",)

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator: maps what :meth:`prepare` gives to
        N x ``num_classes``."""
        raise InputError(f"{type(self).__name__} has no build_model(self, num_classes), which gives the model")

    def losses(self, outputs: Values, targets: Values) -> Tensor:
        """The loss of each example, shape (N,): one's own, or that of this kind of task.

        Raises:
            InputError: a loss of one's own gives something else.
        """
        if self.loss is None:
            of_kind: Tensor = super().losses(outputs, targets)  # type: ignore[misc]  # The other base class has it.
            return of_kind
        return self._each("loss", outputs, targets)

    def score(self, outputs: Values, targets: Values) -> Tensor:
        """Points and weights of each example by metric, N x M x 2. Raises as :meth:`losses`."""
        of_kind: Tensor = super().score(outputs, targets)  # type: ignore[misc]  # The other base class has it.
        if self.metric is None:
            return of_kind
        points = self._each("metric", outputs, targets).detach().to(of_kind)
        return torch.cat([torch.stack([points, torch.ones_like(points)], dim=1)[:, None], of_kind], dim=1)

    def _each(self, what: str, outputs: Values, targets: Values) -> Tensor:
        function = getattr(self, what)
        found = function(outputs, targets)
        rows = len(targets.values) if isinstance(targets, Padded) else len(targets)
        if not isinstance(found, Tensor) or found.shape != (rows,):
            gives = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            code = getattr(function, "__code__", None)
            place = f"{self.spec.file}, line {code.co_firstlineno}: " if code else ""
            raise InputError(
                f"{place}{what} must give a tensor with one number for each example, shape ({rows},), and gives {gives}"
            )
        return found
