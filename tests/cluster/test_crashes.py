"""Kills for real: the crash matrix on a few of its moments, one for each victim."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.crash_matrix import VICTIMS, is_loss, run_matrix

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="the crash matrix finds Ray's processes in /proc"),
]


def test_an_update_survives_the_loss_of_worker_driver_and_cluster_bit_by_bit(tmp_path: Path) -> None:
    rows = run_matrix(len(VICTIMS), seed=1, out=tmp_path, console=Console(quiet=True))
    assert [row["victim"] for row in rows] == list(VICTIMS)
    assert [row["killed"] for row in rows] == [True] * len(VICTIMS)
    assert [row for row in rows if is_loss(row)] == []
    assert any(row["attempts"] > 1 for row in rows)
