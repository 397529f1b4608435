"""Lines that several files of tests start from: each update on Ray starts a group of workers, which takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from drills.line import update
from raygp.data.ingest import IngestSettings, ingest
from raygp.line.in_process import InProcessRunner
from raygp.settings import load_settings
from raygp.store import Location
from tests.digits import FewDigits

TASK = "lenet-300-100"
PLAN = ("plan.batch_size=32", "plan.lr=0.05", "plan.epochs=4", "gate_tolerance=0.5")


def quietly() -> Console:
    """A console that shows nothing."""
    return Console(quiet=True)


@pytest.fixture(scope="session")
def waiting_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with one version, made without Ray, and an arrival that waits; to be copied."""
    root = tmp_path_factory.mktemp("waiting") / "root"
    location = Location(str(root))
    ingest(location, {"name": TASK}, FewDigits(0, 500), IngestSettings(["one"], [1.0], 0.2, 0.2))
    synthesis = ["synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=6"]
    update(quietly(), location, load_settings(TASK, None, synthesis), runner=InProcessRunner())
    ingest(location, None, FewDigits(500, 800), IngestSettings(["two"], [1.0], 0.3, 0.2))
    return root


@pytest.fixture(scope="session")
def updated_line(waiting_line: Path, cluster: None) -> Path:
    """A copy of it whose update with ``PLAN``, by two workers, nobody disturbed; to be looked at."""
    root = waiting_line.parent / "updated"
    shutil.copytree(waiting_line, root)
    update(quietly(), Location(str(root)), load_settings(TASK, None, list(PLAN)))
    return root
