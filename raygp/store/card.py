"""What a version's card says, and how versions are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from raygp.errors import InputError
from raygp.record import BackwardTransfer, UpdateRecord, backward_transfer, with_comparisons
from raygp.store.documents import Document, Upgrade, read_document
from raygp.store.files import FileInfo
from raygp.store.location import READERS, Location

_VERSION = re.compile(r"v\d{4,}")


def _with_history(card: dict[str, Any]) -> dict[str, Any]:
    """A card of format 1 as one of format 2, which keeps the history of epochs.

    Cards gained fields while they still said format 1, so any of these may be missing in one. What could not be stored
    as a number was stored as null inside a phase; it is left out, so that the field's default holds.
    """
    gained: dict[str, Any] = {"test_metrics": {}, "val_noise": None, "sweep": None, "ledger": {}, "phases": []}
    upgraded = {**gained, **card}
    if isinstance(upgraded["phases"], list):
        upgraded["phases"] = [_without_null(phase) for phase in upgraded["phases"]]
    return upgraded


def _without_null(phase: Any) -> Any:
    if not isinstance(phase, dict):
        return phase  # Damaged; the check of the fields says so.
    return {key: value for key, value in phase.items() if value is not None}


class OriginFile(BaseModel):
    """A file that somebody else wrote and a version was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """Name, without folders."""
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Origin(BaseModel):
    """Where an adopted version has its weights from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[OriginFile]
    """The checkpoint; of one in parts, its index first."""
    loaded: int
    """Tensors of the model that were in it."""
    made_new: list[str]
    """Names of tensors that were not in it, or had another shape: they are untrained."""
    left_over: list[str]
    """Names in the checkpoint that the model does not have."""
    other_shape: list[str]
    """What had another shape, with both shapes."""
    converted: list[str]
    """Names of tensors that were stored in another precision."""
    classes_from: str
    """What gave the order of the classes."""
    left_out: int = 0
    """Validation rows on which the version was not measured, as it does not know their classes."""


class Card(UpdateRecord, Document):
    """A version: where it comes from, what it has seen, what its update did and measured (:class:`UpdateRecord`), which
    files it consists of."""

    FORMAT: ClassVar[int] = 6
    UPGRADES: ClassVar[Mapping[int, Upgrade]] = {1: _with_history, 2: with_comparisons, 3: dict, 4: dict, 5: dict}
    """Format 4 says how good a version is among the classes that its parent knows. Format 5 has ``origin``,
    format 6 ``beside`` and ``drift``."""

    version: str = Field(pattern=r"^v\d{4,}$")
    parent: str | None
    """Version it was made from; None for the first."""

    update: str
    """Id of the update that made it."""

    created: str
    """UTC, ISO 8601."""

    arrivals: list[str]
    """All arrivals seen, in the order in which they were folded in."""

    arrival: str
    """The one that this version folded in, of several the newest; empty for one that was adopted, which has seen
    none."""

    beside: list[str] = Field(default_factory=list)
    """The others that it folded in, oldest first. Empty for what an earlier raygp wrote."""

    classes: list[str]
    """Label vocabulary: position is class id; a descendant only appends."""

    task: dict[str, Any]
    plan: dict[str, Any]
    seed: int
    workers: int | str
    """Training workers; a range such as "1..8" where their number could change."""

    files: list[FileInfo] = Field(default_factory=list)
    """Filled in by :func:`raygp.store.write_version`."""

    manifests: dict[str, str]
    """Digest of each seen arrival's manifest."""
    sweep: dict[str, Any] | None = None
    """Trials that the plan was chosen from, and why it was; None if it was given."""
    origin: Origin | None = None
    """Where the weights are from, of a version that was adopted and not trained here."""

    @property
    def folded_in(self) -> list[str]:
        """The arrivals that this version folded in, oldest first; empty for one that was adopted."""
        return [*self.beside, self.arrival] if self.arrival else []

    @property
    def measured_on(self) -> list[str]:
        """Arrivals whose held-out rows it was measured on: those that it has seen; of one that was adopted, those that
        there were."""
        return self.arrivals or list(self.by_arrival)

    @property
    def backward_transfer(self) -> BackwardTransfer | None:
        """How accuracy on earlier arrivals changed with this version; None for a first one, or if it is not known."""
        return backward_transfer(self.by_arrival, self.folded_in) if self.parent else None


def next_version(parent: str | None) -> str:
    """The name after ``parent``: "v0000" for None, "v0004" after "v0003".

    Raises:
        InputError: ``parent`` is no version name.
    """
    if parent is None:
        return "v0000"
    return f"v{version_number(parent) + 1:04d}"


def version_number(version: str) -> int:
    """3 for "v0003".

    Raises:
        InputError: it is no version name.
    """
    if not _VERSION.fullmatch(version):
        raise InputError(f"'{version}' is no version: they are called v0000, v0001, ...")
    return int(version[1:])


def reachable(cards: Sequence[Card], head: str | None) -> list[str]:
    """The versions that the head was made from, itself included, newest first."""
    parents = {card.version: card.parent for card in cards}
    found: list[str] = []
    while head is not None and head not in found:
        found.append(head)
        head = parents.get(head)
    return found


def version_folder(version: str) -> str:
    """Path of a version's folder."""
    return f"versions/{version}"


def card_path(version: str) -> str:
    """Path of a version's card."""
    return f"{version_folder(version)}/card.json"


def find_card(location: Location, version: str) -> Card | None:
    """The card of a version; None if there is no such version.

    Raises:
        InputError: the name is none, or the card cannot be read or belongs to another version.
    """
    version_number(version)
    card = read_document(location, card_path(version), Card)
    if card is not None and card.version != version:
        where = location.url(card_path(version))
        raise InputError(f"{where}: version: expected '{version}', found '{card.version}'; was the folder renamed?")
    return card


def read_card(location: Location, version: str) -> Card:
    """The card of a version that must exist.

    Raises:
        InputError: there is no such version, or its card cannot be read.
    """
    card = find_card(location, version)
    if card is None:
        known = ", ".join(found.version for found in list_versions(location)) or "none"
        raise InputError(f"{location.root} has no version {version} (versions: {known})")
    return card


def list_versions(location: Location) -> list[Card]:
    """Cards of all versions, oldest first. Folders without a card are ignored.

    Raises:
        InputError: a card cannot be read.
    """
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: find_card(location, name), version_names(location))
        return [card for card in found if card is not None]


def version_names(location: Location) -> list[str]:
    """Names of all version folders, oldest first, with a card or not."""
    return sorted((name for name in location.list("versions") if _VERSION.fullmatch(name)), key=version_number)
