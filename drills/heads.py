"""A Ray cluster of its own, started as people start theirs: ``ray start --head``, token authentication, loopback."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml

from drills.hosts import Host
from drills.servers import free_port

RAY = Path(sys.executable).with_name("ray")
_START_S = 120


_WORKER_PORTS = {"min-worker-port": 0, "max-worker-port": 0}


@dataclass(frozen=True)
class Node:
    """A node that has joined a head."""

    process: subprocess.Popen[bytes]
    name: str
    """Ray's id of it."""

    def kill(self) -> None:
        """Take it away: kill -9 of all its processes."""
        family = [self.process.pid]
        for process in family:
            with contextlib.suppress(OSError):
                family += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        for process in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()


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
    gcs: str
    """Where other nodes join, host and port."""

    def job(self, submission: str) -> dict[str, Any]:
        """What the cluster says about a job."""
        return dict(self._get(f"/api/jobs/{submission}"))

    def list(self, kind: Literal["nodes", "actors", "tasks"]) -> list[dict[str, Any]]:
        """What the cluster has, and had not long ago."""
        return list(self._get(f"/api/v0/{kind}?detail=1&limit=1000")["data"]["result"]["result"])

    def training(self) -> list[str]:
        """Nodes that training workers are on now, one for each worker."""
        actors = [actor for actor in self.list("actors") if "RayTrainWorker" in actor["class_name"]]
        return [actor["node_id"] for actor in actors if actor["state"] == "ALIVE"]

    def join(self, cpus: int = 1, host: Host | None = None, gpus: int = 0) -> Node:
        """Start another node, on ``host`` or on this machine, which ends with this one at the latest. It offers as many
        ``cpus`` and ``gpus`` as it is told, whether there are any or not.

        Raises:
            RuntimeError: it did not come up.
        """
        before = {node["node_id"] for node in self.list("nodes")}
        ports = {"metrics-export-port": free_port(), "dashboard-agent-listen-port": free_port()} | _WORKER_PORTS
        log = self.session.parent / f"node-{len(before)}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [*_on(host), "start", f"--address={self.gcs}", "--block", f"--node-ip-address={_address(host)}",
                 f"--num-cpus={cpus}", f"--num-gpus={gpus}", "--object-store-memory=300000000",
                 *(f"--{name}={value}" for name, value in ports.items())],
                env=dict(self.environment), stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while process.poll() is None and time.monotonic() < deadline:
            for node in self.list("nodes"):
                # The head itself may be listed only now.
                if node["state"] == "ALIVE" and node["node_id"] not in before and not node["is_head_node"]:
                    return Node(process, node["node_id"])
            time.sleep(0.2)
        process.terminate()
        raise RuntimeError(f"no node joined {self.gcs}: {log.read_text()}")

    def drain(self, node: Node, seconds: int) -> None:
        """Tell the cluster that ``node`` will be taken away in so many seconds, as the owner of a spot machine does.

        Raises:
            RuntimeError: it was refused.
        """
        told = self.ray(
            "drain-node", f"--address={self.gcs}", f"--node-id={node.name}", "--reason-message=spot",
            "--reason=DRAIN_NODE_REASON_PREEMPTION", f"--deadline-remaining-seconds={seconds}",
        )  # fmt: skip
        if told.returncode:
            raise RuntimeError(told.stdout)

    def jobs(self) -> list[dict[str, Any]]:
        """What the cluster says about all jobs."""
        return list(self._get("/api/jobs/"))

    def _get(self, path: str) -> Any:
        token = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        with urlopen(Request(f"{self.address}{path}", headers=token), timeout=30) as answer:
            return json.load(answer)

    def ray(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``ray`` against this cluster; the output is standard output and error as they came."""
        return subprocess.run(
            [str(RAY), *arguments], env=dict(self.environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=300,
        )  # fmt: skip


@contextlib.contextmanager
def head_node(
    cpus: int = 2, autoscaling: Mapping[str, Any] | None = None, host: Host | None = None, **variables: str
) -> Iterator[Head]:
    """A head node, for as long as the block runs.

    Args:
        cpus: that it offers.
        autoscaling: a cluster.yaml, whose nodes are then brought up on this machine when they are needed.
        host: on which it runs; None: this machine.
        variables: of its environment, beside the ones of this process.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    environment |= {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0",
        # It would wait half a minute for tasks to end when it is ended itself.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", **variables,
    }  # fmt: skip
    port, metrics = free_port(), free_port()
    where = _address(host)
    address = f"http://{where}:{port}"
    gcs = free_port()
    ports = {
        "port": gcs, "dashboard-port": port, "metrics-export-port": metrics, **_WORKER_PORTS,
        "dashboard-agent-listen-port": free_port(), "ray-client-server-port": free_port(),
    }  # fmt: skip
    # Sockets lie in it, so its name has to be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        options = [f"--{name}={value}" for name, value in ports.items()]
        if autoscaling is not None:
            environment["RAY_FAKE_CLUSTER"] = "1"
            Path(folder, "cluster.yaml").write_text(yaml.safe_dump(on_this_machine(autoscaling, f"{where}:{gcs}")))
            options.append(f"--autoscaling-config={folder}/cluster.yaml")
        node = subprocess.Popen(
            [*_on(host), "start", "--head", "--block", f"--node-ip-address={where}", f"--num-cpus={cpus}",
             f"--dashboard-host={where}", f"--temp-dir={folder}", "--object-store-memory=300000000", *options],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            _wait_for_jobs(address, environment["RAY_AUTH_TOKEN"], node)
            yield Head(
                address, f"http://{where}:{metrics}", Path(folder, "session_latest"), environment, f"{where}:{gcs}"
            )
        finally:
            # Blocking, it ends all processes of its node, and nobody else's.
            node.terminate()
            node.wait(60)
            _end_other_nodes(folder)


def _on(host: Host | None) -> list[str]:
    """The command ``ray`` there."""
    return host.command(str(RAY)) if host else [str(RAY)]


def _address(host: Host | None) -> str:
    return host.address if host else "127.0.0.1"


def on_this_machine(config: Mapping[str, Any], gcs: str) -> dict[str, Any]:
    """A cluster.yaml for Ray's fake provider, whose nodes are raylets on this machine.

    Args:
        config: with the whole numbers of resources that this machine is to pretend to.
        gcs: where nodes join.
    """
    provider = {
        "type": "fake_multinode", "use_node_id_as_ip": True, "disable_node_updaters": True,
        "disable_launch_config_check": True, "gcs_address": gcs,
    }  # fmt: skip
    head = config["head_node_type"]
    # The provider calls the type of its head so, whatever the file says, and would bring up another in its place.
    types = {
        "ray.head.default" if name == head else name: {**node, "node_config": {}}
        | ({"min_workers": 0, "max_workers": 0} if name == head else {})
        for name, node in config["available_node_types"].items()
    }
    for node in types.values():
        node.pop("docker", None)
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    empty: dict[str, Any] = {f"{name}_commands": [] for name in commands}
    return {
        **{key: value for key, value in config.items() if key not in ("docker", "provider")}, **empty,
        "provider": provider, "head_node_type": "ray.head.default", "available_node_types": types, "docker": {},
        "auth": {"ssh_user": "none"}, "file_mounts": {}, "file_mounts_sync_continuously": False,
        "cluster_synced_files": [], "rsync_exclude": [], "rsync_filter": [],
    }  # fmt: skip


def _end_other_nodes(folder: str) -> None:
    """End what other nodes of a head that has ended, with their files below ``folder``, have left."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)


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
