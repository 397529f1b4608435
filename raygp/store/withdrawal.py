"""Taking an arrival out of a line again, as long as no version has seen it.

Its manifest goes first, so that nobody sees half an arrival. What the manifest named is kept in a document beside it
until the last file is gone, so that whoever was killed in between can go on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from raygp.errors import InputError
from raygp.store.arrivals import delete_files
from raygp.store.documents import encode, read_document
from raygp.store.head import open_head, read_head
from raygp.store.location import Location
from raygp.store.manifest import (
    QUARANTINE_FILE,
    Manifest,
    arrival_folder,
    find_manifest,
    find_manifests,
    manifest_path,
)
from raygp.store.parts import find_parts, forget_parts, part_plans, published_from
from raygp.store.samples import made_path

WITHDRAWN_FILE = "withdrawn.json"
"""In an arrival's folder while it is withdrawn: the manifest."""


def remove_arrival(location: Location, manifest: Manifest) -> None:
    """Delete a published arrival: manifest, shards, index, quarantine, and the records of its parts.

    Hold the line's lease and that of publishers, and make sure that no version has seen it.
    """
    arrival = manifest.arrival
    finish_removal(location, arrival)  # Of an earlier arrival of this name.
    location.write_bytes(_path(arrival), encode(manifest))
    for plan in part_plans(location, arrival):
        # Before the manifest: an ingest must not publish it once more from its records.
        if published_from(location, arrival, find_parts(location, arrival, plan).values()) is not None:
            forget_parts(location, arrival, plan)
    location.delete(manifest_path(arrival))
    finish_removal(location, arrival)


def finish_removal(location: Location, arrival: str) -> Manifest | None:
    """Delete what a withdrawal that was interrupted has left of an arrival.

    Returns:
        Its manifest; None if nothing was left.
    """
    manifest = read_document(location, _path(arrival), Manifest)
    if manifest is None:
        return None
    published = find_manifest(location, arrival)
    if published != manifest:
        delete_files(location, arrival, manifest.files)
        location.delete(made_path(manifest))
        if published is None:
            location.delete(f"{arrival_folder(arrival)}/{QUARANTINE_FILE}")
    location.delete(_path(arrival))
    if location.is_local:
        # Not empty: another ingest is at it.
        with contextlib.suppress(OSError):
            location.local_path(arrival_folder(arrival)).rmdir()
    return manifest if published != manifest else None


def is_half_withdrawn(location: Location, arrival: str) -> bool:
    """Whether a withdrawal of the arrival was interrupted after it was no longer published."""
    return location.exists(_path(arrival)) and find_manifest(location, arrival) is None


def withdrawn_since(location: Location, manifests: Sequence[Manifest]) -> list[str]:
    """Those arrivals that are not published any more as they were when their manifests were read.

    What the head has seen cannot be withdrawn, and its card has the digests: only the others are read again.
    """
    seen: dict[str, str] = {}
    with contextlib.suppress(InputError):
        # A head that is damaged is not for an ingest to complain of: without it, every manifest is read.
        head = read_head(location)
        seen = open_head(location, head).manifests if head else {}
    unseen = [manifest for manifest in manifests if seen.get(manifest.arrival) != manifest.digest]
    there = find_manifests(location, [manifest.arrival for manifest in unseen])
    digests = {manifest.arrival: manifest.digest for manifest in there}
    return [manifest.arrival for manifest in unseen if digests.get(manifest.arrival) != manifest.digest]


def _path(arrival: str) -> str:
    return f"{arrival_folder(arrival)}/{WITHDRAWN_FILE}"
