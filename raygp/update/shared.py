"""What updates of one arrival from one parent have in common: computed once, used by every trial of a sweep.

The gradient sums that the first growth ranks by, the parent's scores on validation and its losses depend on the parent
and the data, not on growth ratio, density, epochs or learning rate.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from raygp.sparse import GradientSum
from raygp.store import Location
from raygp.update.plan import Plan

_TENSORS, _STATE = "shared.safetensors", "shared.json"


@dataclass(frozen=True)
class SharedWork:
    """Results of the passes over the parent, the same bits as an update with ``plan`` computes them."""

    key: dict[str, Any]
    """What the gradient sums depend on besides parent, data and seed: see :attr:`raygp.update.plan.Plan.growth_key`."""
    parent_scores: np.ndarray
    """On validation: points and weights of each row by metric, rows x metrics x 2."""
    gradient: GradientSum | None
    """Of the plan's first phase, if that grows."""
    losses: dict[str, np.ndarray]
    """By part of the data ("replay", "arrival"): the parent's loss of each of its examples, float32."""
    ledger: dict[str, float]
    """What this cost."""

    def gradient_for(self, plan: Plan, device: torch.device) -> GradientSum | None:
        """The gradient sums that the first phase of ``plan`` would compute, if these are they; on ``device``."""
        if self.gradient is None or plan.growth_key != self.key:
            return None
        sums = {name: values.to(device) for name, values in self.gradient.sums.items()}
        return GradientSum(sums, self.gradient.examples)

    def write(self, location: Location, folder: str) -> None:
        """Keep it in storage."""
        tensors = {f"losses/{part}": torch.from_numpy(values) for part, values in self.losses.items()}
        examples = 0
        if self.gradient is not None:
            tensors |= {f"gradient/{name}": values.cpu().contiguous() for name, values in self.gradient.sums.items()}
            examples = self.gradient.examples
        tensors["parent-scores"] = torch.from_numpy(self.parent_scores)
        state = {"key": self.key, "examples": examples, "ledger": self.ledger}
        location.write_bytes(f"{folder}/{_TENSORS}", save(tensors))
        # Last: where it lies, the tensors are whole.
        location.write_bytes(f"{folder}/{_STATE}", json.dumps(state).encode())

    @classmethod
    def read(cls, location: Location, folder: str) -> SharedWork | None:
        """What :meth:`write` kept; None if it did not finish."""
        document = location.read_if_exists(f"{folder}/{_STATE}")
        if document is None:
            return None
        state = json.loads(document)
        tensors = load(location.read_bytes(f"{folder}/{_TENSORS}"))

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        sums = part("gradient/")
        return cls(
            state["key"],
            tensors["parent-scores"].numpy(),
            GradientSum(sums, state["examples"]) if sums else None,
            {name: values.numpy() for name, values in part("losses/").items()},
            state["ledger"],
        )
