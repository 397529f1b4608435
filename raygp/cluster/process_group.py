"""The process group of training workers, on one host or several."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any

import ray.util
from ray.train.torch import TorchConfig

_SIOCGIFADDR = 0x8915
_Backend: Any = TorchConfig().backend_cls


@dataclass
class NodesTorchConfig(TorchConfig):
    """Ray's, but workers on several nodes reach each other where Ray's nodes do.

    Left to itself, gloo listens where the host's own name resolves to: on many a Linux that is loopback, where no other
    host can reach it. A ``GLOO_SOCKET_IFNAME`` in the workers' environment is left as it is.
    """

    @property
    def backend_cls(self) -> type[Any]:
        """What Ray starts the group with."""
        return _NodesBackend


class _NodesBackend(_Backend):
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        if len(set(worker_group.execute(ray.util.get_node_ip_address))) > 1:
            worker_group.execute(_listen_where_the_node_does)
        super().on_start(worker_group, backend_config)


def _listen_where_the_node_does() -> None:
    if name := interface_of(ray.util.get_node_ip_address()):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def interface_of(address: str) -> str | None:
    """Name of the network interface that has an IPv4 address; None if there is none, or off Linux."""
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            # One without an address refuses.
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return None
