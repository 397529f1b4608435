"""Whether storage can keep two writers apart. It is tried out once for each root, and the answer is kept there."""

from __future__ import annotations

import uuid

from raygp.errors import InputError
from raygp.store.documents import Document, encode, read_document, utc_now
from raygp.store.location import Location

STORE_FILE = "store.json"
PROBES = "probes"


class StoreSpec(Document):
    """What was found out about the storage that a root lies on."""

    endpoint: str
    """The server asked, without credentials: the answer holds for no other."""
    conditional_writes: bool
    probed: str
    """UTC, ISO 8601."""


def require_conditional_writes(location: Location) -> None:
    """Make sure that versions and the head can be written without losing another writer's.

    Asks the server the first time, and again where it said no or the root has moved to another server.

    Raises:
        InputError: the server ignores conditional writes, and nobody vouched for a single writer.
    """
    if location.is_local or location.single_writer:
        return
    known = read_document(location, STORE_FILE, StoreSpec)
    if known is not None and known.conditional_writes and known.endpoint == location.endpoint:
        return
    honoured = location.honours_conditions(f"{PROBES}/{uuid.uuid4().hex}")
    spec = StoreSpec(endpoint=location.endpoint, conditional_writes=honoured, probed=utc_now())
    location.write_bytes(STORE_FILE, encode(spec))
    if not honoured:
        raise InputError(
            f"{location.root}: {location.endpoint} ignores conditional writes (If-None-Match, If-Match), so that of "
            "two updates at once one would silently undo the other: use storage that honours them, or give "
            "--single-writer if nothing else ever updates this line"
        )
