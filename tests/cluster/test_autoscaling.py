"""cluster.yaml at work, scaled down: from a bare head an update brings up nodes, and they go when it is done.

Nodes are raylets on this machine, started by Ray's autoscaler through its fake provider. Training nodes have a CPU for
their GPU: Ray would schedule by GPUs that do not exist, but torch would look for them. That training on GPUs asks for
no CPUs, and decoding for nothing else, is tested in test_session.py and test_pipelines.py.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from drills.heads import Head, head_node
from raygp.store import Location, list_versions
from tests.checkout import PROJECT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="a head node of its own is started and ended as on Linux"),
]

GONE_S = 60
SMALL = ("--image-size", "16", "--arrivals", "1", "--val-share", "0.4", "--test-share", "0.4", "synthesis.epochs=1")


def small_cluster() -> dict[str, Any]:
    """cluster.yaml with one CPU a node, two nodes of a type at most, and an idle timeout of seconds."""
    config: dict[str, Any] = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
    for name, node in config["available_node_types"].items():
        node["resources"] = {"CPU": 0 if name == config["head_node_type"] else 1}
        node["max_workers"] = min(node.get("max_workers", 0), 2)
    return config | {"idle_timeout_minutes": 0.2, "max_workers": 4}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    # Nodes of one machine share the folder into which a job's working directory is unpacked, and the first of them that
    # is done with it deletes it: here the code is found where it lies.
    variables = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "PYTHONPATH": str(PROJECT)}
    with head_node(cpus=0, autoscaling=small_cluster(), **variables) as head:
        yield head


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Location:
    return Location(str(tmp_path_factory.mktemp("autoscaled") / "root"))


def workers_of(head: Head) -> list[dict[str, Any]]:
    return [node for node in head.list("nodes") if not node["is_head_node"]]


@pytest.fixture(scope="module")
def ran(head: Head, root: Location) -> subprocess.CompletedProcess[str]:
    """A job on the bare head."""
    assert workers_of(head) == []
    return head.ray(
        "job", "submit", "--address", head.address, "--", sys.executable, f"{PROJECT}/jobs/imagenet_incremental.py",
        "--root", root.root, "--workers", "1..2", *SMALL,
    )  # fmt: skip


def test_an_update_on_a_bare_head_brings_up_nodes_and_promotes(
    head: Head, ran: subprocess.CompletedProcess[str], root: Location
) -> None:
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"^v0000: promoted", ran.stdout, re.MULTILINE)
    (card,) = list_versions(root)
    assert card.workers == "1..2"


def test_what_it_needed_ran_on_the_new_nodes(head: Head, ran: subprocess.CompletedProcess[str]) -> None:
    came = {node["node_id"] for node in workers_of(head)}
    trained = {actor["node_id"] for actor in head.list("actors") if actor["class_name"] == "RayTrainWorker"}
    decoded = {task["node_id"] for task in head.list("tasks") if "_read_piece" in task["name"]}
    assert trained and trained <= came
    assert decoded and decoded <= came


def test_the_nodes_go_when_they_have_been_idle(head: Head, ran: subprocess.CompletedProcess[str]) -> None:
    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline and any(node["state"] == "ALIVE" for node in workers_of(head)):
        time.sleep(1)
    assert [node["state"] for node in workers_of(head)] == ["DEAD"] * len(workers_of(head))
