"""An update over several hosts, one of which is cut off from the network in the middle of a phase."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from drills.heads import RAY, Head, head_node
from drills.hosts import several_hosts, why_no_hosts
from raygp.store import Location, list_versions
from tests.checkout import PROJECT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.skipif(bool(why := why_no_hosts()), reason=f"cannot make hosts of this machine: {why}"),
]

FINISHED = re.compile(r"^v0000 .* (\d)/2 \S+ +epoch +(\d+)/\d+  .*validation")
SMALL = (
    "--image-size", "16", "--arrivals", "1", "--val-share", "0.4", "--test-share", "0.4", "synthesis.epochs=3",
    "synthesis.batch_size=16",
)  # fmt: skip
QUICK = {
    # A minute passes by default until a node that does not answer is taken for dead.
    "RAY_health_check_timeout_ms": "2000", "RAY_health_check_period_ms": "1000",
    # Train may ask for as many workers as before once more, and waits so long for them.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "40",
}  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """The update."""

    exit_code: int
    output: str
    ended: str
    """The last line of progress before the cut."""
    before: set[str]
    """Nodes that workers trained on when it happened."""
    after: set[str]
    """Nodes of the workers that were started since."""
    nodes: list[str]
    """Names of the node that was cut off, and of the other one."""


def training_workers(head: Head) -> dict[str, str]:
    """Nodes of all that there have been, by their ids."""
    actors = [actor for actor in head.list("actors") if "RayTrainWorker" in actor["class_name"]]
    return {actor["actor_id"]: actor["node_id"] for actor in actors}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Location:
    return Location(str(tmp_path_factory.mktemp("hosts") / "root"))


@pytest.fixture(scope="module")
def ran(root: Location) -> Iterator[Ran]:
    with (
        several_hosts(3, rate="1gbit") as (first, second, third),
        head_node(cpus=0, host=first, PYTHONPATH=str(PROJECT), **QUICK) as head,
    ):
        nodes = {host: head.join(host=host) for host in (second, third)}
        job = subprocess.Popen(
            [str(RAY), "job", "submit", "--address", head.address, "--", sys.executable,
             f"{PROJECT}/jobs/imagenet_incremental.py", "--root", root.root, "--workers", "1..2", *SMALL],
            env=dict(head.environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert job.stdout is not None
            read, ended, before = "", "", dict[str, str]()
            for line in job.stdout:
                read += line
                if not before and FINISHED.match(line):
                    ended, before = line, training_workers(head)
                    second.cut_off()
            code = job.wait(60)
            after = {node for worker, node in training_workers(head).items() if worker not in before}
        finally:
            job.kill()
            job.wait()
        print(read)
        yield Ran(code, read, ended, set(before.values()), after, [nodes[second].name, nodes[third].name])


def test_two_hosts_train_together_until_one_is_cut_off(ran: Ran) -> None:
    assert ran.before == set(ran.nodes), ran.output


def test_the_update_recovers_by_itself_and_ends_as_any_other(ran: Ran, root: Location) -> None:
    assert ran.exit_code == 0, ran.output
    assert re.search(r"^v0000: promoted", ran.output, re.MULTILINE)
    assert len(list_versions(root)) == 1
    # What had ended before was not done again.
    assert ran.output.count(ran.ended) == 1 and len(re.findall(r"1/2 .* epoch 1/1  .*validation", ran.output)) == 1


def test_it_went_on_where_the_network_still_was(ran: Ran) -> None:
    assert ran.after == {ran.nodes[1]}, ran.output
