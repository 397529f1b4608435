"""Whether an arrival is like what the line has seen: labels, features of the head's last layer, and its outputs.

:func:`compare` works on plain arrays. :mod:`raygp.drift.looking` takes them from a line; it loads torch.
"""

from raygp.drift.comparing import Sample, compare
from raygp.drift.settings import DriftSettings, OnDrift
from raygp.drift.words import drift_line

__all__ = ["DriftSettings", "OnDrift", "Sample", "compare", "drift_line"]
