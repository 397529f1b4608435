"""What nothing refers to any more: found by comparing everything in storage with what the head and manifests name."""

from __future__ import annotations

import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raygp.errors import ConflictError
from raygp.store.backends import StoredFile
from raygp.store.card import list_versions, reachable, version_number
from raygp.store.drift import DRIFT_FOLDER
from raygp.store.head import Head, read_head, version_to_make
from raygp.store.lease import LEASE_FILE
from raygp.store.local_files import HIDDEN_PREFIX
from raygp.store.location import Location
from raygp.store.manifest import QUARANTINE_FILE, list_arrivals
from raygp.store.refusals import REFUSAL_FILE
from raygp.store.samples import SAMPLES_FOLDER, made_name
from raygp.store.waiting import APPROVED_FILE, Waiting, find_waiting
from raygp.store.withdrawal import WITHDRAWN_FILE

_UPDATE = re.compile(r"(v\d{4,})-.+")


@dataclass(frozen=True)
class Garbage:
    """Files that can go together, and why."""

    what: str
    """The folder or file, relative to the root."""
    reason: str
    files: tuple[StoredFile, ...]
    """In the order in which they are to be deleted."""

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def find_garbage(location: Location, older_than_s: float) -> tuple[Head | None, list[Garbage]]:
    """What could be deleted: files that nothing names and that, with all their folder's, are older than the limit.

    Kept whatever their age: the head, what it was made from, a child of it that waits for approval or to be promoted,
    what the update of one that waits for approval left, published arrivals, refusals that still hold, reports.

    Returns:
        The head that this is true for, and the garbage.

    Raises:
        InputError: a document of the line cannot be read: nothing can be judged then.
    """
    head = read_head(location)
    # Listed before the documents are read: what is published in between is not in the list.
    files = [file for file in location.walk() if file.path != LEASE_FILE]
    limit = time.time() - older_than_s
    waiting = find_waiting(location, head)
    mark = waiting[0] if waiting else None
    found = [*_versions(location, head, mark, files), *_arrivals(location, files), *_updates(head, mark, files)]
    found += _strays(files)
    found += _comparisons(head, files)
    return head, [garbage for garbage in found if max(file.modified for file in garbage.files) < limit]


def remove_garbage(location: Location, head: Head | None, garbage: Sequence[Garbage]) -> None:
    """Delete it. Hold the line's lease, so that no update reuses what goes.

    Raises:
        ConflictError: the head is no longer ``head``; what is left may be wanted again.
    """
    for item in garbage:
        if read_head(location) != head:
            raise ConflictError(f"{location.root}: the head moved meanwhile: run raygp gc again")
        for file in item.files:
            location.delete(file.path)
            _remove_empty_folders(location, file.path)


def _versions(
    location: Location, head: Head | None, waiting: Waiting | None, files: Sequence[StoredFile]
) -> Iterator[Garbage]:
    cards = {card.version: card for card in list_versions(location)}
    kept = {*reachable(list(cards.values()), head.version if head else None), version_to_make(location, head)}
    kept |= {waiting.version} if waiting else set()
    for version, group in _below("versions", files).items():
        folder = f"versions/{version}"
        card = cards.get(version)
        if card is None:
            yield Garbage(folder, "of an update that did not finish", tuple(group))
        elif version not in kept:
            # Without its card a version does not exist, so that goes first.
            card_first = sorted(group, key=lambda file: file.path != f"{folder}/card.json")
            yield Garbage(folder, "not in the head's history", tuple(card_first))
        else:
            named = {
                f"{folder}/card.json",
                f"{folder}/{APPROVED_FILE}",
                *(f"{folder}/{info.file}" for info in card.files),
            }
            yield from _singly((file for file in group if file.path not in named), "belongs to no version")


def _arrivals(location: Location, files: Sequence[StoredFile]) -> Iterator[Garbage]:
    manifests = {manifest.arrival: manifest for manifest in list_arrivals(location)}
    for arrival, group in _below("arrivals", files).items():
        folder = f"arrivals/{arrival}"
        manifest = manifests.get(arrival)
        if manifest is None:
            withdrawn = any(file.path == f"{folder}/{WITHDRAWN_FILE}" for file in group)
            reason = "of an arrival that was withdrawn" if withdrawn else "of an arrival that was never published"
            yield Garbage(folder, reason, tuple(group))
        else:
            named = {"manifest.json", QUARANTINE_FILE, *(info.file for info in manifest.files)}
            unnamed = (file for file in group if file.path.removeprefix(f"{folder}/") not in named)
            yield from _singly(unnamed, "belongs to no arrival")
    made = {f"{SAMPLES_FOLDER}/{made_name(manifest)}" for manifest in manifests.values()}
    indexes = (file for file in files if file.path.startswith(f"{SAMPLES_FOLDER}/"))
    yield from _singly((file for file in indexes if file.path not in made), "index of an arrival that is gone")


def _updates(head: Head | None, waiting: Waiting | None, files: Sequence[StoredFile]) -> Iterator[Garbage]:
    last = version_number(head.last or head.version) if head else -1
    for update, group in _below("updates", files).items():
        named = _UPDATE.fullmatch(update)
        refused = any(file.path == f"updates/{update}/{REFUSAL_FILE}" for file in group)
        if waiting is not None and waiting.folder == f"updates/{update}":
            continue
        if not (refused and named and version_number(named[1]) > last):
            yield Garbage(f"updates/{update}", "of an update that is over or was given up", tuple(group))


def _comparisons(head: Head | None, files: Sequence[StoredFile]) -> Iterator[Garbage]:
    """Of arrivals with what another version has seen. Those with the head say what waits."""
    kept = f"{DRIFT_FOLDER}/{head.version}-" if head else None
    compared = (file for file in files if file.path.startswith(f"{DRIFT_FOLDER}/"))
    yield from _singly(
        (file for file in compared if not kept or not file.path.startswith(kept)), "of a comparison that is over"
    )


def _strays(files: Sequence[StoredFile]) -> Iterator[Garbage]:
    grouped = ("versions/", "arrivals/", "updates/", "samples/", f"{DRIFT_FOLDER}/")
    for file in files:
        if file.path.startswith("probes/"):
            yield Garbage(file.path, "left by a probe of the storage", (file,))
        elif file.path.rsplit("/", 1)[-1].startswith(HIDDEN_PREFIX) and not file.path.startswith(grouped):
            yield Garbage(file.path, "left by a writer that was killed", (file,))


def _remove_empty_folders(location: Location, path: str) -> None:
    """Remove the folders that a deleted file leaves empty; object storage has none."""
    if location.is_local:
        for folder in location.local_path(path).relative_to(location.local_path()).parents[:-1]:
            # Not empty: it stays, and so do those above it.
            with contextlib.suppress(OSError):
                location.local_path(folder.as_posix()).rmdir()


def _singly(files: Iterator[StoredFile], reason: str) -> Iterator[Garbage]:
    return (Garbage(file.path, reason, (file,)) for file in files)


def _below(folder: str, files: Sequence[StoredFile]) -> dict[str, list[StoredFile]]:
    """Files by the folder right below ``folder`` that they lie in, at whatever depth."""
    groups: dict[str, list[StoredFile]] = defaultdict(list)
    for file in files:
        top, _, rest = file.path.partition("/")
        if top == folder and "/" in rest:
            groups[rest.split("/", 1)[0]].append(file)
    return groups
