"""What raygp uses of Ray that Ray does not promise to keep: private names, formats of its files, who calls what where.

It all stands here, each behind a function of ours. :data:`DEPENDENCES` says what breaks when a name is gone, and a test
looks every name up. So whoever moves to another version of Ray sees in one place what to mend.

Ray is imported inside the functions: a process that uses one of them does not load what the others need.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer
    from ray.util.placement_group import PlacementGroup


@dataclass(frozen=True)
class Dependence:
    """Something of Ray's that may change without notice."""

    name: str
    """Where it is: "module:attribute", with dots for attributes of attributes."""
    used_by: str
    """What of ours uses it."""
    feature: str
    """What a user of raygp loses without it."""
    says: str = ""
    """What its source code has to contain; empty if it is enough that it is there."""


CHECKPOINT_INDEX = "checkpoint_manager_snapshot.json"
"""File in a Train run's folder in which Ray's controller lists the run's checkpoints."""
CHECKPOINT_PREFIX = "checkpoint_"
"""The folders of a Train run's checkpoints begin with it."""

DEPENDENCES = (
    Dependence(
        "ray._private.worker:print_to_stdstream",
        "silence_raylet",
        "a quiet terminal: the raylet's messages would come between the lines of progress",
    ),
    Dependence(
        "ray._private.state:state.get_max_resources_from_cluster_config",
        "most_cpus",
        "whole CPUs for workers on a cluster whose autoscaler has yet to bring nodes",
    ),
    Dependence(
        "ray._raylet:PlacementGroupID.from_hex",
        "placement_group_of",
        "sweeps: what a stopped trial held would never be free again, and later trials would wait for ever",
    ),
    Dependence(
        "ray.train.torch:TorchTrainer._register_sigint_handler",
        "when_controlled",
        "Ctrl-C while an update waits for nodes",
        says="controller",
    ),
    Dependence(
        "ray.train.v2.api.data_parallel_trainer:DataParallelTrainer._initialize_and_run_controller",
        "when_controlled",
        "Ctrl-C while an update waits for nodes",
        says="self._register_sigint_handler(controller)",
    ),
    Dependence(
        "ray.train.v2._internal.execution.controller.controller:TrainController.get_state",
        "waits_for_workers",
        "ending an update by SIGTERM while it waits for nodes",
    ),
    Dependence(
        "ray.train.v2._internal.execution.controller.state:TrainControllerState.__init__",
        "waits_for_workers",
        "ending an update by SIGTERM while it waits for nodes",
        says="self._state_type = state_type",
    ),
    Dependence(
        "ray.train.v2._internal.execution.controller.state:TrainControllerStateType.SCHEDULING",
        "waits_for_workers",
        "ending an update by SIGTERM while it waits for nodes",
    ),
    Dependence(
        "ray.train.v2._internal.execution.controller.state:TrainControllerStateType.RESCHEDULING",
        "waits_for_workers",
        "ending an update by SIGTERM while it waits for nodes",
    ),
    Dependence(
        "ray.train.v2._internal.execution.controller.state:TrainControllerStateType.RESTARTING",
        "waits_for_workers",
        "ending an update by SIGTERM while it waits for nodes",
    ),
    Dependence(
        "ray.train.v2._internal.execution.controller.state:TrainControllerStateType.RESIZING",
        "waits_for_workers",
        "ending an update by SIGTERM while it waits for nodes",
    ),
    Dependence(
        "ray.train.v2._internal.callbacks.user_callback:UserCallbackHandler.after_worker_group_poll_status",
        "end_controller",
        "sweeps: a trial that was stopped would start workers again on resources that nobody gives back",
        says="after_exception",
    ),
    Dependence(
        "ray.tune.execution.class_cache:ENV_VARS_TO_PROPAGATE",
        "keep_credentials_to_ourselves",
        "keys of S3 would be shown in Ray's logs and dashboard during a sweep",
        says="",
    ),
    Dependence(
        "ray.train.v2._internal.constants:CHECKPOINT_MANAGER_SNAPSHOT_FILENAME",
        "CHECKPOINT_INDEX",
        "going on with an update after a full disk or a kill left Ray's index of checkpoints damaged",
    ),
    Dependence(
        "ray.train.v2._internal.execution.checkpoint.checkpoint_manager:_CheckpointManagerState",
        "checkpoints_in_index",
        "going on with an update after a full disk or a kill left Ray's index of checkpoints damaged",
        says="checkpoint_results",
    ),
    Dependence(
        "ray.train.v2._internal.execution.checkpoint.checkpoint_manager:_TrainingResultState",
        "checkpoints_in_index",
        "going on with an update after a full disk or a kill left Ray's index of checkpoints damaged",
        says="checkpoint_dir_name",
    ),
    Dependence(
        "ray.train.v2._internal.execution.storage:StorageContext.make_default_checkpoint_dir_name",
        "new_checkpoint_name",
        "going on from the youngest checkpoint: the order of names has to be that of time",
        says='f"checkpoint_{date_str(include_ms=True)}"',
    ),
    Dependence(
        "ray.exceptions:RayActorError.preempted",
        "raygp.cluster.worker.Leaving",
        "spot machines: an update that leaves a node in time would count as failed",
    ),
    Dependence(
        "ray.train.torch:TorchConfig.backend_cls",
        "raygp.cluster.process_group",
        "training on several hosts whose names resolve to loopback",
    ),
    Dependence(
        "ray.train.v2.api.exceptions:WorkerGroupError.__init__",
        "cause_of",
        "messages that say why a worker failed",
        says="self.worker_failures",
    ),
    Dependence(
        "ray.train.v2.api.exceptions:ControllerError.__init__",
        "cause_of",
        "messages that say why a run failed",
        says="self.controller_failure",
    ),
    Dependence(
        "ray.train.v2._internal.constants:HEALTH_CHECK_INTERVAL_S_ENV_VAR",
        "raygp.cluster.session",
        "fast reports: each would take two seconds longer",
    ),
    Dependence(
        "ray.train.v2._internal.constants:WORKER_GROUP_START_TIMEOUT_S_ENV_VAR",
        "raygp.cluster.session",
        "starting workers on a busy machine",
    ),
    Dependence(
        "ray.train.v2._internal.constants:PREEMPTION_POLL_INTERVAL_S_ENV_VAR",
        "raygp.cluster.session",
        "spot machines: an update would learn too late that a node is called back",
    ),
    Dependence(
        "ray.serve._private.constants:PROXY_READY_CHECK_TIMEOUT_S",
        "raygp.cluster.session",
        "raygp serve on a busy machine: its proxy would be killed while it starts",
    ),
)
"""All of it. ``tests/cluster/test_internals.py`` looks each one up."""


def silence_raylet() -> None:
    """Keep the raylet's messages (such as a count of waiting actors in a sweep) off this process's terminal.

    Neither ``log_to_driver=False`` nor a logger's level reaches them: Ray's worker prints them itself.
    """
    import ray._private.worker

    ray._private.worker.print_to_stdstream = lambda *message, **options: None


def most_cpus() -> float:
    """CPUs of the cluster once its autoscaler has brought all nodes that it may; 0 if there is no autoscaler."""
    import ray._private.state

    most = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    return float(most.get("CPU", 0))


def placement_group_of(identity: str) -> PlacementGroup:
    """The placement group with this hexadecimal id, in any process of the cluster."""
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup

    return PlacementGroup(PlacementGroupID.from_hex(identity))


def when_controlled(trainer: TorchTrainer, act: Callable[[Any], None]) -> None:
    """Have ``act`` called with the handle of the run's controller once :meth:`fit` has started it, if that happens in
    the main thread. It takes the place of the method with which Ray installs its own handler of Ctrl-C."""
    replaced: Any = trainer
    replaced._register_sigint_handler = act


def waits_for_workers(controller: Any, patience_s: float) -> bool:
    """Whether a run waits for workers, or starts them; False if its controller is gone.

    A controller that trains answers at once. One that waits for nodes answers nobody, so no answer counts as waiting.

    Args:
        controller: handle of the run's controller.
        patience_s: seconds after which an answer is not waited for any longer.
    """
    import ray
    from ray.train.v2._internal.execution.controller.state import TrainControllerStateType as Types

    try:
        state = ray.get(controller.get_state.remote(), timeout=patience_s)
    except ray.exceptions.GetTimeoutError:
        return True
    except ray.exceptions.RayError:
        return False
    return state._state_type in (Types.SCHEDULING, Types.RESCHEDULING, Types.RESTARTING, Types.RESIZING)


def end_controller() -> NoReturn:
    """End this process, which is the controller of a Train run, from within a callback.

    An exception would not do: the controller catches it and starts the workers again. The run's workers end with their
    controller.
    """
    os._exit(0)


def keep_credentials_to_ourselves() -> None:
    """Keep Tune from giving trials the S3 keys in this process's environment.

    Tune passes them on in each trial's runtime environment, which Ray logs and shows in its dashboard. Trials find
    their keys as the workers of any update do.
    """
    from ray.tune.execution import class_cache

    names = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {name for name in names if not name.startswith("AWS_")}


def new_checkpoint_name() -> str:
    """A name for a checkpoint made now, as Ray would call it: in the order of names they are in the order of time."""
    return f"{CHECKPOINT_PREFIX}{datetime.now():%Y-%m-%d_%H-%M-%S.%f}"


def checkpoints_in_index(content: bytes) -> set[str] | None:
    """The checkpoints that Ray's index of a run names; None if it is damaged, as a full disk or a kill leaves it."""
    try:
        return {entry["checkpoint_dir_name"] for entry in json.loads(content)["checkpoint_results"]}
    except (ValueError, KeyError, TypeError):
        return None


def cause_of(error: Exception) -> BaseException:
    """What a failed run's error is about: the first worker's exception, or the controller's, or else itself."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", None) or {}
    inner: Any = next(iter(failures.values()), None) or getattr(error, "controller_failure", None) or error
    # Ray wraps an exception that another process raised.
    found: BaseException = getattr(inner, "base_exc", None) or getattr(inner, "_base_exc", None) or inner
    return found
