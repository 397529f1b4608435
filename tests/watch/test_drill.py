"""Twenty arrivals and ten kills: what becomes of the line is what becomes of one that nobody disturbs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drills.watching import DAMAGED, NEW_CLASS, names, run
from tests.conftest import UseServer

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]


@pytest.mark.parametrize("on_ray", [False, pytest.param(True, marks=pytest.mark.cluster)], ids=["here", "on-ray"])
def test_twenty_arrivals_and_ten_kills(
    on_ray: bool, moto: str, use_server: UseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYGP_CACHE", str(tmp_path / "cache"))
    bucket = use_server(moto)
    calm, rough = (
        run(f"s3://{bucket}/{name}/line", f"s3://{bucket}/{name}/drop", tmp_path / f"{name}.log", kills, 5, on_ray)
        for name, kills in (("calm", 0), ("rough", 10))
    )
    damaged = [names()[number] for number in DAMAGED]
    assert calm.refused == damaged and calm.left == [] and calm.head == calm.history[-1]["version"]
    assert calm.history[-1]["arrivals"] == [name for name in names() if name not in damaged]
    assert sum(names()[NEW_CLASS] in version["arrivals"] for version in calm.history) > 0
    assert (rough.history, rough.head, rough.refused, rough.left) == (calm.history, calm.head, calm.refused, calm.left)
    assert len(rough.killed) >= 5 and set(rough.killed) >= {"watcher", "driver"}
