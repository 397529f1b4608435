"""What the command line does to keep a line's storage in order: look at its history, roll back, collect garbage."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from rich.console import Console

from raygp.errors import InputError
from raygp.report.graph import versions_graph
from raygp.report.tables import garbage_table, percent
from raygp.store import (
    Card,
    Garbage,
    Location,
    arrival_names,
    find_garbage,
    line_lease,
    list_versions,
    open_head,
    open_line,
    read_card,
    read_head,
    remove_garbage,
    rollback,
    verify_arrival,
)

_AGE = re.compile(r"(\d+)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def graph(console: Console, location: Location) -> None:
    """Which version was made from which, as a tree."""
    open_line(location)
    cards = list_versions(location)
    if not cards:
        console.print("no version yet (raygp update makes the first)")
    for tree in versions_graph(cards, read_head(location)):
        console.print(tree)


def roll_back(console: Console, location: Location, version: str) -> None:
    """Move the head to a version, and say what that un-folds.

    Raises:
        InputError: there is no such version, or it is damaged, or there is no head yet.
        ConflictError: somebody else moved the head meanwhile.
    """
    open_line(location)
    head = read_head(location)
    if head is None:
        raise InputError(f"{location.root} has no version yet: there is nothing to roll back")
    if head.version == version:
        console.print(f"{version} is the head already: nothing to do")
        return
    before: Card | None = None
    with contextlib.suppress(InputError):
        # A damaged head is what one rolls back from.
        before = open_head(location, head)
    rollback(location, version, head)
    card = read_card(location, version)
    console.print(f"head: {head.version} -> {version} (validation {percent(card.val_accuracy)} %)")
    if before is None:
        console.print(f"the card of {head.version} cannot be read: see raygp status for the arrivals that wait now")
        return
    _list_arrivals(console, "un-folded, waiting for the next update", before.arrivals, card.arrivals)
    _list_arrivals(console, "folded in again", card.arrivals, before.arrivals)
    console.print(f"{head.version} stays in storage until raygp gc; raygp rollback {head.version} takes this back")


def collect_garbage(console: Console, location: Location, older_than_s: float, dry_run: bool) -> None:
    """List what nothing refers to and is older than the limit; delete it unless ``dry_run``.

    Raises:
        InputError: the root is no line, or a document in it cannot be read.
        ConflictError: an update is at work on the line, or the head moved meanwhile.
    """
    open_line(location)
    if dry_run:
        _show_garbage(console, find_garbage(location, older_than_s)[1], "would be deleted")
        return
    with line_lease(location, "raygp gc"):
        head, garbage = find_garbage(location, older_than_s)
        remove_garbage(location, head, garbage)
    _show_garbage(console, garbage, "deleted")


def verify(console: Console, location: Location) -> None:
    """Read every published arrival again and check it against its manifest; a line for each.

    Raises:
        InputError: something is damaged, missing or too much; the message names the first file.
    """
    from raygp.tasks import make_task  # It loads torch, which the other commands here can do without.

    symbols = make_task(open_line(location).task).symbols
    problems: list[str] = []
    for arrival in arrival_names(location):
        found = verify_arrival(location, arrival, symbols)
        if found.rows is None and not found.problems:
            console.print(f"{arrival}: not published (an ingest is running, or was killed: see raygp gc)")
        for problem in found.problems:
            console.print(f"{arrival}: {problem}")
        if found.rows is not None and not found.problems:
            console.print(f"{arrival}: {found.shards} shards, {found.rows:,} rows, {found.bytes / 1e6:,.1f} MB: whole")
        problems += found.problems
    if problems:
        more = f" (and {len(problems) - 1} more, listed above)" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}")


def parse_age(text: str) -> float:
    """Seconds in an age such as 7d, 12h, 30m or 0s.

    Raises:
        InputError: it is none.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise InputError(f"--older-than: '{text}' is no age: give a whole number and d, h, m or s, such as 7d")
    return float(int(found[1]) * _SECONDS[found[2]])


def _list_arrivals(console: Console, what: str, these: Sequence[str], without: Sequence[str]) -> None:
    names = [name for name in these if name not in without]
    if names:
        console.print(f"{what}: {', '.join(names)}")


def _show_garbage(console: Console, garbage: Sequence[Garbage], what: str) -> None:
    if garbage:
        console.print(garbage_table(garbage))
    files = sum(len(item.files) for item in garbage)
    console.print(f"{files:,} files, {sum(item.bytes for item in garbage) / 1e6:,.1f} MB {what}")
