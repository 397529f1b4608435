"""What dense fine-tuning would spend on the same arrival: a forecast, with what it assumes."""

from __future__ import annotations

from dataclasses import dataclass

FINE_TUNING_EPOCHS = 5
"""Epochs over everything: the one recipe of dense fine-tuning that updates are compared with on data that nobody tuned
for (docs/results/any-data.md)."""


@dataclass(frozen=True)
class FineTuning:
    """Fine-tuning the dense network of the earlier data on everything, for so many epochs."""

    rows: int
    """Training rows, of the arrival and before it."""

    @property
    def examples(self) -> float:
        """What it takes in examples (:class:`raygp.record.CostLedger`)."""
        return float(FINE_TUNING_EPOCHS * self.rows)

    @property
    def assumes(self) -> str:
        """In words."""
        return f"{FINE_TUNING_EPOCHS} epochs over {self.rows:,} rows"

    @classmethod
    def of(cls, old_rows: int, new_rows: int) -> FineTuning | None:
        """The forecast for an arrival; None where there is nothing to tune: no earlier data.

        Args:
            old_rows: training rows that the parent has seen.
            new_rows: those of the arrival.
        """
        return cls(old_rows + new_rows) if old_rows and new_rows else None
