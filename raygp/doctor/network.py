"""Ports, the cluster that would be joined, and the token of ``raygp serve``."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from raygp.doctor.host import Host
from raygp.errors import InputError
from raygp.finding import Finding
from raygp.serve.access import VARIABLE, choose_token

SERVE_PORT = 8000
"""Where ``raygp serve`` listens, unless it is told otherwise."""
RAY_PORTS = {6379: "ray start --head", 8265: "Ray's dashboard"}
_PATIENCE_S = 2.0
_LOOPBACK = "127.0.0.1"


def check_network(host: Host) -> Iterator[Finding]:
    """All of them, in the order in which they are told."""
    yield cluster(host)
    yield ports()
    yield serve_port(SERVE_PORT)
    yield own_name()
    yield token(host)


def cluster(host: Host) -> Finding:
    """Whether the cluster that RAY_ADDRESS names answers."""
    address = host.environ.get("RAY_ADDRESS", "")
    if not address:
        return Finding("cluster", "ok", "RAY_ADDRESS is not set: Ray is started here, or the one that runs here joined")
    if address in ("auto", "local"):
        return Finding("cluster", "ok", f"RAY_ADDRESS={address}")
    name, _, port = address.rsplit("/", 1)[-1].rpartition(":")
    if not port.isdigit() or not name:
        says = f"RAY_ADDRESS={address} is no address"
        return Finding("cluster", "problem", says, "write HOST:PORT, as `ray start --head` says it, or unset it")
    if reason := _unreachable(name.strip("[]"), int(port)):
        says = f"RAY_ADDRESS={address} does not answer ({reason})"
        return Finding("cluster", "problem", says, "start that cluster, open its port, or unset RAY_ADDRESS")
    return Finding("cluster", "ok", f"RAY_ADDRESS={address} answers")


def _unreachable(name: str, port: int) -> str:
    """Why nothing can be reached there; empty if something answers."""
    try:
        with socket.create_connection((name, port), timeout=_PATIENCE_S):
            return ""
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__


def ports(wanted: dict[int, str] | None = None) -> Finding:
    """Whether Ray's own ports are free; where they are not, a cluster probably runs here."""
    wanted = RAY_PORTS if wanted is None else wanted
    taken = [f"{port} ({what})" for port, what in wanted.items() if not is_free(port)]
    if not taken:
        return Finding("Ray's ports", "ok", f"{' and '.join(map(str, wanted))} are free")
    says = f"taken: {', '.join(taken)}. If that is Ray, updates join it; if not, a head cannot be started here"
    return Finding("Ray's ports", "warning", says, "ray status says whether it is Ray, ray stop ends it")


def serve_port(port: int) -> Finding:
    """Whether ``raygp serve`` can listen on its port."""
    if is_free(port):
        return Finding("serve's port", "ok", f"{port} is free")
    return Finding("serve's port", "warning", f"{port} is taken: raygp serve cannot listen there", "give it --port 0")


def is_free(port: int) -> bool:
    """Whether a process of this machine could listen on a port of the loopback."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def own_name(name: str | None = None) -> Finding:
    """Whether this machine's name can be looked up: gloo does so on every worker.

    Args:
        name: the machine's; None: what the system says.
    """
    name = socket.gethostname() if name is None else name
    try:
        address = str(socket.getaddrinfo(name, None)[0][4][0])
    except (OSError, UnicodeError) as error:
        says = f"{name} cannot be looked up ({getattr(error, 'strerror', None) or error}): workers may not find it"
        return Finding("host name", "warning", says, f"put '127.0.0.1 {name}' into /etc/hosts")
    return Finding("host name", "ok", f"{name} is {address}")


def token(host: Host) -> Finding:
    """Whether what RAYGP_TOKEN says can be the token of ``raygp serve``, and who can read it."""
    given = host.environ.get(VARIABLE)
    if given is None:
        says = f"{VARIABLE} is not set: raygp serve makes a new token each time, and prints it"
        return Finding("token", "ok", says)
    try:
        choose_token(None, host.environ)
    except InputError as error:
        return Finding("token", "problem", f"{VARIABLE}: {error}", "openssl rand -hex 24 makes a good one")
    if given.startswith("@"):
        mode = os.stat(given[1:]).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            says = f"others on this machine can read {given[1:]} (mode {stat.S_IMODE(mode):o})"
            return Finding("token", "warning", says, f"chmod 600 {Path(given[1:])}")
    return Finding("token", "ok", f"{VARIABLE} is set, and long enough")
