"""What was found when an arrival was compared with what the head has seen: kept until an update has it on its card, so
that no command that goes on with an update, or only shows that it waits, compares again."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from raygp.errors import InputError
from raygp.record import DriftRecord
from raygp.store.documents import Document, encode, read_document
from raygp.store.location import Location

DRIFT_FOLDER = "drift"


class FoundDrift(Document):
    """The result of one comparison."""

    drift: DriftRecord


def drift_path(parent: str, arrival: str, digest: str) -> str:
    """Path of a comparison.

    Args:
        parent: version that was asked.
        arrival: the newest arrival.
        digest: of all that the result depends on.
    """
    return f"{DRIFT_FOLDER}/{parent}-{arrival}-{digest}.json"


def read_drift(location: Location, path: str) -> DriftRecord | None:
    """The result at a path; None if that was not compared yet.

    Raises:
        InputError: it cannot be read.
    """
    found = read_document(location, path, FoundDrift)
    return found.drift if found else None


def write_drift(location: Location, path: str, drift: DriftRecord) -> None:
    """Keep a result, over one that is there."""
    location.write_bytes(path, encode(FoundDrift(drift=drift)))


def remove_drift(location: Location, arrivals: Collection[str]) -> None:
    """Delete every result that is of one of some arrivals, alone or among others. Where one cannot be read, gc deletes
    it."""
    for name in location.list(DRIFT_FOLDER):
        path = f"{DRIFT_FOLDER}/{name}"
        with contextlib.suppress(InputError):
            found = read_drift(location, path) if name.endswith(".json") else None
            if found is not None and not set(arrivals).isdisjoint(found.arrivals):
                location.delete(path)


def list_drift(location: Location, parent: str) -> list[DriftRecord]:
    """What is known of arrivals that a version has not seen.

    Raises:
        InputError: a document cannot be read.
    """
    names = sorted(name for name in location.list(DRIFT_FOLDER) if name.startswith(f"{parent}-"))
    found = (read_drift(location, f"{DRIFT_FOLDER}/{name}") for name in names if name.endswith(".json"))
    return [drift for drift in found if drift is not None]
