"""The growth and pruning criteria that a plan can name (``plan.growth``, ``plan.pruning``), as two open registries.

Each is one function in one file (see :mod:`raygp.sparse.criteria`). No torch in here, so that plans can be read
without it.
"""

from __future__ import annotations

from raygp.registry import Registry
from raygp.sparse.criteria import GrowthCriterion, PruningCriterion

GROWTH_CRITERIA: Registry[GrowthCriterion] = Registry(
    "growth criterion",
    "raygp.growth_criteria",
    {
        "gradient": "raygp.sparse.criteria.gradient:by_gradient",
        "random": "raygp.sparse.criteria.random_order:random_growth",
    },
)
PRUNING_CRITERIA: Registry[PruningCriterion] = Registry(
    "pruning criterion",
    "raygp.pruning_criteria",
    {
        "magnitude": "raygp.sparse.criteria.magnitude:by_magnitude",
        "random": "raygp.sparse.criteria.random_order:random_pruning",
    },
)
