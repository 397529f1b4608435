"""The kept roots, unpacked where a test wants them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from raygp.store import Location

DATA = Path(__file__).parent / "data"
VERSIONS = ["v0_1_0", "card_5"]
"""Versions of raygp that roots are kept of; of one between two of them, by the format of its cards."""


def unpack(name: str, folder: Path, version: str = "v0_1_0") -> Location:
    """A kept root in a new folder, which is another one than it was made in."""
    root = folder / f"moved-{name}"
    with tarfile.open(DATA / version / f"{name}.tar.xz") as archive:
        archive.extractall(root, filter="data")
    return Location(str(root))


def described(name: str, version: str = "v0_1_0") -> dict[str, Any]:
    """The settings that a root was made with (``settings``), and what the raygp that made it came to when it went on
    from there (``ends``)."""
    content: dict[str, Any] = json.loads((DATA / version / f"{name}.json").read_text())
    return content
