"""Updates that were begun and are neither over nor refused: found in storage, told to people."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from raygp.errors import RaygpError
from raygp.store import Location, begun_with, find_waiting, read_head, version_number
from raygp.store.begun import BEGUN_FILE
from raygp.store.refusals import REFUSAL_FILE

_UPDATE = re.compile(r"(v\d{4,})-(.+)-[0-9a-f]{8}")
_CHECKPOINT = "checkpoint_"


@dataclass(frozen=True)
class UnfinishedUpdate:
    """An update that is half done: it was interrupted, or runs somewhere right now."""

    update: str
    """Its id, the name of its folder."""
    version: str
    """What its candidate would be called."""
    arrival: str
    sweep: bool
    """Whether it is a sweep of several updates."""
    epochs: int | None
    """Epochs that its last checkpoint has; None if there is no checkpoint yet."""
    beside: tuple[str, ...] = ()
    """Other arrivals that it folds in, of an update that was begun with all that waited; oldest first."""


def find_unfinished(location: Location) -> list[UnfinishedUpdate]:
    """What is half done in a line, by name. Reads one small file for each.

    What is left of an update that is over is not: of one whose version has been promoted, or waits for approval.
    """
    found, names = [], location.list("updates")
    over = _over(location) if names else -1
    for name in names:
        parts = _UPDATE.fullmatch(name)
        content = location.list(f"updates/{name}") if parts and version_number(parts[1]) > over else []
        if parts is None or not content or REFUSAL_FILE in content:
            continue
        sweep = bool({"tune", "shared", "trials"} & set(content))
        epochs = None if sweep else _epochs(location, f"updates/{name}", content)
        beside = begun_with(location, f"updates/{name}")[:-1] if BEGUN_FILE in content else []
        found.append(UnfinishedUpdate(name, parts[1], parts[2], sweep, epochs, tuple(beside)))
    return found


def _over(location: Location) -> int:
    """The number of the highest version whose update is over; -1 for none."""
    head = read_head(location)
    last = version_number(head.last or head.version) if head else -1
    waiting = find_waiting(location, head)
    return max(last, version_number(waiting[0].version)) if waiting else last


def update_folders(location: Location, arrival: str) -> list[str]:
    """Folders of the updates of an arrival: unfinished ones, and refusals."""
    found = [(name, _UPDATE.fullmatch(name)) for name in location.list("updates")]
    return [f"updates/{name}" for name, parts in found if parts and parts[2] == arrival]


def _epochs(location: Location, folder: str, content: list[str]) -> int | None:
    """Epochs of the youngest checkpoint whose state can be read."""
    names = [name for name in content if name.startswith(_CHECKPOINT) and not name.endswith(".json")]
    for name in reversed(names):
        try:
            state = json.loads(location.read_bytes(f"{folder}/{name}/state.json"))
            return int(state["cursor"]["epochs_total"])
        except (RaygpError, ValueError, KeyError, TypeError):
            continue  # Its upload was cut off, or it is a finished update's: the next older one counts.
    return None
