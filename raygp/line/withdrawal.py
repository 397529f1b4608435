"""Taking an arrival out of a line again, as long as no version has seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from raygp.data.admission import Holdings, lack_of
from raygp.data.listing import listed
from raygp.errors import InputError
from raygp.line.unfinished import find_unfinished, update_folders
from raygp.store import (
    Location,
    Manifest,
    arrival_names,
    find_waiting,
    finish_removal,
    line_lease,
    list_arrivals,
    list_versions,
    open_line,
    part_plans,
    publishing_lease,
    reachable,
    read_head,
    remove_arrival,
    remove_drift,
)

_SHOWN = 20


@dataclass(frozen=True)
class Withdrawal:
    """An arrival that was taken out of a line."""

    manifest: Manifest
    """What it was."""
    left: int
    """How many arrivals the line has now."""
    short: tuple[str, ...] = ()
    """Later arrivals that were published without rows which the line had already, maybe in this one."""


def withdraw(location: Location, arrival: str) -> Withdrawal:
    """Take an arrival out of the line that no version has seen; or end a withdrawal that was interrupted.

    Raises:
        InputError: there is no such arrival, a version or an unfinished update has seen it, or one that was published
            later cannot do without it.
        ConflictError: somebody is at work on the line.
    """
    open_line(location)
    if arrival not in arrival_names(location):
        raise _unknown(location, arrival)
    with line_lease(location, "raygp withdraw"), publishing_lease(location, "raygp withdraw"):
        published = list_arrivals(location)
        others = [manifest for manifest in published if manifest.arrival != arrival]
        later: list[Manifest] = []
        if len(others) < len(published):
            (manifest,) = (manifest for manifest in published if manifest.arrival == arrival)
            seen = _seen(location, arrival)
            later = [m for m in others if m.arrival not in seen and m.published >= manifest.published]
            _check_not_begun(location, manifest, later)
            _check_not_needed(manifest, [m for m in others if m not in later], later)
            remove_arrival(location, manifest)
        elif (finished := finish_removal(location, arrival)) is not None:
            manifest = finished
        else:
            raise _unknown(location, arrival)
        for folder in update_folders(location, arrival):
            location.delete(folder, recursive=True)  # Refusals: they are of no use to anybody now.
        remove_drift(location, [arrival])  # Another arrival may be given its name.
    short = tuple(m.arrival for m in later if m.duplicates.held_out + m.duplicates.trained)
    return Withdrawal(manifest, len(others), short)


def _unknown(location: Location, arrival: str) -> InputError:
    """What to say where no arrival of a name can be withdrawn."""
    if arrival in arrival_names(location) and part_plans(location, arrival):
        return InputError(
            f"{location.root}: arrival '{arrival}' is not published: an ingest is at work on it or was interrupted. "
            "The same ingest again goes on with it, raygp gc deletes it"
        )
    names = [manifest.arrival for manifest in list_arrivals(location)]
    return InputError(f"{location.root} has no arrival {arrival!r} (arrivals: {listed(names, _SHOWN) or 'none'})")


def _seen(location: Location, arrival: str) -> set[str]:
    """Names of the arrivals that the head has seen.

    Raises:
        InputError: a version has seen this one.
    """
    cards, head = list_versions(location), read_head(location)
    versions = [card for card in cards if arrival in card.arrivals]
    if not versions:
        return {name for card in cards if head and card.version == head.version for name in card.arrivals}
    first = versions[0]
    history = set(reachable(cards, head.version if head else None))
    waiting = find_waiting(location, head)
    clean = f"raygp gc --root {location.root} --older-than 0s"
    if waiting is not None and [card.version for card in versions] == [waiting[0].version]:
        advice = f"raygp reject {first.version} --root {location.root} drops it; then it can be withdrawn"
    elif not history.intersection(card.version for card in versions):
        advice = f"{clean} deletes what is not in the head's history; then it can be withdrawn"
    elif first.parent is None:
        advice = "begin another line without it"
    else:
        back = f"raygp rollback {first.parent} --root {location.root}"
        advice = f"{back} goes back before it; after {clean} it can be withdrawn"
    more = f" and {len(versions) - 1:,} more" if len(versions) > 1 else ""
    raise InputError(f"arrival '{arrival}' is in {first.version}{more}, and what a version has seen stays: {advice}")


def _check_not_begun(location: Location, manifest: Manifest, later: Sequence[Manifest]) -> None:
    """Refuse while an update is half done that folds the arrival in.

    Raises:
        InputError: there is one.
    """
    # An arrival without training rows has no update of its own, but goes with the next one.
    names = [manifest.arrival] if manifest.rows("train") else [manifest.arrival, *(m.arrival for m in later)]
    for unfinished in find_unfinished(location):
        if unfinished.arrival in names or manifest.arrival in unfinished.beside:
            raise InputError(
                f"arrival '{manifest.arrival}' cannot be withdrawn while update {unfinished.update} is half done: "
                f"raygp update goes on with it, raygp gc --root {location.root} --older-than 0s drops it"
            )


def _check_not_needed(manifest: Manifest, before: Sequence[Manifest], later: Sequence[Manifest]) -> None:
    """Refuse where no update could use a later arrival any more.

    Raises:
        InputError: there is such a one; the message says what it would lack.
    """
    there = Holdings.of_manifests(before)
    gone = {label for label, rows in manifest.labels.items() if rows}
    for other in later:
        holdings = Holdings.of_manifests([other])
        # Texts may hold symbols that nothing is trained on: only what goes now counts.
        lacking = replace(holdings, held_out=gone.intersection(holdings.held_out))
        # An arrival of numbers, for a regression, has no labels to list.
        if lack := lack_of(other.arrival, lacking, there, classes=bool(manifest.labels or other.labels)):
            raise InputError(
                f"arrival '{manifest.arrival}' cannot be withdrawn before {other.arrival}: without it, "
                f"{lack.sentence}: withdraw {other.arrival} first"
            )
        there = there.and_of(holdings)
