"""The phases that a plan can be made of, an open registry: each is one file that owns the phase's settings, what it
does on entering, at a step and on leaving, and what it is expected to cost.

No torch in here: a phase asks the running update (:class:`raygp.update.phases.base.Running`) for what touches the
model.
"""

from __future__ import annotations

from raygp.registry import Registry
from raygp.update.phases.base import Next, Phase, Running

__all__ = ["PHASES", "Next", "Phase", "Running"]

PHASES: Registry[type[Phase]] = Registry(
    "phase",
    "raygp.phases",
    {
        "grow-new": "raygp.update.phases.grow_new:GrowNew",
        "grow-all": "raygp.update.phases.grow_all:GrowAll",
        "prune-recoverable": "raygp.update.phases.prune_recoverable:PruneRecoverable",
        "prune-permanent": "raygp.update.phases.prune_permanent:PrunePermanent",
    },
)
"""By the ``kind`` that settings give, the class of the phase."""
