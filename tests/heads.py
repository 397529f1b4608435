"""A Ray cluster of its own, started as people start theirs: ``ray start --head``, token authentication, loopback."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.servers import free_port

RAY = Path(sys.executable).with_name("ray")
_START_S = 120


@dataclass(frozen=True)
class Head:
    """A running head node."""

    address: str
    """Of the dashboard, where jobs are submitted."""
    metrics: str
    """Where Prometheus finds the node's metrics."""
    session: Path
    """Ray's folder of this session on the node."""
    environment: Mapping[str, str]
    """What a client needs, the token among it."""

    def job(self, submission: str) -> dict[str, Any]:
        """What the cluster says about a job."""
        token = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        with urlopen(Request(f"{self.address}/api/jobs/{submission}", headers=token), timeout=30) as answer:
            return dict(json.load(answer))

    def ray(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``ray`` against this cluster; the output is standard output and error as they came."""
        return subprocess.run(
            [str(RAY), *arguments], env=dict(self.environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=300,
        )  # fmt: skip


@contextlib.contextmanager
def head_node(**variables: str) -> Iterator[Head]:
    """A head node with two CPUs, for as long as the block runs.

    Args:
        variables: of its environment, beside the ones of this process.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    environment |= {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0",
        # It would wait half a minute for tasks to end when it is ended itself.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", **variables,
    }  # fmt: skip
    port, metrics = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    ports = {
        "port": free_port(), "dashboard-port": port, "metrics-export-port": metrics, "min-worker-port": 0,
        "max-worker-port": 0, "dashboard-agent-listen-port": free_port(), "ray-client-server-port": free_port(),
    }  # fmt: skip
    # Sockets lie in it, so its name has to be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        options = [f"--{name}={value}" for name, value in ports.items()]
        node = subprocess.Popen(
            [str(RAY), "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=2",
             "--dashboard-host=127.0.0.1", f"--temp-dir={folder}", "--object-store-memory=300000000", *options],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            _wait_for_jobs(address, environment["RAY_AUTH_TOKEN"], node)
            yield Head(address, f"http://127.0.0.1:{metrics}", Path(folder, "session_latest"), environment)
        finally:
            # Blocking, it ends all processes of its node, and nobody else's.
            node.terminate()
            node.wait(60)


def _wait_for_jobs(address: str, token: str, node: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _START_S
    request = Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    while node.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(request, timeout=5)
            return
        except HTTPError as error:
            error.close()
        except (URLError, OSError):
            pass
        time.sleep(0.2)
    node.terminate()
    raise RuntimeError(f"ray start --head did not come up at {address}: {node.communicate()[0]}")
