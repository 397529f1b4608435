"""A line in a temporary folder, and the same in memory."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from raygp.store import Location


@pytest.fixture(params=["local", "memory"])
def any_location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    return Location(str(tmp_path / "root") if request.param == "local" else f"memory://{uuid.uuid4().hex}/root")
