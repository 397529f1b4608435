"""The optimizers that a plan can name, an open registry: each is one file with a class of its settings, which makes the
optimizer from them."""

from __future__ import annotations

from raygp.registry import Registry
from raygp.update.optimizers.base import OptimizerSettings

__all__ = ["OPTIMIZERS", "OptimizerSettings"]

OPTIMIZERS: Registry[type[OptimizerSettings]] = Registry(
    "optimizer",
    "raygp.optimizers",
    {
        "sgd": "raygp.update.optimizers.sgd:Sgd",
        "adam": "raygp.update.optimizers.adam:Adam",
        "adamw": "raygp.update.optimizers.adam:AdamW",
    },
)
"""By name, the class of its settings."""
