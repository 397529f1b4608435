"""What happened to a line, as one value of plain data: ``raygp report --json`` prints it, and the page is made from it
and from nothing else. Accuracies are fractions (or what :attr:`Story.metric` says), costs are in the ledger's units.

No torch in here.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

STORY_FORMAT = 1
"""Raised when a field changes its meaning or goes; fields may be added without."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cost(_Part):
    """What was spent; see :class:`raygp.record.CostLedger`."""

    examples: float = 0.0
    sparse_flops: float = 0.0
    dense_flops: float = 0.0
    worker_seconds: float = 0.0
    reduced_bytes: float = 0.0


class Pair(_Part):
    """A version and its parent on the very same validation rows: the only two accuracies that may be compared."""

    rows: int | None
    """None for what an earlier raygp wrote."""
    accuracy: float
    parent: float | None
    """None for a first version."""
    new_rows: int = 0
    """How many of the rows are of classes that the parent does not know."""
    among_known: float | None = None
    """The version's where it answers with the parent's classes alone."""


class VersionPart(_Part):
    """One version."""

    version: str
    parent: str | None
    created: str
    """UTC, ISO 8601."""
    state: str
    """"head", "history" (the head was made from it), "waiting" (it is a child of the head and not promoted yet) or
    "aside" (it is not in the head's history: the line was rolled back behind it)."""
    arrival: str
    """Folded in by its update; empty for an adopted version."""
    beside: list[str] = Field(default_factory=list)
    """Other arrivals of the same update."""
    origin: str = ""
    """Where its weights are from, if they were not trained here."""
    plan: str = ""
    arrivals: int
    """How many it has seen."""
    classes: int
    """How many it knows; 0 where labels are no classes."""
    new_classes: list[str]
    """Those that its parent does not know. Of a first version none: all are."""
    active: int
    total: int
    density: float
    accuracy: float
    """On its own validation rows: other versions have others."""
    rows: int | None
    known: Pair
    """On the validation rows of classes that its parent knows; all of them if there is no parent."""
    noise: float | None = None
    """How much of the difference to the parent may be chance."""
    new: Pair | None = None
    """On rows of new classes."""
    test: dict[str, float] = Field(default_factory=dict)
    """Every metric on the test split, by name."""
    own_gain: float | None = None
    """By how much it is better than its parent on the validation rows of the arrivals that its update folded in."""
    backward_transfer: float | None = None
    """Mean change of accuracy on earlier arrivals against the parent, each arrival counting the same."""
    cost: Cost
    fine_tuning: float | None = None
    """A forecast: the examples that fine-tuning a dense network on all arrivals so far would take
    (:class:`raygp.report.baseline.FineTuning`). None for a first version."""
    so_far: Cost
    """All that the line has spent up to this version: the versions before it and the refused updates that are still
    known, too."""


class ArrivalPart(_Part):
    """One published arrival."""

    arrival: str
    published: str
    source: str
    train: int
    val: int
    test: int
    classes: int
    quarantined: int
    state: str
    """"seen" (the head has seen it), "waiting" or "refused" (it waits, and an update with it was refused)."""
    version: str = ""
    """The first version in the head's history that has seen it."""


class Matrix(_Part):
    """Accuracy of each version on what each arrival holds out for validation. Along a row the rows are the same."""

    arrivals: list[str]
    versions: list[str]
    rows: list[int | None]
    """Validation rows of each arrival, as the newest version has them."""
    cells: list[list[float | None]]
    """By arrival, then by version; None where the version was not measured on the arrival."""
    left_out: int = 0
    """Versions (evenly spaced) and arrivals that are not shown."""


class ClassPart(_Part):
    """One class, as the head answers its validation rows."""

    name: str
    pair: Pair


class EpochPart(_Part):
    """One epoch of an update."""

    phase: int
    round: int
    seconds: float
    """Worker-seconds of the update when the epoch ended."""
    examples: float
    loss: float | None
    accuracy: float
    known: float | None = None
    density: float | None = None
    """Of the whole model; None where the sizes of layers are not known."""
    grown: int
    pruned: int
    densities: list[float] = Field(default_factory=list)
    """By layer, in the order of :attr:`UpdatePart.layers`."""


class PhasePart(_Part):
    """One phase of an update."""

    kind: str
    epochs: int
    grown: int
    pruned: int
    restored: int
    density: float
    accuracy: float
    stopped: str = ""


class LayerPart(_Part):
    """One layer of a version, beside that of its parent."""

    name: str
    size: int | None = None
    """Connections, active or not; None where the model could not be looked at."""
    before: float | None = None
    """Density in the parent."""
    density: float
    kept: int | None = None
    """Connections that parent and version both have; None where their masks were not compared."""
    added: int | None = None
    removed: int | None = None


class MaskPicture(_Part):
    """The connections of a layer as a picture."""

    layer: str
    width: int
    """Pixels."""
    height: int
    down: int = 1
    """A pixel stands for so many outputs and..."""
    across: int = 1
    """so many inputs."""
    picture: str
    """A data URI."""
    words: str
    """What it shows, for those who do not see it."""


class TrialPart(_Part):
    """One trial of a sweep."""

    name: str
    point: str
    state: str
    epochs: int
    accuracy: float
    active: int | None
    examples: float
    front: bool
    winner: bool
    error: str = ""


class SweepPart(_Part):
    """What an update's plan was chosen from."""

    why: str
    objective: str
    parent_accuracy: float | None
    trials: list[TrialPart]


class DriftPart(_Part):
    """One measure of how an arrival differs from what the line had seen."""

    what: str
    effect: float
    """How much the two differ, from 0 (alike) to 1 (nothing in common)."""
    p: float
    """Probability of such a difference by chance alone."""
    level: str
    """none, moderate or large."""
    tested: int
    """How many numbers were looked at."""
    found: int
    """How many of these differ by more than chance explains."""


class UpdatePart(_Part):
    """What the update did that made a version."""

    version: str
    detailed: bool = True
    """False: its epochs were left out, as the page would become too large."""
    phases: list[PhasePart]
    epochs: list[EpochPart] = Field(default_factory=list)
    layers: list[LayerPart]
    masks: list[MaskPicture] = Field(default_factory=list)
    rungs: list[str] = Field(default_factory=list)
    """Plans that were tried, in words; empty where the first held as it is."""
    sweep: SweepPart | None = None
    drift: list[DriftPart] = Field(default_factory=list)
    drift_words: str = ""


class ExampleRow(_Part):
    """A held-out row that a version answers differently from its parent."""

    kind: str
    """"gained" (right now), "lost" (wrong now) or "other" (both wrong, or neither can be called so)."""
    arrival: str
    key: str
    label: str
    parent_said: str
    version_said: str
    parent_sure: float | None = None
    """The probability that it gave its answer."""
    version_sure: float | None = None
    new_class: bool = False
    """Whether the parent does not know the row's class."""
    picture: str = ""
    """A data URI, where the sample is an image."""
    text: str = ""
    """The sample as text, or what it is."""


class Examples(_Part):
    """Held-out validation rows, answered by the head and by its parent."""

    version: str
    parent: str
    looked_at: int
    of_rows: int
    """Validation rows that there are."""
    gained: int
    lost: int
    other: int
    numbers: bool = False
    """Whether answers are numbers: then gained is closer to the label and lost further from it, of those that moved."""
    rows: list[ExampleRow]
    """Some of those that are answered differently."""


class RefusalPart(_Part):
    """An update whose candidate was refused."""

    update: str
    version: str
    """What its candidate would have been called."""
    arrival: str
    reason: str
    accuracy: float | None
    cost: Cost


class Figure(_Part):
    """One of the figures at the top of the page."""

    name: str
    value: str
    note: str = ""


class Story(_Part):
    """All that the page says."""

    format: int = STORY_FORMAT
    line: str
    """What people call it: the last part of its root."""
    root: str
    task: str
    metric: str = ""
    """What accuracies are called where they are no shares of right answers, such as ``R2``. Else empty."""
    made: str
    """When: UTC, ISO 8601."""
    raygp: str
    """Version of raygp."""
    head: str | None
    words: list[str]
    """The story, in paragraphs."""
    figures: list[Figure]
    versions: list[VersionPart]
    arrivals: list[ArrivalPart]
    matrix: Matrix
    classes: list[ClassPart]
    updates: list[UpdatePart]
    """Newest first."""
    examples: Examples | None = None
    refusals: list[RefusalPart]
    spent: Cost
    """By all versions and by all refused updates that are still known."""
    half_done: list[str]
    """Ids of updates that were begun and are not over."""
    awaits: str = ""
    """A version that waits for a person's approval."""
    left_out: list[str]
    """What is not here, and why."""
