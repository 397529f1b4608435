"""A sweep on several nodes, one of which goes while a trial runs on it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drills.heads import Head, head_node
from raygp.data.ingest import IngestSettings, ingest
from raygp.store import Location, list_versions, read_head
from tests.checkout import PROJECT
from tests.digits import FewDigits

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="a head node of its own is started and ended as on Linux"),
]

FIRST = ("synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=3")
SWEEP = (
    "--sweep", "plan.batch_size=32", "plan.epochs=40", "plan.lr=0.05", "gate_tolerance=0.5", "sweep.scheduler=none",
    "sweep.concurrent=1", "sweep.trials=2", "sweep.space={lr: {grid_search: [0.04, 0.05]}}",
)  # fmt: skip
PATIENCE_S = 300.0


def start(head: Head, location: Location, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """An update of the line on the cluster of ``head``, with one worker."""
    with log.open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "raygp", "update", "--root", location.root, "--workers", "1", *options],
            env={**head.environment, "RAY_ADDRESS": head.gcs}, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip


def trial_node(head: Head) -> str | None:
    """The node that a trial's own process is on now: an actor that Tune makes of the function."""
    actors = [actor for actor in head.list("actors") if actor["state"] == "ALIVE"]
    return next((actor["node_id"] for actor in actors if actor["class_name"] == "ImplicitFunc"), None)


# With another cluster on this machine: Ray Train's own clean-up after lost runs does not know which one is meant.
@pytest.mark.usefixtures("cluster")
def test_a_trial_that_is_lost_with_its_node_is_tried_again_on_another(location: Location, tmp_path: Path) -> None:
    log, root = tmp_path / "log", Path(location.root)
    with head_node(cpus=0, PYTHONPATH=str(PROJECT)) as head:
        joined = {node.name: node for node in (head.join(cpus=2), head.join(cpus=2))}
        ingest(location, {"name": "lenet-300-100"}, FewDigits(0, 400), IngestSettings(["one"], [1.0], 0.2, 0.2))
        assert start(head, location, log, *FIRST).wait(PATIENCE_S) == 0, log.read_text()
        ingest(location, None, FewDigits(400, 600), IngestSettings(["two"], [1.0], 0.3, 0.2))
        sweep = start(head, location, log, *SWEEP)
        try:
            deadline, lost = time.monotonic() + PATIENCE_S, None
            # Killed in the middle of a trial, not before it began.
            while not (list(root.glob("updates/*/trials/*/checkpoint_*")) and (lost := trial_node(head))):
                assert sweep.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            joined[lost].kill()
            code = sweep.wait(PATIENCE_S)
        finally:
            sweep.kill()
            sweep.wait()
    output = log.read_text()
    assert code == 0 and "Traceback" not in output, output
    assert len(re.findall(r"v0001  lr=\S+: lost, tried again", output)) == 1, output
    card, current = list_versions(location)[-1], read_head(location)
    assert current is not None and current.version == card.version == "v0001" and card.sweep is not None
    tried = [(trial["point"], trial["state"]) for trial in card.sweep["trials"]]
    assert tried == [({"lr": 0.04}, "finished"), ({"lr": 0.05}, "finished")]
    assert location.list("updates") == []
