"""How a density can be shared out over layers. Without torch, so that plans can be read without it."""

from __future__ import annotations

from typing import Literal

Distribution = Literal["uniform", "erk", "global"]
"""uniform: every layer at the same density. erk: Erdos-Renyi-Kernel, layers with few inputs and outputs denser
(Mocanu et al. 2018; Evci et al. 2020). global: scores compete over all layers (see raygp.sparse.pruning)."""
