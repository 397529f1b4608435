"""One process without Ray, and a line that Ray updates, come to the same within noise."""

from pathlib import Path

import pytest
import torch

from benchmarks.cost.methods import make_method
from benchmarks.cost.runs import Key, run_method
from benchmarks.cost.with_ray import run_with_ray
from benchmarks.cost.workloads import load_workload

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


# What two workers come to is compared with one in tests/update/test_world_sizes.py, and their Ray runs are looked at in
# tests/cluster/test_job.py.
@pytest.mark.parametrize("local", [True, pytest.param(False, marks=pytest.mark.drill)], ids=["local", "two-workers"])
def test_both_ways_cost_the_same_and_agree_within_noise(tmp_path: Path, local: bool) -> None:
    torch.set_num_threads(1)
    workload = load_workload("lenet-300-100", "digits")
    recipe = {"epochs": 3, "batch_size": 32}
    method = make_method("raygp", "lenet-300-100", {"raygp": recipe, "parent": recipe | {"lr": 0.05}}, 0.5)
    key = Key("lenet-300-100", "raygp", 0.5, 0)
    alone = run_method(workload, method, key, tmp_path)
    spread = run_with_ray(workload, method, key, tmp_path / "lines", lambda what, event: None, local=local)
    # What is spent is exact; where it leads differs by float summation order alone.
    for exact in ("examples", "active_connections", "total_connections", "train_rows"):
        assert spread[exact] == alone[exact]
    assert spread["sparse_flops"] == pytest.approx(alone["sparse_flops"], rel=0.01)
    assert len(spread["curve"]) == len(alone["curve"]) == 3
    val_rows, test_rows = 250, 299
    assert abs(spread["val_accuracy"] - alone["val_accuracy"]) <= 5 / val_rows
    assert abs(spread["test_accuracy"] - alone["test_accuracy"]) <= 6 / test_rows
    assert alone["val_accuracy"] > 0.85
