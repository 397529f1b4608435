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
"""Linux's number for asking an interface for its IPv4 address. Python has no name for it."""
_Backend: Any = TorchConfig().backend_cls


@dataclass
class NodesTorchConfig(TorchConfig):
    """Ray's configuration, with one change: workers on several nodes listen on the network that Ray's nodes use.

    Left to itself, gloo listens at the address that the host's own name resolves to. On many Linux hosts that is
    loopback, where no other host can reach it. A ``GLOO_SOCKET_IFNAME`` in the workers' environment is left as it is.
    """

    @property
    def backend_cls(self) -> type[Any]:
        """The class with which Ray starts the group."""
        return _NodesBackend


class _NodesBackend(_Backend):  # type: ignore[misc]  # Its class is known at run time only.
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        if len(set(worker_group.execute(ray.util.get_node_ip_address))) > 1:
            worker_group.execute(_listen_where_the_node_does)
        super().on_start(worker_group, backend_config)


def _listen_where_the_node_does() -> None:
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    if name := interface_of(address):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def interface_of(address: str) -> str | None:
    """Name of the network interface that has an IPv4 address; None if there is none, or off Linux."""
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            # An interface without an IPv4 address answers with an error.
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                # A struct ifreq: 16 bytes of name, 2 of the kind of address, 2 of a port, then the address.
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return None
