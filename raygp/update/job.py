"""One update as plain data: what it starts from, what it folds in, how. Travels to workers, and names itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raygp.data.catalog import Catalog, build_catalog, extend_classes
from raygp.record import DriftRecord, UpdateRecord
from raygp.store import Card, Location, Manifest
from raygp.tasks import make_task
from raygp.tasks.making import OWN
from raygp.tasks.own_errors import Told
from raygp.update.gate import GateSettings
from raygp.update.outcome import Outcome
from raygp.update.plan import Plan
from raygp.update.rungs import LADDER

if TYPE_CHECKING:
    from raygp.tasks import Task
    from raygp.tasks.own import TaskCode


@dataclass(frozen=True)
class UpdateJob:
    """Plan x arrival x parent. The same three (and seed) give the same id and the same result."""

    location: Location
    task: dict[str, Any]
    """Task spec, as line.json holds it."""
    parent: Card | None
    seen: tuple[Manifest, ...]
    """Arrivals that the parent has seen, in its order; then those that are folded in together with this one."""
    arrival: Manifest
    """The one that is folded in, of several the newest that has training rows."""
    plan: Plan
    """The synthesis plan if there is no parent, else the update plan."""
    seed: int
    gate_tolerance: float
    gate_confidence: float
    version: str
    """What the candidate will be called if the gate lets it pass."""
    sweep: str = ""
    """Settings of the sweep around ``plan``, as JSON; empty for an update with that plan."""
    gate_class_tolerance: float = GateSettings.class_tolerance
    gate_new_margin: float = GateSettings.new_margin
    ladder: bool = False
    """Whether safer plans follow one that the gate refuses."""
    code: TaskCode | None = None
    """Of a task of one's own: workers make the task from it."""
    drift: DriftRecord | None = None
    """How the arrival compares with what the parent has seen, for the card; None: they were not compared. It changes
    nothing in what the update does."""

    def make_task(self) -> Task:
        """The line's task. Raises InputError if it cannot be made."""
        return make_task(self.task, self.code)

    def told(self) -> Told:
        """Around whatever runs the task: errors in code of one's own name its line."""
        return Told(f"{self.code.file}: the model of {self.task.get('class')}" if self.code else "")

    @property
    def climbs(self) -> bool:
        """Whether there is more than one rung: a sweep tries plans of its own."""
        return self.ladder and not self.sweep and self.parent is not None

    @property
    def beside(self) -> tuple[Manifest, ...]:
        """Arrivals that are folded in together with this one, oldest first, with training rows or without."""
        known = self.parent.arrivals if self.parent else []
        return tuple(manifest for manifest in self.seen if manifest.arrival not in known)

    @property
    def before(self) -> tuple[Manifest, ...]:
        """Arrivals that the parent has seen, in its order."""
        return self.seen[: len(self.seen) - len(self.beside)]

    @property
    def folded_in(self) -> list[str]:
        """Names of the arrivals that it folds in, oldest first."""
        return [manifest.arrival for manifest in (*self.beside, self.arrival)]

    @property
    def trained_on(self) -> tuple[Manifest, ...]:
        """The new arrivals that have training rows, oldest first: this one, and others if several are folded."""
        return (*(manifest for manifest in self.beside if manifest.rows("train")), self.arrival)

    @property
    def old_rows(self) -> int:
        """Training rows of the arrivals that the parent has seen."""
        return sum(manifest.rows("train") for manifest in self.before)

    @property
    def new_rows(self) -> int:
        """Those of the arrivals that are folded in."""
        return sum(manifest.rows("train") for manifest in self.trained_on)

    @property
    def update_id(self) -> str:
        """Name of this update in storage, from what it is made of; the number of workers is no part of it."""
        identity: dict[str, Any] = {
            "parent": [self.parent.version, self.parent.update] if self.parent else None,
            "arrival": self.arrival.digest,
            "plan": self.plan.identity(),
            "seed": self.seed,
            "gate": [self.gate_tolerance, self.gate_confidence],
        }
        younger = [self.gate_class_tolerance, self.gate_new_margin]
        if younger != [GateSettings.class_tolerance, GateSettings.new_margin]:
            # Only then, so that what an earlier raygp began is known again.
            identity["gate"] += younger
        if self.task.get("name") == OWN:
            # The code of a line may change; what was begun with other code is another update.
            identity["task"] = self.task.get("sha256")
        if self.beside:
            identity["beside"] = [manifest.digest for manifest in self.beside]
        if self.sweep:
            identity["sweep"] = self.sweep
        if self.climbs:
            identity["ladder"] = LADDER
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return f"{self.version}-{self.arrival.arrival}-{digest[:8]}"

    @property
    def folder(self) -> str:
        """Where this update keeps what it needs in flight, relative to the root."""
        return f"updates/{self.update_id}"

    @property
    def classes(self) -> list[str]:
        """Vocabulary of the candidate."""
        known = self.parent.classes if self.parent else self.make_task().reserved
        return extend_classes(known, [label for new in (*self.beside, self.arrival) for label in new.labels])

    @property
    def metric(self) -> str:
        """What accuracies are called where they are no shares of right answers; else empty."""
        from raygp.tasks.traits import metric_name

        return metric_name(self.make_task())

    def catalog(self) -> Catalog:
        """The rows that the update reads: without replay, none that earlier arrivals brought to train on."""
        # The trials of a sweep share their data, and its space may replay where the plan does not.
        replays = self.plan.replay.share > 0.0 or bool(self.sweep)
        return build_catalog(self.location, self.before, (*self.beside, self.arrival), self.classes, replays)

    def recorded(self, outcome: Outcome) -> UpdateRecord:
        """What the update did and measured, with what was found out about its arrival before it began."""
        record = outcome.record
        if self.drift is None:
            return record
        return record.model_copy(update={"drift": self.drift, "ledger": record.ledger.plus(self.drift.ledger)})

    def card(self, outcome: Outcome, workers: int | str, sweep: dict[str, Any] | None = None) -> Card:
        """The candidate's card, without its files: what its update recorded, and where it comes from.

        Args:
            outcome: of the update.
            workers: how many it had; a range such as "1..8" where their number could change.
            sweep: what led to its plan.
        """
        return Card(
            **dict(self.recorded(outcome)),
            version=self.version,
            parent=self.parent.version if self.parent else None,
            update=self.update_id,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            arrivals=[manifest.arrival for manifest in (*self.seen, self.arrival)],
            arrival=self.arrival.arrival,
            beside=[manifest.arrival for manifest in self.beside],
            classes=self.classes,
            task=self.task,
            plan=self.plan.model_dump(mode="json"),
            seed=self.seed,
            workers=workers,
            manifests={manifest.arrival: manifest.digest for manifest in (*self.seen, self.arrival)},
            sweep=sweep,
        )
