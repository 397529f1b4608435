"""What an update did, as one value: it grows while the update runs, travels in its checkpoints, and ends up in the
version's card, in summary.json and in the tables. Each figure is named here and nowhere else.

No torch in here: whoever only looks at a line reads these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer


def measured(value: float, metric: str = "") -> str:
    """An accuracy for people: in per cent with two decimals. What is no share of right answers is shown as it is.

    Args:
        value: of the accuracy, or of a difference of two.
        metric: what it is called if it is no share (``R2``); empty: it is one.
    """
    return f"{value:.3f}" if metric else f"{value:.2%}"


def called(value: float, metric: str = "") -> str:
    """The same with its name, where it has one: ``97.20%``, ``R2 0.512``."""
    return f"{metric} {value:.3f}" if metric else measured(value)


@dataclass
class CostLedger:
    """What an update spent: totals over all workers. Validation and test passes are not training and are not charged.

    An example is one forward and backward pass. Growth passes count as such; a loss scan or a teacher's answer (forward
    only) counts as a third.
    """

    examples: float = 0.0
    sparse_flops: float = 0.0
    """Over active connections only; weight gradients of growth passes at dense cost."""
    dense_flops: float = 0.0
    """What the same passes cost with every connection active."""
    worker_seconds: float = 0.0
    """Workers times seconds inside the update, validation included; start-up and data loading are not."""
    reduced_bytes: float = 0.0
    """Bytes that all workers together put into reductions: gradients, growth, masks, batch-norm statistics."""

    def charge(self, examples: float, sparse_flops: float, dense_flops: float) -> None:
        """Add passes over ``examples``, with FLOPs by example."""
        self.examples += examples
        self.sparse_flops += examples * sparse_flops
        self.dense_flops += examples * dense_flops

    def plus(self, other: CostLedger | Mapping[str, float]) -> CostLedger:
        """This and another ledger together, as a new one."""
        added = other.to_dict() if isinstance(other, CostLedger) else other
        return CostLedger(**{key: value + added.get(key, 0.0) for key, value in self.to_dict().items()})

    def to_dict(self) -> dict[str, float]:
        """Plain data, by unit."""
        return asdict(self)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EpochRecord(_Record):
    """One training epoch of an update, as it was when the epoch ended."""

    round: int
    """Of its phase, from 0: a pruning phase may have several, and some of them may have been taken back."""
    loss: float | None
    """Mean training loss over the epoch on rank 0; None if nothing was trained."""
    val_accuracy: float
    """On validation, 0 to 1."""
    known_accuracy: float | None = None
    """Where the update brings classes: over the rows of those that the parent knows, answered with these alone."""
    densities: dict[str, float]
    """By layer: the part of its connections that is active."""
    grown: int
    """Connections activated since the epoch before ended (or the phase began)."""
    pruned: int
    """Connections removed since then."""
    examples: float
    """What the update had spent by then (:class:`CostLedger`)."""
    seconds: float
    """Worker-seconds of the update by then."""


class PhaseRecord(_Record):
    """What a phase did."""

    kind: str
    epochs: int = 0
    grown: int = 0
    pruned: int = 0
    restored: int = 0
    """Connections that came back in restored rounds."""
    density_after: float = 0.0
    val_accuracy: float = 0.0
    stopped: str = ""
    """Why the phase ended before its time, if it did."""
    history: list[EpochRecord] = Field(default_factory=list)
    """Its epochs, in order. Empty for what raygp 0.1.0 wrote."""


class RungRecord(_Record):
    """A rung of the ladder: one plan that an update tried (:mod:`raygp.update.rungs`), and what came of it."""

    name: str
    changes: dict[str, Any]
    """Settings in which the plan differed from the one that was asked for, by dotted name."""
    promoted: bool = False
    reason: str
    """What the gate said; for a rung that was passed over, why."""
    decided_by: str = ""
    """See :class:`raygp.update.gate.Verdict`."""
    val_accuracy: float | None = None
    """None for a rung that was passed over."""
    examples: float = 0.0
    """What this rung alone spent (:class:`CostLedger`)."""
    sparse_flops: float = 0.0


class Look(_Record):
    """What an update saw of its parent on validation before it began, over rows of classes that the parent knows."""

    error: float
    """Part of the rows that it has wrong, 0 to 1."""
    surprising: bool = False
    """Whether it is wrong about the arrival far more often than about what came before
    (:func:`raygp.update.fitting.surprises`)."""


class RunningRecord(_Record):
    """The part of an update's record that grows while it runs, as checkpoints hold it."""

    phases: list[PhaseRecord]
    ledger: CostLedger
    val_accuracy: float
    """At the last evaluation, 0 to 1; of a finished update: the candidate's. So are the other accuracies."""
    mask_digest: str
    rungs: list[RungRecord] = Field(default_factory=list)
    """Those that were tried or passed over, in order; in a checkpoint, those before the one that runs, in a finished
    update all, the last of which made the candidate. ``phases`` are of that one alone, ``ledger`` is of all. Empty for
    what an earlier raygp wrote."""
    look: Look | None = None
    """What was seen of the parent before the plan was fitted; None if the plan was carried out as it is."""


class Compared(_Record):
    """How often a version and its parent are right on the same validation rows."""

    rows: int | None
    """How many; None for what an earlier raygp wrote."""
    accuracy: float
    """The version's, 0 to 1."""
    parent_accuracy: float | None = None
    """The parent's on these rows; None for a first version, and for what an earlier raygp wrote."""
    new_rows: int = 0
    """How many of the rows are of classes that the parent does not know. It has none of these right."""
    among_known: float | None = None
    """Where the update brings classes and none of the rows are of these: the version's accuracy if it answers with the
    classes that the parent knows alone, as the parent does."""

    @model_serializer(mode="wrap")
    def _without_none(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most updates bring no class; then nothing is said of it."""
        content: dict[str, Any] = serialize(self)
        return {key: value for key, value in content.items() if key != "among_known" or value is not None}


class UpdateRecord(RunningRecord):
    """Everything that a finished update measured. A version's card is this and where the version comes from."""

    metric: str = ""
    """What the accuracies are called where they are no shares of right answers: ``R2``. Else empty."""
    density: float
    """active_connections / total_connections."""
    active_connections: int
    total_connections: int
    densities: dict[str, float]
    """By layer."""
    test_accuracy: float | None
    """None if there is no test split, or the gate refused the candidate: the split is not looked at then."""
    test_metrics: dict[str, float] = Field(default_factory=dict)
    """Every metric of the task on the test split, by name."""
    parent_val_accuracy: float | None
    """The parent's on the same rows; None for a first version. It counts rows of classes that the parent does not know:
    where there are any, ``known`` is what says how the two compare."""
    val_noise: float | None = None
    """How much of the difference between the two may be chance (:func:`raygp.update.gate.val_noise`), over rows of
    classes that both know, answered with these alone."""
    known: Compared | None = None
    """Over the validation rows of classes that the parent knows; None if there is no parent, or all rows are."""
    new: Compared | None = None
    """Over those of classes that it does not know; None if there are none."""
    by_arrival: dict[str, Compared]
    """Validation accuracy by the arrival that brought the rows."""
    by_class: dict[str, Compared] = Field(default_factory=dict)
    """The same by class, of those that have a row. Empty where labels are no classes, and for what
    an earlier raygp wrote."""

    @model_serializer(mode="wrap")
    def _without_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most accuracies are shares; then nothing is said of it."""
        content: dict[str, Any] = serialize(self)
        return {key: value for key, value in content.items() if key != "metric" or value}

    @property
    def val_rows(self) -> int | None:
        """Validation rows behind ``val_accuracy``; None if that is not known."""
        counts = [part.rows for part in self.by_arrival.values()]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def accuracy_by_arrival(self) -> dict[str, float]:
        """The version's accuracy alone."""
        return {name: part.accuracy for name, part in self.by_arrival.items()}


def with_comparisons(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that had the accuracy by arrival alone, as one with row counts and the parent's beside it.

    These were not written down then, and stay unknown.
    """
    fields = {key: value for key, value in record.items() if key != "accuracy_by_arrival"}
    old = record.get("accuracy_by_arrival")
    if isinstance(old, Mapping):
        fields.setdefault("by_arrival", {name: {"rows": None, "accuracy": value} for name, value in old.items()})
    return fields
