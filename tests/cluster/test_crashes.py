"""Kills for real: the crash matrix on ten of its moments."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from drills.crashes import VICTIMS, is_loss, run_matrix

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="the crash matrix finds Ray's processes in /proc"),
]


def test_updates_survive_ten_losses_of_worker_driver_and_cluster_bit_by_bit(tmp_path: Path) -> None:
    rows = run_matrix(10, seed=3, out=tmp_path, console=Console(quiet=True), per_update=5)
    assert [row["victim"] for row in rows] == [VICTIMS[number % len(VICTIMS)] for number in range(10)]
    assert [row for row in rows if is_loss(row)] == []
    assert [row["killed"] for row in rows] == [True] * 10
    assert rows[0]["attempts"] > 3 and rows[5]["attempts"] > 3
