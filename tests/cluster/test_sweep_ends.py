"""Sweeps that end otherwise than by themselves: killed, told to, with trials that fail."""

import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from drills.commands import Command
from drills.line import update
from raygp.data.ingest import IngestSettings, ingest
from raygp.settings import load_settings
from raygp.store import Location, list_versions, read_head
from tests.digits import FewDigits

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.usefixtures("cluster"),
    pytest.mark.skipif(sys.platform != "linux", reason="Ray's processes are found in /proc"),
]

TASK = "lenet-300-100"
SETTINGS = ["plan.batch_size=32", "plan.epochs=2", "plan.lr=0.05", "gate_tolerance=0.5"]
SWEEP = [*SETTINGS, "--sweep", "sweep.scheduler=none", "sweep.concurrent=1"]
PATIENCE_S = 300.0
STORED_S = 4.0
"""Tune stores what has ended every two seconds."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Path:
    """A line with one version and an arrival that waits."""
    root = tmp_path_factory.mktemp("sweep-ends") / "root"
    location = Location(str(root))
    settings = load_settings(TASK, None, ["synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=6"])
    ingest(location, {"name": TASK}, FewDigits(0, 400), IngestSettings(["one"], [1.0], 0.2, 0.2))
    update(Console(), location, settings)
    ingest(location, None, FewDigits(400, 600), IngestSettings(["two"], [1.0], 0.3, 0.2))
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "root"))


def trials_told(log: Path) -> list[str]:
    """What the log says of trials that ended."""
    return re.findall(r"trial \d+/\d+  (.*)", log.read_text()) if log.exists() else []


def wait_for_a_trial(command: Command) -> None:
    """Until one has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not trials_told(command.log):
        assert command.process.poll() is None and time.monotonic() < deadline, command.log.read_text()
        time.sleep(0.1)


def test_a_killed_sweep_goes_on_and_a_trial_that_diverges_is_left_out(root: Path, tmp_path: Path) -> None:
    options = [*SWEEP, "sweep.trials=2", "sweep.space={lr: {grid_search: [0.05, 1.0e+6]}}"]
    killed = Command(root, tmp_path / "killed.log", options)
    try:
        wait_for_a_trial(killed)
        time.sleep(STORED_S)
        killed.process.kill()
        killed.wait()
    finally:
        killed.clean_up()
    assert [card.version for card in list_versions(Location(str(root)))] == ["v0000"]
    again = Command(root, tmp_path / "again.log", options)
    try:
        code = again.wait()
    finally:
        again.clean_up()
    assert code == 0, again.log.read_text()
    card = list_versions(Location(str(root)))[-1]
    assert card.version == "v0001" and card.sweep is not None
    good, bad = card.sweep["trials"]
    assert (good["point"], good["state"], good["error"]) == ({"lr": 0.05}, "finished", "")
    assert (bad["point"], bad["state"]) == ({"lr": 1e6}, "failed") and "the training loss became" in bad["error"]
    assert card.sweep["winner"] == good["name"]
    assert trials_told(killed.log)[0].startswith("lr=0.05: validation")
    assert not any(told.startswith("lr=0.05") for told in trials_told(again.log)), "what had ended was run again"
    assert Location(str(root)).list("updates") == []


def test_ctrl_c_promotes_the_best_finished_trial_and_leaves_no_process(root: Path, tmp_path: Path) -> None:
    command = Command(root, tmp_path / "log", [*SWEEP, "sweep.trials=4", "sweep.space={lr: {choice: [0.05]}}"])
    try:
        wait_for_a_trial(command)
        command.process.send_signal(signal.SIGINT)
        code, output = command.wait(), command.log.read_text()
        deadline = time.monotonic() + 30.0
        while command.ray_processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        left = command.ray_processes()
    finally:
        command.clean_up()
    assert code == 0 and "Traceback" not in output, output
    assert "interrupted; choosing among the trials that have finished" in output
    assert left == []
    head, card = read_head(Location(str(root))), list_versions(Location(str(root)))[-1]
    assert head is not None and head.version == card.version == "v0001" and card.sweep is not None
    states = [trial["state"] for trial in card.sweep["trials"]]
    assert states.count("finished") >= 1 and len(states) < 4
    assert Location(str(root)).list("updates") == []
