"""What is told of arrivals: an ingest, a withdrawal, an adoption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.events.base import Event

if TYPE_CHECKING:
    from raygp.store import Card, Duplicates, Manifest


@dataclass(frozen=True, kw_only=True)
class SamplesChecked(Event):
    """An ingest has checked and stored so many samples."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class FilesCopied(Event):
    """Files of a source at a URL have been copied here; the numbers are bytes."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Published(Event):
    """An arrival is in the line."""

    manifest: Manifest
    quarantine: str
    """Address of the list of rows that were left out; empty if none were."""

    @property
    def duplicates(self) -> Duplicates:
        """How many rows of the source were there already, and what became of them."""
        return self.manifest.duplicates


@dataclass(frozen=True, kw_only=True)
class AllKnown(Event):
    """Nothing is published: the line has every row of the source that could be used."""

    root: str
    source: str
    rows: int
    """Of the source."""
    duplicates: Duplicates
    unusable: int
    """Rows that the line does not have, as they cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Withdrawn(Event):
    """An arrival that no version has seen is out of the line again."""

    manifest: Manifest
    """What it was."""
    left: int
    """How many arrivals the line has now."""
    short: tuple[str, ...] = ()
    """Later arrivals that were published without rows which the line had already, maybe in this one."""




@dataclass(frozen=True, kw_only=True)
class RowsMeasured(Event):
    """A model that is being adopted has answered so many held-out rows."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Adopted(Event):
    """A dense model that somebody trained is the line's first version."""

    card: Card
    """Its ``origin`` has the names that were not in the file, were left over or had another shape."""
    prefix: str
    """What stood before the names in the file: "module." and the like; empty if nothing did."""
    head_is_new: bool
    """Whether the output layer is untrained."""
    without_rows: tuple[str, ...]
    """Its classes that no arrival has a training row of: updates may forget them."""
    new_classes: tuple[str, ...]
    """Classes of the line that it does not know: they come by the updates that follow."""
    test_left_out: int
    """Test rows of classes that it does not know."""
    guesses: bool
    """Whether it is no better than guessing on validation."""
    notes: tuple[str, ...] = ()
    """What of the file was not used, or is used in a way that a person has to know of."""
