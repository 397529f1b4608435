"""Parts of an arrival that is being made: what is done of it, so that an interrupted ingest goes on from there.

Records lie in ``arrivals/<name>/parts/``, one for each part that is in storage whole, under the digest of the plan by
which the source was divided: another source, seed or share begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from raygp.errors import ConflictError, RaygpError
from raygp.store.arrivals import Part, check_free, delete_files, publish_parts
from raygp.store.documents import encode, read_document
from raygp.store.files import describe
from raygp.store.location import Location
from raygp.store.manifest import Duplicates, Manifest, arrival_folder, find_manifest
from raygp.store.samples import INDEX_SUFFIX, encode_samples, rows_of_shards

PARTS_FOLDER = "parts"


def keep_part(location: Location, arrival: str, plan: str, number: int, part: Part) -> Part:
    """Record that a part is in storage.

    Returns:
        What is recorded: the part, or the one that somebody else recorded first; then the files of this one are
        deleted.
    """
    path = _path(arrival, plan, number)
    try:
        location.create(path, encode(part))
    except ConflictError:
        first = read_document(location, path, Part)
        # A repeated request can lose against itself.
        if first is not None and first != part:
            delete_files(location, arrival, part.files)
            return first
    return part


def part_plans(location: Location, arrival: str) -> list[str]:
    """Plans of which parts are recorded: an ingest is at work on the arrival, or was interrupted."""
    return sorted({name.partition("-")[0] for name in location.list(_folder(arrival))})


def index_part(location: Location, arrival: str, plan: str, number: int, part: Part) -> Part:
    """A part that an earlier version recorded, with an index of its samples; the record has it too.

    Raises:
        InputError: a shard is missing, or is not what it should be.
    """
    if part.samples or not part.shards:
        return part
    folder, rows = arrival_folder(arrival), list(rows_of_shards(location, arrival, part.shards))
    data = encode_samples(rows, {"raygp.arrival": arrival})
    info = describe(f"samples-{number:05d}", INDEX_SUFFIX, data)
    location.write_bytes(f"{folder}/{info.file}", data)
    indexed = part.model_copy(update={"samples": [info]})
    location.write_bytes(_path(arrival, plan, number), encode(indexed))
    return indexed


def find_parts(location: Location, arrival: str, plan: str) -> dict[int, Part]:
    """The recorded parts of a plan by number; those whose files are not all there are left out.

    Raises:
        InputError: a record cannot be read.
    """
    found: dict[int, Part] = {}
    names = [name for name in location.list(_folder(arrival)) if name.startswith(f"{plan}-")]
    there = set(location.list(arrival_folder(arrival))) if names else set()
    for name in names:
        number = int(name.removeprefix(f"{plan}-").removesuffix(".json"))
        part = read_document(location, f"{_folder(arrival)}/{name}", Part)
        if part is None:
            continue
        if all(info.file in there for info in part.files):
            found[number] = part
        else:
            # Its files were taken for garbage first: it is made again.
            location.delete(_path(arrival, plan, number))
    return found


def publish_recorded(
    location: Location,
    arrival: str,
    source: str,
    plan: str,
    parts: Mapping[int, Part],
    duplicates: Duplicates | None = None,
) -> Manifest:
    """Publish an arrival from its recorded parts; one that was published from them already is returned.

    Args:
        arrival: its name.
        source: where the samples come from, for people.
        plan: by which the source was divided.
        parts: all of them, by number.
        duplicates: rows of the source that were there already; None: none.

    Raises:
        InputError: there is no row.
        ConflictError: another arrival of this name is published.
        RaygpError: not all parts are in storage any more.
    """
    ordered = [parts[number] for number in sorted(parts)]
    if (published := published_from(location, arrival, ordered)) is not None:
        return published
    check_free(location, arrival)
    gone = parts.keys() - find_parts(location, arrival, plan).keys()
    if gone:
        # Of two that make the same arrival, one was faster, or it failed and cleaned up.
        check_free(location, arrival)
        raise RaygpError(
            f"{location.url(arrival_folder(arrival))}: {len(gone)} of {len(parts)} parts disappeared while others were "
            "written (another ingest of the same source that failed, or raygp gc?): run again to go on"
        )
    try:
        return publish_parts(location, arrival, source, ordered, duplicates)
    except ConflictError:
        if (published := published_from(location, arrival, ordered)) is None:
            raise
        return published


def published_from(location: Location, arrival: str, parts: Iterable[Part]) -> Manifest | None:
    """The arrival's manifest if it was published from these parts."""
    manifest = find_manifest(location, arrival)
    files = {shard.file for part in parts for shard in part.shards}
    return manifest if manifest is not None and {shard.file for shard in manifest.shards} == files else None


def forget_parts(location: Location, arrival: str, plan: str) -> None:
    """Delete the records of a plan."""
    for name in location.list(_folder(arrival)):
        if name.startswith(f"{plan}-"):
            location.delete(f"{_folder(arrival)}/{name}")
    if location.is_local:
        # Not empty: another plan's are in it.
        with contextlib.suppress(OSError):
            location.local_path(_folder(arrival)).rmdir()


def discard_parts(location: Location, arrival: str, plan: str, known: Iterable[Part]) -> None:
    """Delete the parts of a plan, shards and all, unless they are published: the recorded ones, and those ``known``,
    whose records somebody else may have deleted."""
    parts = [*find_parts(location, arrival, plan).values(), *known]
    # Records first: whoever is about to publish them looks for those.
    forget_parts(location, arrival, plan)
    delete_files(location, arrival, {info.file: info for part in parts for info in part.files}.values())


def _folder(arrival: str) -> str:
    return f"{arrival_folder(arrival)}/{PARTS_FOLDER}"


def _path(arrival: str, plan: str, number: int) -> str:
    return f"{_folder(arrival)}/{plan}-{number:05d}.json"
