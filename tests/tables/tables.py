"""Small tables for tests."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.errors import InputError
from raygp.events import Event, Notice
from raygp.store import Location, Manifest

Rows = list[list[str]]
HOUSES = ("id", "Age", "city", "built", "garden", "zone", "country", "Price")
CITIES = {"Rome": 10, "Oslo": 60, "Bern": 30}
REGRESSION = {"name": "tabular-regression", "label": "price", "categories": ["zone"]}


def houses(count: int, seed: int) -> Rows:
    """Rows of :data:`HOUSES`: an id, a number that may be missing, a category, a date, true or false, a number that
    stands for a category, a constant, and a number that depends on some of them."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        age, city, garden = draw.randint(1, 80), draw.choice(list(CITIES)), draw.random() < 0.5
        price = 3 * age + CITIES[city] + 40 * garden + draw.gauss(0, 5)
        shown = "NA" if draw.random() < 0.1 else str(age)
        built, zone = f"20{draw.randint(10, 23)}-0{draw.randint(1, 9)}-15", str(draw.randint(1, 3))
        rows.append([f"u{seed}-{number:04d}", shown, city, built, str(garden).lower(), zone, "EU", f"{price:.2f}"])
    return rows


def write(path: Path, heading: Sequence[str], rows: Rows, delimiter: str = ",") -> str:
    """Write a table; gives the form of its source."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(heading)
        writer.writerows(rows)
    return f"table:{path}"


class Taken:
    """What came of an ingest: manifests, and what was said; or why it was refused."""

    def __init__(
        self, root: Path, source: str, task: dict[str, object] | None = None, settings: IngestSettings | None = None
    ) -> None:
        self.said: list[str] = []
        self.manifests: list[Manifest] = []
        self.refused = ""
        try:
            opened = open_source(source)
            self.manifests = ingest(Location(str(root)), task, opened, settings, tell=self._hear)
        except InputError as error:
            self.refused = str(error)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.said.append(event.text)
