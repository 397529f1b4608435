"""A node joins while an update trains with a range of workers: the update grows onto it and loses nothing."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from drills.heads import head_node
from tests.checkout import PROJECT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="a head node of its own is started and ended as on Linux"),
]

FINISHED = re.compile(r"^v0000 .* 2/2 \S+ +epoch (\d+)/\d+  .*validation")
# It is stopped when all has been seen, however fast the machine is.
ENDLESS = (
    "--image-size", "16", "--arrivals", "1", "--val-share", "0.4", "--test-share", "0.4", "synthesis.epochs=5000",
    "max_failures=0",
)  # fmt: skip
PATIENCE_LINES = 100
"""An epoch a line, at most every five seconds."""
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Ran:
    """The update."""

    exit_code: int
    output: str
    joined: str
    """Name of the node that joined the head."""
    before: list[str]
    """Nodes of the workers that trained when it did."""
    after: list[str]
    """Nodes of those that trained when the first line came after one was on it."""
    epochs: list[int]
    """Whose ends were told, in this order."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    root = tmp_path_factory.mktemp("growing") / "root"
    with head_node(cpus=2, PYTHONPATH=str(PROJECT)) as head:
        job = f"{PROJECT}/jobs/imagenet_incremental.py"
        update = subprocess.Popen(
            [sys.executable, job, "--root", str(root), "--workers", "1..3", *ENDLESS],
            env={**head.environment, "RAY_ADDRESS": head.gcs, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        watchdog = threading.Timer(PATIENCE_S, update.kill)
        watchdog.start()
        try:
            assert update.stdout is not None
            read, joined, epochs, before, after = "", "", list[int](), list[str](), list[str]()
            for line in update.stdout:
                read += line
                if not (found := FINISHED.match(line)):
                    continue
                epochs.append(int(found[1]))
                if not before:
                    before = head.training()
                    joined = head.join().name
                elif after or len(epochs) == PATIENCE_LINES:
                    break
                elif joined in (now := head.training()):
                    after = now
            update.send_signal(signal.SIGTERM)
            read += update.communicate(timeout=120)[0]
        finally:
            watchdog.cancel()
            update.kill()
            update.wait()
        yield Ran(update.returncode, read, joined, before, after, epochs)


def test_an_update_grows_onto_a_node_that_joins(ran: Ran) -> None:
    assert ran.before and ran.joined not in ran.before, ran.output
    assert ran.joined in ran.after and len(ran.after) > len(ran.before), ran.output


def test_it_goes_on_from_its_last_checkpoint_and_that_is_no_failure(ran: Ran) -> None:
    # An epoch that was told before its checkpoint was whole is trained, and told, again; none before it is.
    assert ran.epochs == sorted(ran.epochs), ran.output
    assert "stopped on request" in ran.output and "Traceback" not in ran.output
    assert ran.exit_code == 128 + signal.SIGTERM
