"""A cluster as in cluster.yaml, decoding nodes with CPUs and training nodes with GPUs only: what runs where."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drills.heads import Head, head_node
from raygp.data.ingest import IngestSettings, ingest
from raygp.store import Location
from tests.checkout import PROJECT
from tests.digits import FewDigits

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="a head node of its own is started and ended as on Linux"),
]

QUICK = ("synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=3")
GONE_S = 30
# The GPUs are pretended ones, which Ray gives away all the same; torch is told to use none.
COMMAND = """
import functools, runpy
from raygp.cluster import train_run

def run_worker(config, run=train_run.run_worker):
    import ray.train.torch, torch
    ray.train.torch.get_device = lambda: torch.device("cpu")
    run(config)

train_run.run_worker = run_worker
train_run.NodesTorchConfig = functools.partial(train_run.NodesTorchConfig, backend="gloo")
runpy.run_module("raygp", run_name="__main__")
"""


@dataclass(frozen=True)
class Cluster:
    """A running one, and the names of its nodes."""

    head: Head
    decoding: str
    training: str


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with head_node(cpus=0, PYTHONPATH=str(PROJECT)) as head:
        yield Cluster(head, head.join(cpus=2).name, head.join(cpus=0, gpus=1).name)


def start(nodes: Cluster, location: Location, workers: int, *options: str) -> subprocess.Popen[str]:
    """An update of a new line on GPUs."""
    ingest(location, {"name": "lenet-300-100"}, FewDigits(0, 300), IngestSettings(["one"], [1.0], 0.2, 0.2))
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "update", "--root", location.root, "--workers", str(workers), "gpus=true",
         *QUICK, *options],
        env={**nodes.head.environment, "RAY_ADDRESS": nodes.head.gcs, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def read_until(update: subprocess.Popen[str], mark: str) -> str:
    """What it says, up to the first line with ``mark``."""
    assert update.stdout is not None
    read = ""
    for line in update.stdout:
        read += line
        if mark in line:
            return read
    raise AssertionError(read)


def wait_until_idle(head: Head) -> None:
    """Until no training worker is left."""
    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline and head.training():
        time.sleep(0.2)
    assert head.training() == []


@pytest.mark.parametrize(
    "resident_mib", [pytest.param(512, id="resident"), pytest.param(0, id="streamed", marks=pytest.mark.drill)]
)
def test_decoding_runs_on_cpu_nodes_and_training_on_gpu_nodes(
    nodes: Cluster, location: Location, resident_mib: int
) -> None:
    before = {actor["actor_id"] for actor in nodes.head.entries("actors")}
    update = start(nodes, location, 1, f"resident_mib={resident_mib}")
    output = update.communicate(timeout=300)[0]
    assert update.returncode == 0 and re.search("^v0000: promoted", output, re.MULTILINE), output
    new = [actor for actor in nodes.head.entries("actors") if actor["actor_id"] not in before]
    (worker,) = (actor for actor in new if "RayTrainWorker" in actor["class_name"])
    assert worker["node_id"] == nodes.training
    tasks = [task for task in nodes.head.entries("tasks") if task["job_id"] == worker["job_id"]]
    decoded = [task["node_id"] for task in tasks if "_read_piece" in task["name"]]
    assert decoded and set(decoded) == {nodes.decoding}


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.drill)])
def test_an_update_that_waits_for_nodes_says_so_and_ends_when_told(
    nodes: Cluster, location: Location, how: signal.Signals
) -> None:
    update = start(nodes, location, 2)
    output = read_until(update, "waiting")
    update.send_signal(how)
    output += update.communicate(timeout=180)[0]
    assert "v0000  waiting for room: training asks for 2 GPU (the cluster has 1)\n" in output
    assert update.returncode == 128 + how and "Traceback" not in output, output


@pytest.mark.drill
def test_an_update_that_waits_for_a_lost_node_ends_when_told_with_a_checkpoint(
    nodes: Cluster, location: Location
) -> None:
    lost = nodes.head.join(cpus=0, gpus=1)
    update = start(nodes, location, 2, "synthesis.epochs=5000")
    output = read_until(update, "2/2 prune-permanent") + read_until(update, "2/2 prune-permanent")
    assert lost.name in nodes.head.training()
    lost.kill()
    wait_until_idle(nodes.head)
    update.send_signal(signal.SIGTERM)
    output += update.communicate(timeout=90)[0]
    assert "stopped on request; run the same command again to go on" in output, output
    assert update.returncode == 128 + signal.SIGTERM and "Traceback" not in output, output
    assert list(Path(location.root).glob("updates/*/checkpoint_*"))


def test_ctrl_c_ends_training_and_leaves_no_worker(nodes: Cluster, location: Location) -> None:
    update = start(nodes, location, 1, "synthesis.epochs=5000")
    output = read_until(update, "2/2 prune-permanent")
    assert nodes.head.training() == [nodes.training]
    update.send_signal(signal.SIGINT)
    output += update.communicate(timeout=180)[0]
    assert update.returncode == 128 + signal.SIGINT and "Traceback" not in output, output
    wait_until_idle(nodes.head)
