"""What happens before a command runs, and how much of the library it loads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from raygp.store import Location
from tests.checkout import PROJECT
from tests.conftest import line_of_two_versions

SLOW = {"torch", "ray", "torchvision", "torchaudio", "pyarrow", "sklearn", "pandas", "safetensors.torch", "s3fs"}
"""Modules that take a noticeable part of a second each."""
REPORT = """
import json, sys
from raygp.__main__ import main
for command in sys.argv[1:]:
    sys.argv = ["raygp", *command.split()]
    try:
        code = main()
    except SystemExit as stopped:
        code = stopped.code
    print(json.dumps({"code": code, "loaded": sorted(sys.modules)}), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is looked up in /proc")
@pytest.mark.parametrize(
    "command",
    [
        ["-m", "raygp", "ingest", "--source", "digits", "--task", "lenet-300-100"],
        ["jobs/imagenet_incremental.py"],
    ],
    ids=["command", "job"],
)
@pytest.mark.parametrize("library", ["libtorch_global_deps", "libtorch_python", "libarrow_python"])
def test_ctrl_c_while_it_loads_shows_no_traceback(command: list[str], library: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *command, "--root", str(tmp_path / "line")], stderr=subprocess.PIPE, text=True, cwd=PROJECT,
        # Where these tests run in the background, they ignore Ctrl-C, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        while library not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (130, "raygp: interrupted\n")


MODULES = [
    "raygp", "raygp.cli", "raygp.line", "raygp.store", "raygp.tasks", "raygp.data.sources", "raygp.settings",
    "raygp.search", "raygp.update.job", "raygp.update.plan", "raygp.cluster.runner", "raygp.cluster.board",
]  # fmt: skip


def test_a_mere_import_loads_no_torch() -> None:
    """All in one process, one after the other: what one of them loads stays loaded."""
    code = "import sys\n" + "".join(f"import {name}; print('{name}', 'torch' in sys.modules)\n" for name in MODULES)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert (done.stdout.splitlines(), done.stderr) == ([f"{name} False" for name in MODULES], "")


def test_a_worker_loads_no_torchvision_before_an_image_is_decoded() -> None:
    code = "import sys, raygp.cluster.worker; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert (done.stdout, done.stderr) == ("False\n", "")


COMMANDS = [
    "--help", "--version", "update --help", "ingest --help", "adopt --help", "predict --help", "status",
    "status --json", "status --metrics", "versions", "versions --graph", "show", "show v0000 --json", "gc",
    "gc --dry-run", "tell --help", "tell --events /dev/null", "rollback v0000", "rollback v0001", "watch --help",
    "watch --retry", "withdraw wed",
]  # fmt: skip


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of each command, all in one process: what one of them loads stays loaded.

    They are given a line with two versions, and an arrival that waits.
    """
    location = line_of_two_versions(Location(str(tmp_path_factory.mktemp("start") / "line")))
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *COMMANDS],
        capture_output=True, text=True, cwd=PROJECT, check=True, env={**os.environ, "RAYGP_ROOT": location.root},
    )  # fmt: skip
    return dict(zip(COMMANDS, map(json.loads, done.stderr.splitlines()), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_train_nothing_load_nothing_slow(command: str, reports: dict[str, dict[str, Any]]) -> None:
    assert reports[command]["code"] == 0
    assert SLOW & set(reports[command]["loaded"]) == set()
