"""Metrics of a running update at Ray's Prometheus endpoint, where each name has the prefix ``ray_``."""

from __future__ import annotations

from ray.util.metrics import Gauge

from raygp.update.engine import Update
from raygp.update.observer import Progress

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
"""Name: what it says, and the tags it has beside ``update``, the update's id. All are gauges: an update that goes
on from a checkpoint goes on from its counts, too."""


class UpdateMetrics:
    """Metrics of one update; for rank 0."""

    def __init__(self, update_id: str, update: Update) -> None:
        self._update = update
        self._tags = {"update": update_id}
        self._gauges = {
            name: Gauge(name, description=description, tag_keys=("update", *tags))
            for name, (description, tags) in METRICS.items()
        }
        self._phase = -1

    def show(self, progress: Progress) -> None:
        """Set what ``progress`` says; connections by layer where they may have changed."""
        self._set("raygp_phase", progress.phase + 1)
        self._set("raygp_epoch", progress.epoch)
        self._set("raygp_density", progress.density)
        if progress.step is not None:
            self._set("raygp_examples_per_second", progress.step.examples_per_s)
            self._set("raygp_loss", progress.step.loss)
        if progress.val_accuracy is not None:
            self._set("raygp_validation_accuracy", progress.val_accuracy)
        if progress.step is None or progress.phase != self._phase:
            self._phase = progress.phase
            self._show_connections()

    def _show_connections(self) -> None:
        records = self._update.state.records
        self._set("raygp_grown_connections", sum(record.grown for record in records))
        self._set("raygp_pruned_connections", sum(record.pruned for record in records))
        for layer, density in self._update.masks.densities().items():
            self._set("raygp_layer_density", density, layer=layer)

    def _set(self, name: str, value: float, **tags: str) -> None:
        self._gauges[name].set(float(value), {**self._tags, **tags})
