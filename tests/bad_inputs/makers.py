"""How bad inputs are made: each is a good one with a single thing wrong."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.store import Location, find_manifests, promote, write_version
from tests.digits import FewDigits
from tests.store.helpers import MakeCard, publish

Make = Callable[[Path], object]


def photos(folder: Path, classes: int = 2, images: int = 20) -> Path:
    """``folder/photos/class0/00.png`` and so on."""
    for label in range(classes):
        below = folder / "photos" / f"class{label}"
        below.mkdir(parents=True)
        for number in range(images):
            Image.new("RGB", (16, 16), (label * 90, number * 10, 40)).save(below / f"{number:02d}.png")
    return folder / "photos"


def photos_with(name: str, content: bytes | None) -> Make:
    """The photos, one file replaced; with None, only its second half is lost."""

    def make(folder: Path) -> None:
        file = photos(folder) / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)

    return make


def parquet(columns: dict[str, Any], cut: int = 0) -> Make:
    """``x.parquet``, without its last ``cut`` bytes."""

    def make(folder: Path) -> None:
        pq.write_table(pa.table(columns), folder / "x.parquet")
        content = (folder / "x.parquet").read_bytes()
        (folder / "x.parquet").write_bytes(content[: len(content) - cut])

    return make


def tar(members: dict[str, bytes], cut: int = 0) -> Make:
    """``x.tar``, without its last ``cut`` bytes."""

    def make(folder: Path) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        (folder / "x.tar").write_bytes(out.getvalue()[: len(out.getvalue()) - cut])

    return make


def idx(images: bytes | None, labels: bytes | None) -> Make:
    """``idx/`` with a good test half and this training half; None: the file is missing."""

    def make(folder: Path) -> None:
        (folder / "idx").mkdir()
        for part, kind, content in (
            ("train", "images-idx3", images),
            ("train", "labels-idx1", labels),
            ("t10k", "images-idx3", idx_images(2)),
            ("t10k", "labels-idx1", idx_labels(2)),
        ):
            if content is not None:
                (folder / "idx" / f"{part}-{kind}-ubyte").write_bytes(content)

    return make


def idx_images(count: int) -> bytes:
    """An idx file of black images."""
    return struct.pack(">4i", 2051, count, 8, 8) + bytes(64 * count)


def idx_labels(count: int) -> bytes:
    """An idx file of labels 0, 1, 0, ..."""
    return struct.pack(">2i", 2049, count) + bytes(i % 2 for i in range(count))


def text(name: str, content: str) -> Make:
    """A file of text."""

    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return make


def line(folder: Path) -> Location:
    """``line/``: one arrival of digits, called monday, and no version."""
    location = Location(str(folder / "line"))
    settings = IngestSettings(["monday"], [1.0], 0.2, 0.2)
    ingest(location, {"name": "lenet-300-100"}, FewDigits(0, 100, "01"), settings)
    return location


def line_and(make: Make) -> Make:
    """The line, and something beside it."""

    def both(folder: Path) -> None:
        line(folder)
        make(folder)

    return both


def line_with_head(folder: Path, make_card: MakeCard) -> Location:
    """The line with a version v0000 of monday (its weights are no model's), and tuesday waiting."""
    location = line(folder)
    seen = {manifest.arrival: manifest.digest for manifest in find_manifests(location, ["monday"])}
    card = make_card(arrivals=["monday"], arrival="monday", classes=["0", "1"], manifests=seen)
    promote(location, write_version(location, card, {"a": torch.ones(2)}), None)
    publish(location, "tuesday")
    return location


def changed(path: str, change: Callable[[bytes], bytes]) -> Callable[[Location], object]:
    """Change a file of a line; ``*`` in its path stands for the one name that fits."""

    def make(location: Location) -> None:
        (file,) = location.local_path().glob(path)
        file.write_bytes(change(file.read_bytes()))

    return make


def gone(path: str) -> Callable[[Location], object]:
    """Delete a file of a line."""

    def make(location: Location) -> None:
        (file,) = location.local_path().glob(path)
        file.unlink()

    return make


def field(name: str, value: Any) -> Callable[[bytes], bytes]:
    """Set a field of a JSON document."""
    return lambda content: json.dumps(json.loads(content) | {name: value}).encode()
