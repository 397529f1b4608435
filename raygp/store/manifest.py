"""What a published arrival is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from raygp.errors import InputError
from raygp.store.documents import Document, Upgrade, plain, read_document, sha256_hex
from raygp.store.files import FileInfo
from raygp.store.location import READERS, Location

QUARANTINE_FILE = "quarantine.jsonl"
"""Beside the manifest: the rows that were left out, and why."""

Split = Literal["train", "val", "test"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class ShardInfo(FileInfo):
    """A Parquet file of an arrival."""

    split: Split
    rows: int = Field(ge=1)


class Duplicates(BaseModel):
    """How many rows of a source have bytes that the line, or another row of the source, has already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    held_out: int = Field(default=0, ge=0)
    """Skipped: an earlier arrival holds them out, and they stay held out."""
    trained: int = Field(default=0, ge=0)
    """Skipped: an earlier arrival has them as training rows."""
    repeated: int = Field(default=0, ge=0)
    """Skipped: another row of the same source has the same bytes."""
    kept: int = Field(default=0, ge=0)
    """Such rows that are training rows all the same, because duplicates were to be kept."""
    conflicting: int = Field(default=0, ge=0)
    """Left out, as another row of the same source has the same bytes under another label; so is that other row."""
    relabelled: int = Field(default=0, ge=0)
    """Left out, as an earlier arrival has the same bytes under another label, which holds."""

    @property
    def skipped(self) -> int:
        """Rows left out because they are there already, under the same label."""
        return self.held_out + self.trained + self.repeated

    @property
    def contradicted(self) -> int:
        """Rows left out because the same bytes have two labels. They are listed in ``quarantine.jsonl``."""
        return self.conflicting + self.relabelled


class Manifest(Document):
    """An arrival's shards. Its presence publishes the arrival; it never changes."""

    FORMAT: ClassVar[int] = 3
    UPGRADES: ClassVar[Mapping[int, Upgrade]] = {
        1: lambda manifest: {"quarantined": 0, **manifest},
        2: lambda manifest: {"samples": [], "duplicates": {}, **manifest},
    }
    """Format 2 has ``quarantined``; raygp 0.1.0 wrote it too, but called it format 1. Format 3 has ``samples`` and
    ``duplicates``."""

    arrival: str
    published: str
    """UTC, ISO 8601, microseconds."""

    shards: list[ShardInfo]
    labels: dict[str, int]
    """Training rows by label (by symbol of the label, where labels are texts); 0 for one that only held-out rows have.
    An arrival may hold nothing but such rows."""

    source: str
    """Where the samples came from, for people."""

    quarantined: int = Field(default=0, ge=0)
    """Rows of the source that were left out; ``quarantine.jsonl`` says which and why."""

    samples: list[FileInfo] = Field(default_factory=list)
    """Index of its samples' digests (:mod:`raygp.store.samples`), in the order of rows. Empty: it has none, as arrivals
    of earlier versions."""

    duplicates: Duplicates = Duplicates()
    """Rows of the source that were there already. Of several arrivals made of one source, the first has the counts."""

    @model_serializer(mode="wrap")
    def _without_empty(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What manifests gained with format 3 is stored only where something stands in it: so those of earlier formats
        keep their digest."""
        content: dict[str, Any] = serialize(self)
        gained = {"samples": self.samples != [], "duplicates": self.duplicates != Duplicates()}
        return {key: value for key, value in content.items() if gained.get(key, True)}

    @property
    def files(self) -> list[FileInfo]:
        """All files that it vouches for."""
        return [*self.shards, *self.samples]

    def rows(self, split: Split) -> int:
        """Rows of a split."""
        return sum(shard.rows for shard in self.shards_of(split))

    def shards_of(self, split: Split) -> list[ShardInfo]:
        """Shards of a split, in order."""
        return [shard for shard in self.shards if shard.split == split]

    @property
    def digest(self) -> str:
        """SHA-256 of its canonical JSON, 64 hex digits: identifies the arrival's whole content."""
        # Cards and the names of unfinished updates hold digests from when every manifest said format 1. A manifest
        # that is read as a newer format must keep its digest, so the number is no part of what is hashed.
        content = {**plain(self), "format": 1}
        return sha256_hex(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def check_arrival_name(arrival: str) -> None:
    """Raises InputError unless the name can be a folder in any storage."""
    if not _NAME.fullmatch(arrival):
        raise InputError(
            f"{arrival!r} is no arrival name: use 1 to 100 of A-Z a-z 0-9 . _ - and do not start with a dot"
        )


def arrival_folder(arrival: str) -> str:
    """Path of an arrival's folder."""
    return f"arrivals/{arrival}"


def manifest_path(arrival: str) -> str:
    """Path of an arrival's manifest."""
    return f"{arrival_folder(arrival)}/manifest.json"


def find_manifest(location: Location, arrival: str) -> Manifest | None:
    """The manifest of an arrival; None if it is not published.

    Raises:
        InputError: it cannot be read, or belongs to another arrival.
    """
    manifest = read_document(location, manifest_path(arrival), Manifest)
    if manifest is not None and manifest.arrival != arrival:
        where = location.url(manifest_path(arrival))
        raise InputError(f"{where}: arrival: expected '{arrival}', found '{manifest.arrival}'; was the folder renamed?")
    return manifest


def list_arrivals(location: Location) -> list[Manifest]:
    """Published arrivals, by time of publication, then name. Folders without a manifest are ignored.

    Raises:
        InputError: a manifest cannot be read.
    """
    return find_manifests(location, arrival_names(location))


def arrival_names(location: Location) -> list[str]:
    """Names of all arrival folders, sorted, published or not."""
    return [name for name in location.list("arrivals") if _NAME.fullmatch(name)]


def find_manifests(location: Location, names: Sequence[str]) -> list[Manifest]:
    """Manifests of those of the arrivals that are published, by time of publication, then name.

    Raises:
        InputError: a manifest cannot be read.
    """
    with ThreadPoolExecutor(READERS) as pool:
        found = [manifest for manifest in pool.map(partial(find_manifest, location), names) if manifest is not None]
    return sorted(found, key=lambda manifest: (manifest.published, manifest.arrival))
