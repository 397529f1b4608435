"""Parts of an arrival as Ray tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

import ray

from raygp.cluster.session import beside_this_process
from raygp.data.parts import Job, R, RunParts
from raygp.errors import RaygpError

_END_S = 30.0
"""How long an interrupted task gets to delete what it began."""


def as_tasks(tasks: int) -> RunParts:
    """Write parts as Ray tasks on this machine, where the source's files lie; so many at a time.

    A task that is lost with its process is run again by Ray; it may find its part stored already.
    """

    def run(jobs: Sequence[Job[R]], watch: Callable[[int], None]) -> Generator[tuple[int, R]]:
        # The number of tasks is the limit: a head node may offer no CPUs.
        do: Any = ray.remote(_do).options(num_cpus=0, max_retries=3, scheduling_strategy=beside_this_process())
        waiting = list(enumerate(jobs))[::-1]
        running: dict[ray.ObjectRef[R], int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < tasks:
                    place, job = waiting.pop()
                    running[do.remote(job)] = place
                (done, *_), _ = ray.wait(list(running))
                place = running.pop(done)
                result = _result(done)
                watch(len(jobs[place].rows))
                yield place, result
        finally:
            _end(list(running))

    return run


def _do(job: Job[R]) -> R:
    """The job; if it is interrupted, the process ends, so that Ray gives it no other task.

    The interrupt may have hit an import (pyarrow imports pandas when it first needs it). A module that is half imported
    stays broken in its process, and every later task there would fail.
    """
    try:
        return job.do(lambda samples: None)
    except KeyboardInterrupt:
        os._exit(1)


def _result(task: ray.ObjectRef[R]) -> R:
    """What a task gave.

    Raises:
        RaygpError: what it raised, without Ray's traceback around it.
    """
    try:
        result: R = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RaygpError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise RaygpError(f"a task that writes a part was lost ({type(error).__name__}): run again to go on") from error
    return result


def _end(tasks: list[ray.ObjectRef[Any]]) -> None:
    """Interrupt tasks and wait until they have deleted what they began."""
    for task in tasks:
        ray.cancel(task)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=_END_S)
