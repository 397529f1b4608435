"""What is kept of an update whose candidate the gate refused, so that the same update is not tried again."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pydantic import field_validator

from raygp.record import CostLedger
from raygp.store.documents import Document, encode, read_document
from raygp.store.location import READERS, Location

REFUSAL_FILE = "rejected.json"
"""In the folder of the update, ``updates/<id>``."""
_UPDATE = re.compile(r"(v\d{4,})-(.+)-[0-9a-f]{8}")


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


@dataclass(frozen=True)
class KeptUpdate:
    """An update of which something is kept: it was refused, or begun and is not over."""

    update: str
    """Its id."""
    version: str
    """What its candidate would be called."""
    arrival: str
    refusal: Refusal | None
    """None: it is half done."""


def kept_updates(location: Location) -> list[KeptUpdate]:
    """All updates that have a folder, by name. One small document is read for each.

    Raises:
        InputError: a refusal cannot be read.
    """
    found = [parts for name in location.list("updates") if (parts := _UPDATE.fullmatch(name))]
    with ThreadPoolExecutor(READERS) as pool:
        refusals = pool.map(lambda parts: read_refusal(location, f"updates/{parts[0]}"), found)
        kept = zip(found, refusals, strict=True)
        return [KeptUpdate(parts[0], parts[1], parts[2], refusal) for parts, refusal in kept]
