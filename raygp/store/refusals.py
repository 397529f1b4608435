"""What is kept of an update whose candidate the gate refused, so that the same update is not tried again."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from raygp.record import CostLedger
from raygp.store.documents import Document, encode, read_document
from raygp.store.location import Location

REFUSAL_FILE = "rejected.json"
"""In the folder of the update, ``updates/<id>``."""


class Refusal(Document):
    """Why the gate refused a candidate, and what the update cost. Refusals of raygp 0.1.0 hold no format number."""

    reason: str
    """For people, such as "lost 1.20 points of validation accuracy"."""
    val_accuracy: float | None
    """The candidate's on validation, 0 to 1; None if it was not a finite number."""
    ledger: CostLedger

    @field_validator("val_accuracy", mode="before")
    @classmethod
    def _is_finite(cls, value: Any) -> Any:
        # raygp 0.1.0 wrote NaN, which is no JSON but which Python reads. It is the one number that differs from itself.
        return None if value != value else value


def read_refusal(location: Location, folder: str) -> Refusal | None:
    """The refusal in an update's folder; None if the gate has not refused that update.

    Raises:
        InputError: it cannot be read.
    """
    return read_document(location, f"{folder}/{REFUSAL_FILE}", Refusal)


def write_refusal(location: Location, folder: str, refusal: Refusal) -> None:
    """Keep a refusal in an update's folder, over one that is there."""
    location.write_bytes(f"{folder}/{REFUSAL_FILE}", encode(refusal))
