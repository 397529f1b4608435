"""Kills for real: a worker, a driver and a cluster once each; as a drill, the crash matrix on ten of its moments."""

import math
import sys
from pathlib import Path

import pytest
import ray
from rich.console import Console

from drills.crashes import VICTIMS, disturb, finished_state, is_loss, run_matrix
from tests.cluster.conftest import PLAN

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="Ray's processes are found in /proc"),
]

SEED = 4
"""With it, the kills come after few checkpoints."""


def test_an_update_survives_the_loss_of_a_worker_then_its_driver_then_its_cluster_bit_by_bit(
    waiting_line: Path, updated_line: Path, tmp_path: Path
) -> None:
    undisturbed = {"state": finished_state(updated_line), "seconds": math.inf}
    options = [*PLAN, "checkpoint_minutes=0"]
    address = ray.get_runtime_context().gcs_address
    rows = disturb(range(len(VICTIMS)), SEED, waiting_line, undisturbed, tmp_path, options, refuge=address)
    assert [(row["victim"], row["killed"]) for row in rows] == [(victim, True) for victim in VICTIMS]
    assert [row for row in rows if is_loss(row)] == []
    # A worker is replaced by the update itself; the command is run again for the other two, and starts a cluster the
    # first time. The second time it joins that of the tests.
    assert [row["attempts"] for row in rows] == [3] * len(VICTIMS)


@pytest.mark.drill
def test_updates_survive_ten_losses_of_worker_driver_and_cluster_bit_by_bit(tmp_path: Path) -> None:
    rows = run_matrix(10, seed=3, out=tmp_path, console=Console(quiet=True), per_update=5)
    assert [row["victim"] for row in rows] == [VICTIMS[number % len(VICTIMS)] for number in range(10)]
    assert [row for row in rows if is_loss(row)] == []
    assert [row["killed"] for row in rows] == [True] * 10
    assert rows[0]["attempts"] > 3 and rows[5]["attempts"] > 3
