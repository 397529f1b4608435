"""The file that makes a root a model line, and what is said about roots that are none."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from raygp.errors import ConflictError, InputError
from raygp.store.documents import Document, decode, encode, plain, read_document, utc_now
from raygp.store.location import Location

LINE_FILE = "line.json"
_LONGEST = 80
"""Characters of a value in a message."""
_OWN_FOLDERS = {"arrivals", "versions", "updates", "reports", "probes", "samples", "drift"}
_OWN_NAMES = _OWN_FOLDERS | {
    LINE_FILE, "head.json", "lease.json", "publishing.json", "store.json", "waiting.json", "watch.json",
    "watching.json",
}  # fmt: skip


class LineSpec(Document):
    """What a model line is about: one task for all its versions."""

    kind: Literal["raygp-line"] = "raygp-line"
    task: dict[str, Any]
    """Task name and options; opaque to storage."""

    created: str
    """UTC, ISO 8601."""


def open_line(location: Location) -> LineSpec:
    """The line that lies at ``location``.

    Raises:
        InputError: the root does not exist, is empty, or holds something else.
    """
    spec = check_root_usable(location)
    if spec is not None:
        return spec
    make = f"make a model line there: raygp ingest --root {location.root} --source KIND:PATH --task NAME"
    if location.is_local and not location.exists():
        raise InputError(f"{location.root} does not exist: correct --root, or {make}")
    raise InputError(f"{location.root} is empty (no {LINE_FILE}): correct --root, or {make}")


def check_root_usable(location: Location) -> LineSpec | None:
    """The line at ``location``, or None if the root is absent or empty, so that one can be created. Writes nothing.

    Raises:
        InputError: the root is a file or holds files that are no line.
    """
    if location.is_local and location.local_path().is_file():
        raise InputError(f"{location.root} is a file: choose a folder as --root")
    spec = read_document(location, LINE_FILE, LineSpec)
    if spec is not None:
        return spec
    names = location.list()
    foreign = [name for name in names if name not in _OWN_NAMES]
    if foreign:
        raise InputError(
            f"{location.root} holds files that are no raygp model line (e.g. '{foreign[0]}'):"
            " choose an empty or new --root"
        )
    # What a racing creator writes may appear between the two looks above: look again before calling the line broken.
    if names and (spec := read_document(location, LINE_FILE, LineSpec)) is None:
        raise InputError(
            f"{location.root} holds parts of a raygp model line (e.g. '{names[0]}') but no {LINE_FILE}:"
            " restore it from a copy, or choose an empty or new --root"
        )
    return spec


def create_line(location: Location, task: dict[str, Any]) -> LineSpec:
    """Make ``location`` a model line for ``task``; one that is there already for the same task is returned.

    Raises:
        InputError: the root holds something else (nothing is written then), or a line for another task.
    """
    existing = check_root_usable(location)
    if existing is None:
        spec = _new_spec(location, task)
        try:
            location.create(LINE_FILE, encode(spec))
            return spec
        except ConflictError:
            existing = open_line(location)
    wanted = _new_spec(location, task).task
    if existing.task != wanted:
        differences = "; ".join(_differences(existing.task, wanted, ""))
        raise InputError(
            f"{location.root} holds a model line for another task ({differences}): use that task, or another --root"
        )
    return existing


def change_task(location: Location, before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    """Replace the task of a line by another form of it. Nobody else is at work on the line meanwhile.

    Args:
        location: root of the line.
        before: the task as it was read.
        after: the task from now on.
        what: what is done, for people.

    Raises:
        ConflictError: an update or an ingest is at work on the line, or somebody else changed its task meanwhile.
        InputError: storage cannot keep two writers apart.
    """
    from raygp.store.conditions import require_conditional_writes
    from raygp.store.lease import line_lease, publishing_lease

    require_conditional_writes(location)
    with line_lease(location, what), publishing_lease(location, what):
        there = location.read_bytes(LINE_FILE)
        spec = decode(LineSpec, there, location.url(LINE_FILE))
        wanted = _new_spec(location, after).task
        if spec.task == wanted:
            return
        if spec.task != before:
            raise ConflictError(f"{location.root}: somebody else has changed the line's task: look again")
        location.replace(LINE_FILE, encode(spec.model_copy(update={"task": wanted})), there)


def _new_spec(location: Location, task: dict[str, Any]) -> LineSpec:
    """A spec whose task is as it will be read back."""
    try:
        return LineSpec.model_validate(plain(LineSpec(task=task, created=utc_now())))
    except (ValidationError, ValueError) as error:
        raise InputError(f"{location.root}: the task cannot be stored as JSON: {error}".splitlines()[0]) from error


def _differences(there: dict[str, Any], here: dict[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for key in sorted(there.keys() | here.keys()):
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif key not in there or key not in here or old != new:
            found.append(f"{prefix}{key}: {_shown(there, key)} there, {_shown(here, key)} here")
    return found


def _shown(task: dict[str, Any], key: str) -> str:
    if key not in task:
        return "not set"
    shown = repr(task[key])
    # A tokenizer, say, is longer than a message may be.
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown):,} characters)"
