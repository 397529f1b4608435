"""The cost ledger: what an update spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass
class CostLedger:
    """Totals over all workers. Validation and test passes are not training and are not charged.

    An example is one forward and backward pass; growth passes count as such, a loss scan or a teacher's answer (forward
    only) as a third.
    """

    examples: float = 0.0
    sparse_flops: float = 0.0
    """Over active connections only; weight gradients of growth passes at dense cost."""
    dense_flops: float = 0.0
    """What the same passes cost with every connection active."""
    worker_seconds: float = 0.0
    """Workers times seconds inside the update, validation included; start-up and data loading are not."""
    reduced_bytes: float = 0.0
    """Bytes that all workers together put into reductions: gradients, growth, masks, batch-norm statistics."""

    def charge(self, examples: float, sparse_flops: float, dense_flops: float) -> None:
        """Add passes over ``examples``, with FLOPs by example."""
        self.examples += examples
        self.sparse_flops += examples * sparse_flops
        self.dense_flops += examples * dense_flops

    def plus(self, other: Mapping[str, float]) -> CostLedger:
        """This and what another ledger's :meth:`to_dict` says."""
        return CostLedger(**{key: value + other.get(key, 0.0) for key, value in self.to_dict().items()})

    def to_dict(self) -> dict[str, float]:
        """Plain data, by unit."""
        return asdict(self)
