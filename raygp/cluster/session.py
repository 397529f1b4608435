"""Starting Ray, or joining a cluster that runs, without Ray's logs on the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import warnings
from collections.abc import Iterator
from typing import Any

from raygp.errors import RaygpError
from raygp.stopping import keeping_handler

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # Tune's newer output ignores verbose=0.
    "RAY_AIR_NEW_OUTPUT": "0",
}
_FAST = {
    # Train's controller looks at its workers this often. A report waits for that look, 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_DATA_PARQUET_FOOTER_NUM_ACTORS": "1",
    # Python sees a signal this often while it waits for Ray. Within the default second, two Ctrl-C would count as one.
    "RAY_get_check_signal_interval_milliseconds": "100",
    # Tune stores the state of a sweep this often. After a crash, trials that ended later are run again.
    "TUNE_GLOBAL_CHECKPOINT_S": "2",
    # A spot machine is called back with two minutes' notice or less; draining nodes are looked for this often.
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1",
    # A busy machine takes longer than the default minute to start workers.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "180",
    # On a busy machine Serve's proxy takes longer than the default 5 s to start; it is killed then, and started anew.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}


@contextlib.contextmanager
def ray_session(verbose: bool = False) -> Iterator[None]:
    """A Ray cluster for the time of the block.

    Joins the cluster that ``RAY_ADDRESS`` names (set inside ``ray job submit``), one this process is connected to
    already, or one that runs on this machine (``ray start``); else starts one here and ends it afterwards.

    Args:
        verbose: let Ray's own logs through.

    Raises:
        RaygpError: Ray cannot be started or reached.
    """
    for name, value in {**_FAST, **({} if verbose else _QUIET)}.items():
        os.environ.setdefault(name, value)
    # Ray reads its environment when it is imported.
    import ray

    if ray.is_initialized():
        yield
        return
    if not verbose:
        _hush()
    try:
        # ray.init installs a handler of SIGTERM of its own, which would end an update in the middle of an epoch.
        with keeping_handler(signal.SIGTERM):
            ray.init(
                address=os.environ.get("RAY_ADDRESS"),
                log_to_driver=verbose,
                logging_level=logging.INFO if verbose else logging.ERROR,
                runtime_env={"env_vars": {} if verbose else dict(_QUIET)},
            )
    except Exception as error:  # On a machine that is too busy it is one without a class of its own.
        raise RaygpError(f"Ray could not be started: {' '.join(str(error).split())}") from error
    try:
        yield
    finally:
        ray.shutdown()


def beside_this_process() -> Any:
    """The scheduling strategy of actors that have to be on this process's node: others may be taken away."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _hush() -> None:
    """Keep the logs of Ray's libraries in this process off the terminal; its log files keep them."""
    import ray.data
    import ray.train  # Importing configures the loggers, so this comes first.

    from raygp.cluster.internals import silence_raylet

    warnings.filterwarnings("ignore", module=r"ray(\.|$)")
    for name in ("ray", "ray.data", "ray.train", "ray.tune"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, logging.StreamHandler)]
        # Without any handler, Python's last resort would print warnings.
        logger.addHandler(logging.NullHandler())
    silence_raylet()
    ray.data.DataContext.get_current().enable_progress_bars = False
