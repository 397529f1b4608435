"""Updates as the command line runs them, for tests and benchmarks that start no processes of their own."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from raygp.cli.ingest import parts_runner
from raygp.cli.printer import printing
from raygp.cli.versions import show_versions
from raygp.data.ingest_settings import IngestSettings
from raygp.data.sources import Source
from raygp.line import Line, Runner
from raygp.settings import RunSettings
from raygp.store import Card, Location


def update(
    console: Console, location: Location, settings: RunSettings, *, sweep: bool = False, runner: Runner | None = None
) -> list[Card]:
    """Fold what waits into the line on Ray (or another runner), and print what happens on ``console``."""
    from raygp.cluster.runner import RayRunner

    line = Line(location)
    with printing(console, location) as printer:
        line.listen(printer)
        return [version.card for version in line.update(settings, runner=runner or RayRunner(), sweep=sweep)]


def publish(
    console: Console, location: Location, task: dict[str, Any], source: Source, settings: IngestSettings, tasks: int
) -> None:
    """Publish a source, by so many Ray tasks, and print what happens on ``console``."""
    line = Line(location)
    with printing(console, location) as printer, parts_runner(tasks) as run_parts:
        line.listen(printer)
        line.ingest(source, settings, task=task, run=run_parts)


def report(console: Console, location: Location) -> None:
    """Print the table of all versions."""
    show_versions(Line(location), console)
