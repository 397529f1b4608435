"""A line in a temporary folder, and the same in memory."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from raygp.store import Card, Location
from tests.store.helpers import MakeCard


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(str(tmp_path / "root"))


@pytest.fixture(params=["local", "memory"])
def any_location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    return Location(str(tmp_path / "root") if request.param == "local" else f"memory://{uuid.uuid4().hex}/root")


@pytest.fixture
def make_card() -> MakeCard:
    def make(version: str = "v0000", parent: str | None = None, update: str = "u1", **changes: Any) -> Card:
        values: dict[str, Any] = {
            "version": version,
            "parent": parent,
            "update": update,
            "created": "2026-01-01T00:00:00.000000+00:00",
            "arrivals": ["first"],
            "arrival": "first",
            "classes": ["cat", "dog"],
            "task": {"name": "lenet"},
            "plan": {"phases": []},
            "seed": 1,
            "workers": 2,
            "density": 0.25,
            "active_connections": 1,
            "total_connections": 4,
            "densities": {"fc": 0.25},
            "mask_digest": "00ff",
            "val_accuracy": 0.9,
            "test_accuracy": None,
            "parent_val_accuracy": None,
            "accuracy_by_arrival": {"first": 0.9},
            "ledger": {"examples": 10.0},
            "phases": [{"name": "grow-new"}],
            "manifests": {"first": "ab"},
        }
        return Card(**(values | changes))

    return make
