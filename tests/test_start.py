"""What happens before a command runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checkout import PROJECT


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is looked up in /proc")
@pytest.mark.parametrize("command", [["-m", "raygp"], ["jobs/imagenet_incremental.py"]], ids=["command", "job"])
@pytest.mark.parametrize("library", ["libtorch_global_deps", "libtorch_python", "libarrow_python"])
def test_ctrl_c_while_it_loads_shows_no_traceback(command: list[str], library: str) -> None:
    process = subprocess.Popen([sys.executable, *command, "--help"], stderr=subprocess.PIPE, text=True, cwd=PROJECT)
    while library not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "raygp: interrupted\n")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("raygp.cli", "torchvision"), ("raygp.cluster.worker", "torchvision"), ("raygp.cluster.board", "torch")],
)
def test_what_takes_seconds_to_load_is_loaded_by_those_who_use_it(module: str, heavy: str) -> None:
    code = f"import sys, {module}; print('{heavy}' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert (done.stdout, done.stderr) == ("False\n", "")
