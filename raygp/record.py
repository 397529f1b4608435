"""What an update did, as one value: it grows while the update runs, travels in its checkpoints, and ends up in the
version's card, in summary.json and in the tables. Each figure is named here and nowhere else.

No torch in here: whoever only looks at a line reads these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

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


DriftLevel = Literal["none", "moderate", "large"]
"""How far an arrival is from what came before it (:mod:`raygp.drift`)."""


class DriftPart(_Record):
    """How far an arrival is from what the parent has seen, looked at in one way."""

    effect: float
    """How much the two differ, 0 (alike) to 1 (nothing in common): Cramer's V of labels that are classes; the largest
    Kolmogorov-Smirnov distance of numbers, of those that chance does not explain; root of the MMD of features
    together."""
    p: float
    """Probability of such a difference by chance alone; of several numbers, the least after the correction for their
    count."""
    level: DriftLevel
    """What follows: chance must not explain it, and the effect must be of a size that matters."""
    tested: int = 1
    """How many numbers were looked at: features, or outputs."""
    found: int = 0
    """How many of these differ by more than chance explains."""


class DriftRecord(_Record):
    """How an arrival compares with what the line had seen, before an update folded it in."""

    parent: str
    """The version whose features and outputs were looked at."""
    arrivals: list[str]
    """What is new."""
    rows: int
    """Training rows of these that were looked at."""
    seen_rows: int
    """Held-out rows of earlier arrivals that they were compared with. Nothing was trained on either."""
    labels: DriftPart | None = None
    """Of classes, all training rows count; of numbers their values, of texts their lengths, in the rows above. None, as
    for what follows, where there is nothing to compare."""
    features: DriftPart | None = None
    """What goes into the parent's output layer, number by number."""
    together: DriftPart | None = None
    """The same numbers together (MMD)."""
    outputs: DriftPart | None = None
    """The parent's answers: probabilities of classes, or numbers."""
    new_labels: list[str] = Field(default_factory=list)
    """Classes that no earlier arrival has a training row of."""
    ledger: CostLedger = Field(default_factory=CostLedger)
    """What the comparison cost; it is part of the update's."""
    then: str = "note"
    """What ``on_drift`` made of it: note, warn, sweep or wait."""

    @property
    def parts(self) -> dict[str, DriftPart]:
        """What was looked at, by name."""
        every = {"labels": self.labels, "features": self.features, "together": self.together, "outputs": self.outputs}
        return {name: part for name, part in every.items() if part is not None}

    @property
    def level(self) -> DriftLevel:
        """The highest of all parts."""
        order: tuple[DriftLevel, ...] = ("none", "moderate", "large")
        return max((part.level for part in self.parts.values()), key=order.index, default="none")


class BackwardTransfer(_Record):
    """What an update did to how good the line is on earlier arrivals: accuracy after it minus before. Below 0: it
    forgot."""

    mean: float
    """Over all validation rows of earlier arrivals."""
    by_arrival: float
    """Mean over arrivals, each counted alike."""
    worst: str
    """The arrival that lost most, or gained least."""
    worst_change: float
    arrivals: int
    """How many there are."""


def backward_transfer(parts: Mapping[str, Compared], new: Collection[str]) -> BackwardTransfer | None:
    """The change of accuracy on earlier arrivals; None if there are none, or the parent's accuracy is not known.

    Args:
        parts: accuracy of version and parent by arrival (:attr:`UpdateRecord.by_arrival`).
        new: arrivals that the update folded in.
    """
    known = [
        (name, part.rows, part.accuracy - part.parent_accuracy)
        for name, part in parts.items()
        if name not in new and part.parent_accuracy is not None and part.rows
    ]
    if not known:
        return None
    rows = sum(count for _, count, _ in known)
    worst, _, least = min(known, key=lambda one: one[2])
    return BackwardTransfer(
        mean=sum(count * change for _, count, change in known) / rows,
        by_arrival=sum(change for _, _, change in known) / len(known),
        worst=worst,
        worst_change=least,
        arrivals=len(known),
    )


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
    drift: DriftRecord | None = None
    """How the arrival compares with what came before. None for a first version, where it was not looked at, and for
    what an earlier raygp wrote."""

    @model_serializer(mode="wrap")
    def _without_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most accuracies are shares; then nothing is said of it. Nor is it of an arrival that was not compared."""
        content: dict[str, Any] = serialize(self)
        return {key: value for key, value in content.items() if key not in ("metric", "drift") or value}

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
