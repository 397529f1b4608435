"""Metrics of a running update at Ray's Prometheus endpoint, where each name has the prefix ``ray_``."""

from __future__ import annotations

from collections.abc import Sequence

from ray.util.metrics import Gauge

from raygp.events import EpochEnded, Event, InPhase, PhaseEnded, RungStarted, StepsDone
from raygp.record import EpochRecord, PhaseRecord

METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "raygp_phase": ("Phase of the plan that runs, from 1.", ()),
    "raygp_epoch": ("Finished epochs of the phase's round.", ()),
    "raygp_density": ("Part of the connections that is active, 0 to 1.", ()),
    "raygp_layer_density": ("Part of a layer's connections that is active, 0 to 1.", ("layer",)),
    "raygp_examples_per_second": ("Training examples a second, all workers together.", ()),
    "raygp_loss": ("Training loss, mean over the epoch so far on rank 0.", ()),
    "raygp_validation_accuracy": ("At the end of the last epoch, 0 to 1.", ()),
    "raygp_grown_connections": ("Connections that the update has activated so far.", ()),
    "raygp_pruned_connections": ("Connections that the update has removed so far, restored ones not counted.", ()),
}
"""By name: what it says, and the tags it has beside ``update``, the update's id.

All are gauges, also the counts: a counter would begin at 0 again when an update goes on from a checkpoint."""


class UpdateMetrics:
    """Metrics of one update: a listener of its events, for rank 0.

    Counts of connections follow the epochs. What a restored round had removed is taken off again when its phase ends.
    """

    def __init__(self, update_id: str, phases: Sequence[PhaseRecord] = (), inside_phase: bool = False) -> None:
        """Nothing is shown yet.

        Args:
            update_id: the tag of its metrics.
            phases: what an update that goes on from a checkpoint has done.
            inside_phase: whether the last of them has not ended.
        """
        self._tags = {"update": update_id}
        self._gauges = {
            name: Gauge(name, description=description, tag_keys=("update", *tags))
            for name, (description, tags) in METRICS.items()
        }
        ended, running = (phases[:-1], phases[-1:]) if inside_phase else (phases, ())
        self._ended = _Counts(ended)
        self._running = _Counts(running)

    def __call__(self, event: Event) -> None:
        """Set what the event says; connections by layer at the end of an epoch, where they are known."""
        if isinstance(event, RungStarted):
            # It starts from the parent: what the plan before grew and pruned is gone.
            self._ended, self._running = _Counts(), _Counts()
        if not isinstance(event, InPhase):
            return
        self._set("raygp_phase", event.phase + 1)
        self._set("raygp_epoch", event.epoch)
        self._set("raygp_density", event.density)
        if isinstance(event, StepsDone):
            self._set("raygp_examples_per_second", event.examples_per_s)
            self._set("raygp_loss", event.loss)
            return
        if isinstance(event, EpochEnded):
            self._set("raygp_validation_accuracy", event.record.val_accuracy)
            for layer, density in event.record.densities.items():
                self._set("raygp_layer_density", density, layer=layer)
            self._running.add(event.record)
        elif isinstance(event, PhaseEnded):
            self._ended.add(event.record)
            self._running = _Counts()
        self._set("raygp_grown_connections", self._ended.grown + self._running.grown)
        self._set("raygp_pruned_connections", self._ended.pruned + self._running.pruned)

    def _set(self, name: str, value: float, **tags: str) -> None:
        self._gauges[name].set(float(value), {**self._tags, **tags})


class _Counts:
    """Connections grown and pruned, over several records."""

    def __init__(self, records: Sequence[PhaseRecord] = ()) -> None:
        self.grown = self.pruned = 0
        for record in records:
            self.add(record)

    def add(self, record: PhaseRecord | EpochRecord) -> None:
        self.grown += record.grown
        self.pruned += record.pruned
