"""Several hosts made of this machine: network namespaces on a bridge, with links that can be shaped and cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

LINK = "eth0"
"""Name of a host's network device."""


@dataclass(frozen=True)
class Host:
    """A network namespace with one link to the others."""

    name: str
    address: str

    def command(self, *arguments: str) -> list[str]:
        """The command that runs ``arguments`` on this host."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def cut_off(self) -> None:
        """Nothing comes or goes any more, and nobody is told."""
        _run("ip", "-n", self.name, "link", "set", LINK, "down")


def why_no_hosts() -> str | None:
    """Why this machine cannot be several; None if it can."""
    if sys.platform != "linux" or os.geteuid():
        return "network namespaces are made by root, on Linux"
    if missing := [tool for tool in ("ip", "tc") if shutil.which(tool) is None]:
        return f"{' and '.join(missing)} not found: install iproute2"
    name = f"raygp-{os.getpid()}-try"
    try:
        # In a container that may not, this is where it shows.
        _run("ip", "netns", "add", name)
        _run("ip", "-n", name, "link", "add", "name", "one", "type", "veth", "peer", "name", "two")
    except RuntimeError as error:
        return str(error)
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    return None


@contextlib.contextmanager
def several_hosts(number: int, rate: str | None = None) -> Iterator[list[Host]]:
    """Hosts that reach each other, and this machine them, for as long as the block runs.

    Args:
        number: of hosts, at most 200.
        rate: of each one's link in both directions, as ``tc`` spells it; None: as fast as it goes.

    Raises:
        RuntimeError: a command failed; the message has its answer.
    """
    process = os.getpid()
    # So that two runs at a time do not share a network.
    network, bridge = f"10.213.{process % 250}", f"rg{process}"
    hosts = [Host(f"raygp-{process}-{rank}", f"{network}.{rank + 1}") for rank in range(number)]
    try:
        _run("ip", "link", "add", bridge, "type", "bridge")
        _run("ip", "address", "add", f"{network}.254/24", "dev", bridge)
        _run("ip", "link", "set", bridge, "up")
        for rank, host in enumerate(hosts):
            port = f"{bridge}p{rank}"
            _run("ip", "netns", "add", host.name)
            _run("ip", "link", "add", port, "type", "veth", "peer", "name", LINK, "netns", host.name)
            _run("ip", "link", "set", port, "master", bridge, "up")
            _run("ip", "-n", host.name, "address", "add", f"{host.address}/24", "dev", LINK)
            for device in ("lo", LINK):
                _run("ip", "-n", host.name, "link", "set", device, "up")
            if rate:
                # Burst: what a switch may pass on at once. With a larger one, short transfers would not meet the limit.
                shape = ("root", "tbf", "rate", rate, "burst", "128kb", "latency", "50ms")
                _run("tc", "-n", host.name, "qdisc", "add", "dev", LINK, *shape)
        yield hosts
    finally:
        for rank, host in enumerate(hosts):
            # The namespace lives as long as a process in it, and the link as long as that.
            subprocess.run(["ip", "link", "delete", f"{bridge}p{rank}"], capture_output=True)
            subprocess.run(["ip", "netns", "delete", host.name], capture_output=True)
        subprocess.run(["ip", "link", "delete", bridge], capture_output=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
