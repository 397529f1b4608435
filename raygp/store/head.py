"""The promoted version of a line. It moves by compare-and-swap, from a parent to its child."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import ConfigDict

from raygp.errors import ConflictError, InputError
from raygp.store.card import (
    Card,
    card_path,
    find_card,
    next_version,
    read_card,
    version_folder,
    version_names,
    version_number,
)
from raygp.store.conditions import require_conditional_writes
from raygp.store.documents import Document, Upgrade, decode, encode, sha256_hex, utc_now
from raygp.store.location import Location
from raygp.store.versions import check_weights, weights_file

HEAD_FILE = "head.json"


class Head(Document):
    """Which version counts."""

    model_config = ConfigDict(frozen=True)

    FORMAT: ClassVar[int] = 2
    UPGRADES: ClassVar[Mapping[int, Upgrade]] = {1: lambda head: {"last": None, **head}}
    """Format 2 has ``last``. raygp 0.1.0 wrote it too, but called it format 1."""

    version: str
    card_sha256: str
    """SHA-256 of the version's card.json, 64 hex digits."""

    updated: str
    """UTC, ISO 8601."""

    last: str | None = None
    """After a rollback: the highest version there was, so that no later one bears a rolled-back version's name."""


def read_head(location: Location) -> Head | None:
    """The head, or None if no version was promoted yet.

    Raises:
        InputError: head.json cannot be read.
    """
    return _read(location)[0]


def open_head(location: Location, head: Head) -> Card:
    """The card of the head.

    Raises:
        InputError: the card is missing or is not the one that was promoted.
    """
    data = location.read_bytes(card_path(head.version))
    where = location.url(card_path(head.version))
    if (found := sha256_hex(data)) != head.card_sha256:
        raise InputError(
            f"{where} is not the card that was promoted: expected SHA-256 {head.card_sha256}, found {found};"
            " restore it from a copy"
        )
    return decode(Card, data, where)


def promote(location: Location, card: Card, expected: Head | None) -> Head:
    """Make a written version the head, if the head is still ``expected``. Repeating it is harmless.

    Args:
        expected: the head that the version's update started from; None if there was none.

    Returns:
        The new head, or the present one if it is this very version already.

    Raises:
        ConflictError: the head is another version now.
        InputError: the version is not (wholly) in storage, or is no child of ``expected``; or storage cannot keep two
            writers apart.
    """
    require_conditional_writes(location)
    parent = expected.version if expected else None
    if card.parent != parent:
        raise InputError(f"{card.version} was made from {card.parent or 'nothing'}, not from {parent or 'nothing'}")
    data = location.read_bytes(card_path(card.version))
    stored = decode(Card, data, location.url(card_path(card.version)))
    if stored.update != card.update:
        raise ConflictError(f"{location.root}: version {card.version} belongs to update {stored.update} now")
    _check_weights_present(location, stored)
    new = Head(version=card.version, card_sha256=sha256_hex(data), updated=utc_now())
    current, current_bytes = _read(location)
    if current == expected:
        try:
            location.replace(HEAD_FILE, encode(new), current_bytes)
            return new
        except ConflictError:
            # Maybe our own write, whose answer was lost.
            current, _ = _read(location)
    if current is not None and (current.version, current.card_sha256) == (new.version, new.card_sha256):
        return current
    raise ConflictError(
        f"{location.root}: {card.version} cannot be promoted: the head is {current.version if current else 'none'} now,"
        f" not {parent or 'none'}; start the update again from there"
    )


def finish_interrupted_promotion(location: Location) -> Card | None:
    """Promote the child of the head whose writer was killed between its card and the head; None if there is none.
    Versions from before a rollback are none.

    Raises:
        ConflictError: another process moved the head meanwhile.
        InputError: head or card cannot be read, or the version's weights are missing.
    """
    head = read_head(location)
    card = waiting_version(location, head)
    if card is not None:
        promote(location, card, head)
    return card


def waiting_version(location: Location, head: Head | None) -> Card | None:
    """The child of the head whose writer was killed between its card and the head; None if there is none.

    Raises:
        InputError: a card cannot be read.
    """
    return find_card(location, version_to_make(location, head))


def version_to_make(location: Location, head: Head | None) -> str:
    """The name of the head's next child; a card of that name is that child's, waiting to be promoted.

    Raises:
        InputError: a card cannot be read.
    """
    version = next_version((head.last or head.version) if head else None)
    # A version made from what was the head until a rollback may have been written since.
    while (card := find_card(location, version)) is not None and card.parent != (head.version if head else None):
        version = next_version(version)
    return version


def rollback(location: Location, version: str, expected: Head) -> Head:
    """Make a version that lies in storage the head, if the head is still ``expected``.

    Returns:
        The new head. Versions made from now on are numbered after the highest there is.

    Raises:
        InputError: there is no such version, or it is damaged; or storage cannot keep two writers apart.
        ConflictError: the head is another version now.
    """
    require_conditional_writes(location)
    check_weights(location, read_card(location, version))
    last = max([*version_names(location), expected.last or expected.version], key=version_number)
    card_sha256 = sha256_hex(location.read_bytes(card_path(version)))
    new = Head(version=version, card_sha256=card_sha256, updated=utc_now(), last=last)
    current, current_bytes = _read(location)
    if current != expected:
        raise ConflictError(
            f"{location.root}: the head is {current.version if current else 'none'} now, not {expected.version}: "
            "look again (raygp versions --graph) before you roll back"
        )
    location.replace(HEAD_FILE, encode(new), current_bytes)
    return new


def _read(location: Location) -> tuple[Head | None, bytes | None]:
    data = location.read_if_exists(HEAD_FILE)
    return (None if data is None else decode(Head, data, location.url(HEAD_FILE))), data


def _check_weights_present(location: Location, card: Card) -> None:
    info = weights_file(location, card)
    path = f"{version_folder(card.version)}/{info.file}"
    if (found := location.size(path)) != info.bytes:
        raise InputError(f"{location.url(path)} is damaged: expected {info.bytes} bytes, found {found} bytes")
