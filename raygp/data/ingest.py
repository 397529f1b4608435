"""Publishing arrivals: a source's samples, checked one by one, into shards of a model line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.data.sources import Source, draw_splits
from raygp.errors import InputError
from raygp.store import ArrivalWriter, Location, Manifest, check_root_usable, create_line, list_arrivals
from raygp.tasks import make_task


@dataclass(frozen=True)
class IngestSettings:
    """How a source becomes arrivals."""

    arrivals: Sequence[str]
    """Names, in the order in which they are to be folded in."""
    shares: Sequence[float]
    """Part of the training samples that each arrival gets."""
    val_share: float
    """Part held out for validation, where the source does not say which."""
    test_share: float
    seed: int = 0
    new_classes: bool = False
    """Admit labels that the line has not seen."""


def ingest(
    location: Location,
    task: dict[str, Any] | None,
    source: Source,
    settings: IngestSettings,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[Manifest]:
    """Publish a source as one or more arrivals, and make the line if there is none.

    Every sample is decoded before anything is published; held-out samples go into the first arrival. Nothing is left in
    storage if a sample is bad.

    Args:
        location: root of the line.
        task: the new line's task; None, or the same, for a line that exists.
        source: where the samples come from.
        settings: names, shares, seed.
        watch: called with (samples done, samples in all).

    Raises:
        InputError: the root, the task, a sample or a label cannot be used; the message names it.
        ConflictError: an arrival of this name is published.
    """
    spec = check_root_usable(location)
    if spec is None and task is None:
        raise InputError(f"{location.root} holds no model line yet: say which --task it is to be")
    if spec is not None and task is not None and make_task(task).spec != make_task(spec.task).spec:
        create_line(location, _complete(task))  # Raises, with the fields that differ.
    checker = make_task(spec.task if spec is not None else task or {})
    samples = list(source.samples())
    symbols = set().union(*(checker.symbols(sample.label) for sample in samples))
    _check_labels(location, sorted(symbols - set(checker.reserved)), settings.new_classes)
    stratified = not checker.ragged
    plan = draw_splits(samples, settings.val_share, settings.test_share, settings.shares, settings.seed, stratified)
    total, done = sum(len(rows) for splits in plan for rows in splits.values()), 0
    with contextlib.ExitStack() as stack:
        if spec is None:
            create_line(location, _complete(task or {}))
            stack.callback(_remove_empty_line, location)
        writers = []
        for name, splits in zip(settings.arrivals, plan, strict=True):
            writer = stack.enter_context(ArrivalWriter(location, name, source.name, symbols=checker.symbols))
            writers.append(writer)
            for split, rows in splits.items():
                for row in rows:
                    sample = samples[row]
                    encoded = sample.load()
                    try:
                        checker.check(encoded)
                    except ValueError as error:
                        raise InputError(f"{sample.key}: {error}") from error
                    writer.add(split, encoded, sample.label, sample.key)
                    done += 1
                    if done % 100 == 0 or done == total:
                        watch(done, total)
            writer.finish()
        return [writer.publish() for writer in writers]


def _remove_empty_line(location: Location) -> None:
    """Undo the creation of a line in which nothing was published."""
    if list_arrivals(location):
        return
    location.delete("line.json")
    if location.is_local:
        for folder in ("arrivals", ""):
            # Not empty: it is not ours alone.
            with contextlib.suppress(OSError):
                location.local_path(folder).rmdir()


def _complete(task: dict[str, Any]) -> dict[str, Any]:
    """The task's spec with all defaults filled in."""
    return make_task(task).spec.model_dump(mode="json")


def _check_labels(location: Location, labels: Sequence[str], new_classes: bool) -> None:
    known: set[str] = set()
    for manifest in list_arrivals(location):
        known |= set(manifest.labels)
    unknown = [label for label in labels if label not in known]
    if known and unknown and not new_classes:
        shown = ", ".join(f"'{label}'" for label in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise InputError(
            f"labels outside the line's vocabulary of {len(known)} classes: {shown}; give --new-classes to add them"
        )
