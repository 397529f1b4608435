"""Publishing arrivals: a source's samples, checked one by one, into shards of a model line.

The rows of each arrival are divided into parts of a few thousand. Each is checked and stored by itself, in any process;
those that are stored survive an interruption.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.data.parts import PART_ROWS, ArrivalMaking, RunParts, one_by_one
from raygp.data.quality import unusable_labels
from raygp.data.sources import Source, draw_splits
from raygp.errors import ConflictError, InputError
from raygp.store import Location, Manifest, check_root_usable, create_line, list_arrivals
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
    max_bad_share: float = 0.01
    """Part of an arrival's rows that may be unusable: they are left out. More, and nothing is published."""
    part_rows: int = PART_ROWS
    """Rows that are checked and stored together."""


def ingest(
    location: Location,
    task: dict[str, Any] | None,
    source: Source,
    settings: IngestSettings,
    watch: Callable[[int, int], None] = lambda done, total: None,
    run: RunParts = one_by_one,
) -> list[Manifest]:
    """Publish a source as one or more arrivals, and make the line if there is none.

    Every sample is decoded before anything is published, one at a time; held-out samples go into the first arrival.
    Rows that cannot be used are listed in the arrival's quarantine.jsonl (those with unknown labels in the first
    one's); if they are too many, nothing is left in storage. An interrupted ingest goes on with the parts that are
    missing when it is run again; so does one that storage failed.

    Args:
        location: root of the line.
        task: the new line's task; None, or the same, for a line that exists.
        source: where the samples come from.
        settings: names, shares, seed.
        watch: called with (samples done, samples in all).
        run: writes the parts.

    Raises:
        InputError: the root or the task cannot be used, or too many samples or labels; the message names one.
        ConflictError: an arrival of this name is published.
    """
    if not 0 <= settings.max_bad_share < 1:
        raise InputError(f"--max-bad-share must be at least 0 and less than 1, not {settings.max_bad_share:g}")
    spec = check_root_usable(location)
    if spec is None and task is None:
        raise InputError(f"{location.root} holds no model line yet: say which --task it is to be")
    if spec is not None and task is not None and make_task(task).spec != make_task(spec.task).spec:
        create_line(location, _complete(task))  # Raises, with the fields that differ.
    checker = make_task(spec.task if spec is not None else task or {})
    known = {
        label
        for manifest in list_arrivals(location)
        if manifest.arrival not in settings.arrivals
        for label in manifest.labels
    }
    everything = list(source.samples())
    vocabulary = known | set(checker.reserved) if known else set()
    strange = unusable_labels(everything, checker.symbols, vocabulary, settings.new_classes, settings.max_bad_share)
    usable = [row for row in range(len(everything)) if row not in strange]
    samples = [everything[row] for row in usable]
    stratified = checker.labels_are_classes
    drawn = draw_splits(samples, settings.val_share, settings.test_share, settings.shares, settings.seed, stratified)
    made_for = _complete(spec.task if spec is not None else task or {})
    makings = []
    for name, splits in zip(settings.arrivals, drawn, strict=True):
        rows = {split: [usable[row] for row in chosen] for split, chosen in splits.items()}
        bounds = settings.max_bad_share, settings.part_rows
        makings.append(ArrivalMaking(location, made_for, name, source.name, everything, rows, strange, *bounds))
        strange = {}
    for making in makings:
        making.check_free()
    if spec is None:
        create_line(location, made_for)
    try:
        _write(makings, watch, run)
        if stratified:
            _check_held_out(makings, known)
        manifests = [making.publish() for making in makings]
    except (InputError, ConflictError):
        # None of it can be used. What was interrupted, or failed by storage, is kept to be gone on from.
        for making in makings:
            making.discard()
        if spec is None:
            _remove_empty_line(location)
        raise
    for making in makings:
        making.forget()
    return manifests


def _write(makings: Sequence[ArrivalMaking], watch: Callable[[int, int], None], run: RunParts) -> None:
    for making in makings:
        making.begin()
    total = sum(making.total for making in makings)
    jobs = [(making, job) for making in makings for job in making.missing]
    done = total - sum(len(job.rows) for _, job in jobs)

    def count(samples: int) -> None:
        nonlocal done
        done += samples
        watch(done, total)

    count(0)
    with contextlib.closing(run([job for _, job in jobs], count)) as written:
        for place, part in written:
            making, job = jobs[place]
            making.take(job.number, part)


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


def _check_held_out(makings: Sequence[ArrivalMaking], known: set[str]) -> None:
    """Refuse held-out samples of a class that no training sample has: a class may have lost all of them."""
    trained = known.union(*(part.labels for making in makings for part in making.parts.values()))
    for making in makings:
        held_out = {label for part in making.parts.values() for label in part.held_out}
        for label in sorted(held_out - trained):
            raise InputError(f"arrival {making.arrival}: class '{label}' has no usable training sample")
