"""How a line is, in numbers for Prometheus: computed from its documents, whether anything runs or not."""

from raygp.health.exposition import METRICS, exposition
from raygp.health.figures import Health, HealthReader, LastRefusal
from raygp.health.serving import serving_metrics

__all__ = ["METRICS", "Health", "HealthReader", "LastRefusal", "exposition", "serving_metrics"]
