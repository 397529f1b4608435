"""Makes the roots under tests/formats/data/card_5, with the raygp of commit 38924ae, whose cards have format 5.

They are test data, as those of make_data.py are: do not make them again with newer code. The table is small, so that
the roots are. Run it with the old code on the path::

    PYTHONPATH=<checkout of 38924ae> python tests/formats/make_format_5.py <folder to work in> tests/formats/data/card_5
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import raygp
from raygp.data.ingest_settings import IngestSettings
from raygp.data.sources import SourceSample, open_source
from raygp.errors import RejectedError
from raygp.events import CheckpointStored, Event
from raygp.settings import load_settings

TASK = {"name": "tabular", "hidden": [16]}
COMMON = {
    "gate_tolerance": 1.0,
    "ladder": False,
    "synthesis": {"epochs": 2, "batch_size": 16, "fit": None},
    "plan": {"epochs": 4, "batch_size": 16, "fit": None, "replay": {"share": 0.5}},
}
BAD = {**COMMON, "gate_tolerance": 0.0, "gate_confidence": 0.5, "plan": {**COMMON["plan"], "lr": 50.0}}


class Held:
    """A source whose rows are all for validation."""

    def __init__(self, form: str) -> None:
        self._source = open_source(form)
        self.name = self._source.name

    def samples(self) -> Iterator[SourceSample]:
        """Its rows."""
        return (replace(sample, split="val") for sample in self._source.samples())


class Killed(BaseException):
    """Stands for the end of the process."""


def table(work: Path, number: int) -> str:
    """A table of two numbers, and a label that depends on these."""
    draw, file = random.Random(number), work / f"rows-{number}.csv"
    rows = []
    for _ in range(60):
        across, up = draw.random(), draw.random()
        rows.append(f"{across:.4f},{up:.4f},{'high' if across + up > 1.0 else 'low'}")
    file.write_text("across,up,label\n" + "\n".join(rows) + "\n")
    return f"table:{file}"


def settings(chosen: dict[str, Any]) -> Any:
    """The settings that a root is updated with."""
    file = Path(sys.argv[1], "settings.yaml")
    file.write_text(json.dumps(chosen))
    return load_settings(TASK, str(file))


def main() -> None:
    """Make all roots."""
    work, out = (Path(argument).absolute() for argument in sys.argv[1:3])
    shutil.rmtree(work, ignore_errors=True)
    for folder in (work, out):
        folder.mkdir(parents=True, exist_ok=True)
    line = raygp.open(str(work / "line"))
    line.ingest(table(work, 0), IngestSettings(["mon"]), task=TASK)
    line.update(settings(COMMON))
    line.ingest(Held(table(work, 1)), IngestSettings(["held"]))
    line.ingest(table(work, 2), IngestSettings(["tue"]))
    for root in ("unfinished", "refused"):
        shutil.copytree(work / "line", work / root)
    line.update(settings(COMMON))
    card = line.version().card
    keep(work / "line", out, COMMON)
    ends = {"update": card.update, "mask_digest": card.mask_digest, "val_accuracy": card.val_accuracy}
    kill(work / "unfinished")
    keep(work / "unfinished", out, COMMON, {**ends, "weights": card.files[0].sha256})
    try:
        raygp.open(str(work / "refused")).update(settings(BAD))
    except RejectedError as error:
        print(error)
    keep(work / "refused", out, BAD)


def kill(root: Path) -> None:
    """End an update when it has stored two checkpoints."""
    seen: list[Event] = []

    def listen(event: Event) -> None:
        seen.extend([event] if isinstance(event, CheckpointStored) else [])
        if len(seen) == 2:
            raise Killed

    line = raygp.open(str(root))
    line.listen(listen)
    try:
        line.update(settings(COMMON))
    except Killed:
        print("killed")


def keep(root: Path, out: Path, chosen: dict[str, Any], ends: dict[str, Any] | None = None) -> None:
    """Store a root as an archive, and beside it how it came about and would end."""
    for lock in root.rglob(".raygp-*"):
        lock.unlink()
    with tarfile.open(out / f"{root.name}.tar.xz", "w:xz", preset=9) as archive:
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(file.relative_to(root).as_posix())
            entry.size = file.stat().st_size
            with open(file, "rb") as content:
                archive.addfile(entry, content)
    described = {"settings": chosen, "sweep": False, "ends": ends}
    (out / f"{root.name}.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")
    print("kept", root.name, (out / f"{root.name}.tar.xz").stat().st_size)


if __name__ == "__main__":
    main()
