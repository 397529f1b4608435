"""Publishing arrivals: a source's samples, checked one by one, into shards of a model line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.data.quality import BadRows, SampleCheck, unusable_labels
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
    max_bad_share: float = 0.01
    """Part of an arrival's rows that may be unusable: they are left out. More, and nothing is published."""


def ingest(
    location: Location,
    task: dict[str, Any] | None,
    source: Source,
    settings: IngestSettings,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[Manifest]:
    """Publish a source as one or more arrivals, and make the line if there is none.

    Every sample is decoded before anything is published, one at a time; held-out samples go into the first arrival.
    Rows that cannot be used are listed in the arrival's quarantine.jsonl (those with unknown labels in the first
    one's); if they are too many, nothing is left in storage.

    Args:
        location: root of the line.
        task: the new line's task; None, or the same, for a line that exists.
        source: where the samples come from.
        settings: names, shares, seed.
        watch: called with (samples done, samples in all).

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
    check = SampleCheck(checker)
    known = {label for manifest in list_arrivals(location) for label in manifest.labels}
    everything = list(source.samples())
    vocabulary = known | set(checker.reserved) if known else set()
    strange = unusable_labels(everything, checker.symbols, vocabulary, settings.new_classes, settings.max_bad_share)
    usable = [row for row in range(len(everything)) if row not in strange]
    samples = [everything[row] for row in usable]
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
            bad = BadRows(name, len(strange) + sum(map(len, splits.values())), settings.max_bad_share)
            for row, reason in strange.items():
                bad.add(everything[row].key, reason)
                writer.quarantine(everything[row].key, row, everything[row].label, reason)
            strange = {}
            for split, rows in splits.items():
                for row in rows:
                    sample = samples[row]
                    encoded = sample.load()
                    problem = check.problem(encoded)
                    if problem is None:
                        writer.add(split, encoded, sample.label, sample.key)
                    else:
                        bad.add(sample.key, problem)
                        writer.quarantine(sample.key, usable[row], sample.label, problem)
                    done += 1
                    if done % 100 == 0 or done == total:
                        watch(done, total)
            writer.finish()
        if stratified:
            _check_held_out(writers, known)
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


def _check_held_out(writers: Sequence[ArrivalWriter], known: set[str]) -> None:
    """Refuse held-out samples of a class that no training sample has: a class may have lost all of them."""
    trained = known.union(*(writer.labels for writer in writers))
    for writer in writers:
        for label in sorted(writer.held_out_labels - trained):
            raise InputError(f"arrival {writer.arrival}: class '{label}' has no usable training sample")
