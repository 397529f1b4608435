"""Groups of processes for tests of several ranks."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

from torch.multiprocessing.spawn import start_processes

# torch loads its compiler when a model is first made parallel.
multiprocessing.set_forkserver_preload(["torch._dynamo", "tests.sparse.ranks", "tests.update.ranks"])


def run_group(work: Callable[..., None], world: int, *arguments: object) -> None:
    """Call ``work(rank, *arguments)`` in ``world`` new processes.

    They are forked from one that has loaded torch and no more than that: a process that has trained may not be forked,
    and one that starts from nothing takes seconds to load torch.

    Raises:
        torch.multiprocessing.ProcessRaisedException: one of them failed.
    """
    start_processes(work, args=arguments, nprocs=world, start_method="forkserver")
