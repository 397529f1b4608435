"""What several test files use."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

from raygp.store import ArrivalWriter, Card, Location, Manifest, find_manifest

MakeCard = Callable[..., Card]
PROCESSES = 4
FORK = multiprocessing.get_context("fork")


def publish(
    location: Location, arrival: str, rows: int = 3, held_out: bytes = b"held out", **options: Any
) -> Manifest:
    """An arrival of ``rows`` training rows and a validation row, none of which is a sample of any task, unless
    ``held_out`` is."""
    with ArrivalWriter(location, arrival, "a test", **options) as writer:
        for row in range(rows):
            writer.add("train", f"{arrival}-{row}".encode(), "cat" if row % 2 else "dog", f"k{row}")
        writer.add("val", held_out, "cat", "v0")
        return writer.publish()


def manifest_of(location: Location, arrival: str) -> Manifest:
    """The manifest of an arrival that is published."""
    found = find_manifest(location, arrival)
    assert found is not None
    return found


def race(body: Callable[..., Any], *args: Any) -> list[Any]:
    """Run ``body(process, barrier, *args)`` in several processes at once; what they returned, by process."""
    barrier, results = FORK.Barrier(PROCESSES, timeout=30), FORK.SimpleQueue()

    def run(process: int) -> None:
        try:
            results.put((process, body(process, barrier, *args)))
        except BaseException as error:
            barrier.abort()
            results.put((process, repr(error)))
            raise

    children = [FORK.Process(target=run, args=(i,)) for i in range(PROCESSES)]
    for child in children:
        child.start()
    found = dict(results.get() for _ in children)
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * PROCESSES, found
    return [found[i] for i in range(PROCESSES)]
