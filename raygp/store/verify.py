"""Reading a published arrival again, to see whether it still is what its manifest says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from raygp.errors import InputError
from raygp.store.location import Location
from raygp.store.manifest import QUARANTINE_FILE, Manifest, arrival_folder, find_manifest, manifest_path
from raygp.store.samples import kept_index, sample_digest
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
    digests: list[bytes] = []
    for shard in manifest.shards:
        try:
            table = read_shard(location, arrival, shard)
        except InputError as error:
            found.problems.append(str(error))
            continue
        found.rows += table.num_rows
        found.bytes += shard.bytes
        if manifest.samples:
            digests += [sample_digest(sample) for sample in table.column("sample").to_pylist()]
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
    found.problems += _wrong_index(location, manifest, digests if not found.problems else None)
    found.problems += _unexpected(location, manifest)
    return found


def _wrong_index(location: Location, manifest: Manifest, digests: list[bytes] | None) -> list[str]:
    """What is wrong with the index of the arrival's samples.

    Args:
        location: root of the line.
        manifest: of the arrival.
        digests: those of its samples, in order; None if not all could be read.
    """
    try:
        index = kept_index(location, manifest)
    except InputError as error:
        return [str(error)]
    if manifest.samples and index is not None and digests not in (None, index.column("digest").to_pylist()):
        where = location.url(f"{arrival_folder(manifest.arrival)}/{manifest.samples[0].file}")
        return [f"{where}: not the digests of the samples in the shards: restore it from a copy"]
    return []


def _unexpected(location: Location, manifest: Manifest) -> list[str]:
    """Files that are there and should not be, or the other way round."""
    folder = arrival_folder(manifest.arrival)
    names = set(location.list(folder)) - {"manifest.json", *(info.file for info in manifest.files)}
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
