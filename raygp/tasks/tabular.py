"""Rows of a table: classes or numbers from columns of numbers and categories, by a small network.

A sample is a row as a JSON object of its columns without the label. What the columns are is found once, by the ingest
that makes the line (:mod:`raygp.tasks.tabular_fit`), and stays in the line's spec: every later row, in training and in
whatever the model is served by, is read by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor, nn

from raygp.tasks.classes import ClassTask
from raygp.tasks.kind import PlanFields, TaskKind, Unfit
from raygp.tasks.numbers import NumberTask
from raygp.tasks.preprocessing import row_preprocessing
from raygp.tasks.row_features import UNTRAINED, RowFeatures
from raygp.tasks.spec import TaskSpec
from raygp.tasks.tabular_cells import (
    Points,
    are_measured,
    column_name,
    label_number,
    row_values,
    shown,
)
from raygp.tasks.tabular_fit import ColumnSpec, TableFit, notes, rows_of
from raygp.tasks.tabular_scale import scale_of

_LEAST = 0.05
"""Density that no hidden layer falls below."""


ColumnName = Annotated[str, AfterValidator(column_name)]
Width = Annotated[int, Field(ge=1, le=65_536)]


class TabularSpec(TaskSpec):
    """Settings of the tasks whose samples are rows of a table. What stands behind ``dense`` is found by the ingest that
    makes the line."""

    name: str
    """tabular, or tabular-regression."""
    label: ColumnName = ""
    """Name of the column of labels. Empty: the first that is called as labels are."""
    categories: tuple[ColumnName, ...] = ()
    """Columns that are categories although they hold numbers, such as postcodes."""
    drop: tuple[ColumnName, ...] = ()
    """Columns that the model is not to see."""
    hidden: tuple[Width, ...] = Field(default=(128, 64), min_length=1)
    """Units of the hidden layers."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Part of the hidden units that are left out at random in training."""
    dense: tuple[str, ...] = ()
    """Names of parameters that are never pruned."""
    columns: tuple[ColumnSpec, ...] = ()
    """Those that the model sees, in order."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Columns that it does not see, each with the reason."""
    doubts: tuple[str, ...] = ()
    """What people were told to look at when the columns were found."""
    order: tuple[str, ...] = ()
    """All columns in the order of a sample's cells: the same row has the same bytes, however a table orders them."""


class RegressionSpec(TabularSpec):
    """The same, where labels are numbers."""

    name: str = "tabular-regression"
    """tabular-regression."""
    target_mean: float = 0.0
    """Of the first arrival's training labels."""
    target_deviation: Annotated[float, Field(gt=0.0)] = 1.0
    """Likewise: what an error is measured by."""
    target_whole: bool = False
    """Whether all of them are whole numbers."""

    @property
    def target(self) -> ColumnSpec:
        """The labels as a column of numbers."""
        return ColumnSpec(
            name=self.label or "label",
            kind="number",
            mean=self.target_mean,
            deviation=self.target_deviation,
            missing=True,
            whole=self.target_whole,
        )

    @model_validator(mode="after")
    def _label_is_no_category(self) -> RegressionSpec:
        if self.label and self.label in self.categories:
            raise ValueError(f"categories: '{self.label}' is the label, which has to be a number")
        return self


def features_of(columns: Sequence[ColumnSpec]) -> RowFeatures:
    """The first layer of a network over rows of these columns."""
    places = [UNTRAINED + len(column.categories) for column in columns if column.kind == "category"]
    return RowFeatures(values_of(columns) - len(places), places)


def values_of(columns: Sequence[ColumnSpec]) -> int:
    """How many values a decoded row has: one a column, and one more where a number may be missing."""
    return len(columns) + len([column for column in columns if column.missing and column.kind != "category"])


Build = Callable[[TabularSpec, int], nn.Module]
"""Makes a model from the spec, whose columns are known, and the number of outputs."""


def build_mlp(spec: TabularSpec, outputs: int) -> nn.Module:
    """:func:`features_of` the columns and a network of the spec's hidden layers, with rectifiers between."""
    features = features_of(spec.columns)
    layers: OrderedDict[str, nn.Module] = OrderedDict(features=features)
    width = max(1, features.width)
    for number, units in enumerate(spec.hidden, 1):
        layers[f"fc{number}"] = nn.Linear(width, units)
        layers[f"relu{number}"] = nn.ReLU()
        if spec.dropout:
            layers[f"dropout{number}"] = nn.Dropout(spec.dropout)
        width = units
    layers["output"] = nn.Linear(width, outputs)
    return nn.Sequential(layers)


@dataclass(frozen=True)
class TabularTask(ClassTask):
    """Classes of rows. Implements :class:`raygp.tasks.protocol.Task`; see there for what each member means."""

    spec: TabularSpec
    """What the task was made from."""
    build: Build = build_mlp
    """The model's factory. It is a function of a module, so that the task can be pickled: only its name travels."""
    classifier: str = "output"
    sequences: bool = False
    labels_are_classes: bool = True
    samples_repeat: bool = True
    """Two rows that are alike are two observations."""
    reserved: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    medium: ClassVar[str] = "row"
    """What its samples are: by this, files in a folder are told from what lies beside them."""

    @property
    def name(self) -> str:
        """The task's name, from its spec."""
        return self.spec.name

    @property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned, from the spec."""
        return self.spec.dense

    @property
    def density_bounds(self) -> Mapping[str, tuple[float, float]]:
        """Floors for each layer: of a narrow network, one might lose its last connection, and with it all others."""
        hidden = {f"fc{number}.weight": (_LEAST, 1.0) for number in range(1, len(self.table.hidden) + 1)}
        return {**hidden, "output.weight": (0.5, 1.0)}

    @property
    def draws(self) -> int:
        """None: rows are not augmented."""
        return 0

    @property
    def table(self) -> TabularSpec:
        """What is known of the table: the spec. A task of one's own has it elsewhere."""
        return self.spec

    @property
    def notes(self) -> list[str]:
        """For people: what the columns are, and which are left out and why."""
        table = self.table
        return notes(table.columns, table.left_out, table.drop, table.doubts)

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator; outputs logits, N x ``num_classes``."""
        return self.build(self.table, num_classes)

    def decode(self, sample: bytes) -> np.ndarray:
        """A row as float32 values, in the order of :func:`raygp.tasks.tabular_cells.row_values`.

        Raises:
            ValueError: it is no row of the line's table; the message is the reason alone.
        """
        return np.array(row_values(sample, self.table.columns), dtype=np.float32)

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a row that cannot be decoded.

        Raises:
            ValueError: the message is the reason alone.
        """
        self.decode(sample)
        return None

    def preprocessing(self) -> dict[str, Any]:
        """See :class:`raygp.tasks.preprocessing.Described`."""
        return row_preprocessing([column.model_dump() for column in self.table.columns])

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The rows as they are decoded: float32, N x :func:`values_of`."""
        return inputs.float()


@dataclass(frozen=True)
class RegressionTask(NumberTask, TabularTask):
    """Numbers of rows. Implements :class:`raygp.tasks.protocol.Task`; see there for what each member means."""

    labels_are_classes: bool = False
    metrics: tuple[str, ...] = ("R2",)

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of the first arrival's training labels."""
        table = self.table
        return (table.target_mean, table.target_deviation) if isinstance(table, RegressionSpec) else (0.0, 1.0)

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised; outputs standardised numbers, N x 1."""
        return self.build(self.table, 1)

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse a row that cannot be decoded, or whose label is no number.

        Raises:
            ValueError: the message is the reason alone.
        """
        label_number(label)
        return super().check(sample, label)


# -- what is found by the ingest that makes a line --------------------------------------------------------------------


def fit_classes(spec: TabularSpec, samples: Iterable[tuple[bytes, str]]) -> TabularSpec:
    """The spec with its columns, from the first arrival's training rows.

    Raises:
        Unfit: a column cannot be understood, or labels are numbers and hardly ever the same.
    """
    found, labels = TableFit(spec.categories, spec.drop), set[str]()
    for position, row, label in rows_of(samples):
        found.add(row, position)
        labels.add(label)
    if are_measured(labels, found.rows):
        raise Unfit(
            f"the labels are {len(labels):,} different numbers, such as {shown(next(iter(labels)))}, in {found.rows:,} "
            "rows: --task tabular-regression learns numbers"
        )
    fitted = found.result()
    return spec.model_copy(update=vars(fitted))


def fit_numbers(spec: RegressionSpec, samples: Iterable[tuple[bytes, str]]) -> RegressionSpec:
    """The spec with its columns, and mean and deviation of the labels.

    Raises:
        Unfit: a column cannot be understood, or labels are no numbers, or all the same.
    """
    found, labels, bad = TableFit(spec.categories, spec.drop), list[float](), list[tuple[int, str]]()
    points = Points()
    for position, row, label in rows_of(samples):
        found.add(row, position)
        try:
            labels.append(label_number(label))
            points.add(label, position)
        except ValueError as error:
            bad.append((position, str(error)))
    if len(bad) > len(labels):
        position, reason = bad[0]
        none = f"{len(bad):,} of {found.rows:,} labels are none"
        raise Unfit(f"{reason}: {none}; --task tabular learns classes", position)
    if points.ambiguous:
        raise Unfit(f"the column of labels {points.problem()}", points.where)
    fitted = found.result()
    scale = scale_of(labels)
    if not scale.deviation:
        raise Unfit(f"all labels are {labels[0]:g}: there is nothing to learn")
    target: dict[str, Any] = {"target_mean": scale.mean, "target_deviation": scale.deviation}
    target["target_whole"] = all(map(float.is_integer, labels))
    if scale.far:
        wild = f"{scale.far:,} of {len(labels):,} labels lie {scale.doubt}: are they mistakes?"
        target["doubts"] = (f"{wild} Mean and deviation are measured without them", *fitted.doubts)
    return spec.model_copy(update={**vars(fitted), **target})


def _task(spec: TabularSpec) -> TabularTask:
    return TabularTask(spec)


def _regression_task(spec: RegressionSpec) -> RegressionTask:
    return RegressionTask(spec)


class ClassSpec(TabularSpec):
    """The settings of ``tabular``."""

    name: Literal["tabular"]
    """tabular."""


class NumberSpec(RegressionSpec):
    """The settings of ``tabular-regression``."""

    name: Literal["tabular-regression"]
    """tabular-regression."""


_SETTINGS: PlanFields = {
    "lr": 0.003,
    "batch_size": 32,
    "clip_norm": 1.0,
    "density": 0.3,
    # Tables are small, and forty epochs at a decay of 0.01 fitted their noise.
    "optimizer": {"name": "adamw", "weight_decay": 0.5},
}
_PLANS: Mapping[str, Mapping[Literal["synthesis", "update"], PlanFields]] = {
    "default": {"synthesis": {"epochs": 20, "seed_density": 0.6}, "update": {"epochs": 8}},
}

_FITTED = ("columns", "left_out", "order", "doubts")

TABULAR = TaskKind(ClassSpec, _task, _SETTINGS, _PLANS, fit_classes, _FITTED)
"""Classes of rows."""
REGRESSION = TaskKind(
    NumberSpec,
    _regression_task,
    _SETTINGS,
    _PLANS,
    fit_numbers,
    (*_FITTED, "target_mean", "target_deviation", "target_whole"),
)
"""Numbers of rows."""
