"""What happens before a command runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is looked up in /proc")
def test_ctrl_c_while_it_loads_shows_no_traceback() -> None:
    process = subprocess.Popen([sys.executable, "-m", "raygp", "--help"], stderr=subprocess.PIPE, text=True)
    while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "raygp: interrupted\n")
