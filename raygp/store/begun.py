"""Which arrivals an update was begun with that folds in everything that waits: more may have come before it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from raygp.store.documents import Document, encode, read_document
from raygp.store.location import Location

BEGUN_FILE = "begun.json"
"""In the folder of the update, ``updates/<id>``."""


class Begun(Document):
    """What an update folds in."""

    arrivals: list[str]
    """Names, oldest first."""


def note_begun(location: Location, folder: str, arrivals: Sequence[str]) -> None:
    """Keep the arrivals of an update in its folder, where it stays until the update is over."""
    location.write_bytes(f"{folder}/{BEGUN_FILE}", encode(Begun(arrivals=list(arrivals))))


def begun_with(location: Location, folder: str) -> list[str]:
    """The arrivals that :func:`note_begun` kept; empty if it kept none.

    Raises:
        InputError: what was kept cannot be read.
    """
    found = read_document(location, f"{folder}/{BEGUN_FILE}", Begun)
    return found.arrivals if found else []
