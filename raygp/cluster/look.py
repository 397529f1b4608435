"""Trying out whether Ray starts and runs something."""

from __future__ import annotations

from importlib import metadata

from raygp.cluster.session import ray_session
from raygp.errors import RaygpError

_PATIENCE_S = 60.0


def try_ray() -> str:
    """Start Ray, or join the cluster that runs, and run a task on it.

    Returns:
        What the cluster has, for people.

    Raises:
        RaygpError: Ray cannot be started, or the task does not come to an end in a minute.
    """
    with ray_session():
        import ray

        @ray.remote(num_cpus=0)
        def version() -> str:
            return metadata.version("ray")

        try:
            ran = ray.get(version.remote(), timeout=_PATIENCE_S)
        except Exception as error:  # Ray has many; all of them mean that nothing runs there.
            raise RaygpError(f"Ray runs, but no task on it: {' '.join(str(error).split())[:300]}") from error
        has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # It has no annotations.
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        nodes = len(alive)
        return (
            f"{ran} ran a task; {nodes} node{'' if nodes == 1 else 's'}, {has.get('CPU', 0):g} CPUs, "
            f"{has.get('GPU', 0):g} GPUs, {has.get('object_store_memory', 0) / 2**30:.1f} GiB of object store"
        )
