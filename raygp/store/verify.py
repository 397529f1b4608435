"""Reading a published arrival again, to see whether it still is what its manifest says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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


def verify_arrival(location: Location, arrival: str, symbols: Callable[[str], set[str]] | None = None) -> Verified:
    """Read all of an arrival and compare it with its manifest: files, sizes, SHA-256, columns, rows, labels.

    One shard at a time is in memory.

    Args:
        location: root of the line.
        arrival: its name.
        symbols: what the line's vocabulary must hold for a label, as for :class:`raygp.store.PartWriter`: manifests
            count these. The label itself if not given, which is right for tasks whose labels are classes.
    """
    symbols = symbols or (lambda label: {label})
    found = Verified(arrival)
    try:
        manifest = find_manifest(location, arrival)
    except InputError as error:
        found.problems.append(str(error))
        return found
    if manifest is None:
        return found
    found.shards, found.rows = len(manifest.shards), 0
    counted: Counter[str] = Counter()
    held_out: set[str] = set()
    for shard in manifest.shards:
        try:
            table = read_shard(location, arrival, shard)
        except InputError as error:
            found.problems.append(str(error))
            continue
        found.rows += table.num_rows
        found.bytes += shard.bytes
        # Rows by whole label first: there are far fewer labels than rows.
        rows = Counter(table.column("label").to_pylist())
        for label, number in rows.items():
            if shard.split == "train":
                counted.update(dict.fromkeys(symbols(label), number))
            else:
                held_out |= symbols(label)
    # Symbols that only held-out rows have stand in a manifest with 0 training rows.
    if not found.problems and {**dict.fromkeys(held_out, 0), **counted} != manifest.labels:
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
