"""Reading a published arrival again, to see whether it still is what its manifest says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from raygp.errors import InputError
from raygp.store.location import Location
from raygp.store.manifest import QUARANTINE_FILE, Manifest, arrival_folder, find_manifest, manifest_path
from raygp.store.shards import read_shard


@dataclass
class Verified:
    """What was found in an arrival's folder."""

    arrival: str
    problems: list[str] = field(default_factory=list)
    """Each names a file."""
    shards: int = 0
    bytes: int = 0
    rows: int | None = None
    """None if the arrival is not published, or its manifest cannot be read."""


def verify_arrival(location: Location, arrival: str) -> Verified:
    """Read all of an arrival and compare it with its manifest: files, sizes, SHA-256, columns, rows, labels.

    One shard at a time is in memory.
    """
    found = Verified(arrival)
    try:
        manifest = find_manifest(location, arrival)
    except InputError as error:
        found.problems.append(str(error))
        return found
    if manifest is None:
        return found
    found.shards, found.rows = len(manifest.shards), 0
    labels: Counter[str] = Counter()
    for shard in manifest.shards:
        try:
            table = read_shard(location, arrival, shard)
        except InputError as error:
            found.problems.append(str(error))
            continue
        found.rows += table.num_rows
        found.bytes += shard.bytes
        if shard.split == "train":
            labels.update(table.column("label").to_pylist())
    if not found.problems and dict(labels) != manifest.labels:
        found.problems.append(f"{location.url(manifest_path(arrival))}: labels: not those of the rows in its shards")
    found.problems += _unexpected(location, manifest)
    return found


def _unexpected(location: Location, manifest: Manifest) -> list[str]:
    """Files that are there and should not be, or the other way round."""
    folder = arrival_folder(manifest.arrival)
    names = set(location.list(folder)) - {"manifest.json", *(shard.file for shard in manifest.shards)}
    problems = []
    if manifest.quarantined and QUARANTINE_FILE not in names:
        problems.append(f"{location.url(f'{folder}/{QUARANTINE_FILE}')} is missing: restore it from a copy")
    elif manifest.quarantined:
        names.remove(QUARANTINE_FILE)
        rows = location.read_bytes(f"{folder}/{QUARANTINE_FILE}").count(b"\n")
        if rows != manifest.quarantined:
            where = location.url(f"{folder}/{QUARANTINE_FILE}")
            problems.append(f"{where}: expected {manifest.quarantined} rows, found {rows}")
    extra = "is not in the manifest: an ingest that lost a race left it, and raygp gc deletes it"
    return problems + [f"{location.url(f'{folder}/{name}')} {extra}" for name in sorted(names)]
