"""Publishing arrivals: a source's samples, checked one by one, into shards of a model line.

The rows of each arrival are divided into parts of a few thousand. Each is checked and stored by itself, in any process;
those that are stored survive an interruption.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.data.ingest_settings import IngestSettings, default_shares, next_arrival, numbered_arrivals
from raygp.data.parts import ArrivalMaking, RunParts, one_by_one
from raygp.data.quality import unusable_labels
from raygp.data.sources import Source
from raygp.data.sources.split import draw_splits
from raygp.errors import ConflictError, InputError
from raygp.store import Location, Manifest, check_root_usable, create_line, list_arrivals
from raygp.tasks import make_task

__all__ = ["IngestSettings", "default_shares", "ingest", "next_arrival", "numbered_arrivals"]

Watch = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


def ingest(
    location: Location,
    task: Mapping[str, Any] | None,
    source: Source,
    settings: IngestSettings | None = None,
    watch: Watch = lambda done, total: None,
    run: RunParts = one_by_one,
) -> list[Manifest]:
    """Publish a source as one or more arrivals, and make the line if there is none.

    Every sample is decoded before anything is published, one at a time; held-out samples go into the first arrival.
    Rows that cannot be used are listed in the arrival's quarantine.jsonl (those with unknown labels in the first
    one's). If they are too many, nothing is left in storage. An ingest that was interrupted, or that storage failed,
    goes on with the parts that are missing when it is run again.

    Args:
        location: root of the line.
        task: the new line's task; None, or the same, for a line that exists.
        source: where the samples come from.
        settings: names, shares, seed; None: all defaults.
        watch: is told how many samples are done.
        run: writes the parts.

    Raises:
        InputError: the root or the task cannot be used, or too many samples or labels cannot; the message names one.
        ConflictError: an arrival of this name is published.
    """
    settings = settings or IngestSettings()
    if not 0 <= settings.max_bad_share < 1:
        raise InputError(f"--max-bad-share must be at least 0 and less than 1, not {settings.max_bad_share:g}")
    line = _Line.at(location, task)
    published = list_arrivals(location)
    settings = settings.filled_in([manifest.arrival for manifest in published])
    others = [manifest for manifest in published if manifest.arrival not in settings.arrivals]
    known = {label for manifest in others for label in manifest.labels}
    makings = _divide(line, source, settings, known)
    for making in makings:
        making.check_free()
    if line.is_new:
        create_line(location, line.task)
    return _make(line, makings, known, watch, run)


@dataclass(frozen=True)
class _Line:
    """The line that is ingested into."""

    location: Location
    task: dict[str, Any]
    """Its spec, with all defaults filled in."""
    is_new: bool

    @classmethod
    def at(cls, location: Location, task: Mapping[str, Any] | None) -> _Line:
        """The line at a root, or the one that is to be made there.

        Raises:
            InputError: the root or the task cannot be used, or the line is for another task.
        """
        spec = check_root_usable(location)
        if spec is None:
            if task is None:
                raise InputError(f"{location.root} holds no model line yet: say which --task it is to be")
            return cls(location, _complete(task), is_new=True)
        if task is not None and make_task(task).spec != make_task(spec.task).spec:
            create_line(location, _complete(task))  # Raises an error that names the fields that differ.
        return cls(location, _complete(spec.task), is_new=False)


def _complete(task: Mapping[str, Any]) -> dict[str, Any]:
    """The task's spec with all defaults filled in."""
    return make_task(task).spec.model_dump(mode="json")


def _divide(line: _Line, source: Source, settings: IngestSettings, known: set[str]) -> list[ArrivalMaking]:
    """The arrivals that are to be made, each with its rows; nothing has been decoded yet.

    Args:
        known: labels or symbols that other arrivals of the line have.

    Raises:
        InputError: too many labels cannot be used, or the samples cannot be divided as the settings say.
    """
    task = make_task(line.task)
    everything = list(source.samples())
    vocabulary = known | set(task.reserved) if known else set()
    strange = unusable_labels(everything, task.symbols, vocabulary, settings.new_classes, settings.max_bad_share)
    usable = [row for row in range(len(everything)) if row not in strange]
    drawn = draw_splits(
        [everything[row] for row in usable],
        settings.val_share,
        settings.test_share,
        settings.shares,
        settings.seed,
        stratified=task.labels_are_classes,
    )
    makings = []
    for name, splits in zip(settings.arrivals, drawn, strict=True):
        rows = {split: [usable[row] for row in chosen] for split, chosen in splits.items()}
        bounds = settings.max_bad_share, settings.part_rows
        makings.append(ArrivalMaking(line.location, line.task, name, source.name, everything, rows, strange, *bounds))
        strange = {}  # They are listed once, in the first arrival.
    return makings


def _make(
    line: _Line, makings: Sequence[ArrivalMaking], known: set[str], watch: Watch, run: RunParts
) -> list[Manifest]:
    """Write and publish the arrivals. What cannot be used leaves nothing behind."""
    try:
        _write(makings, watch, run)
        if make_task(line.task).labels_are_classes:
            _check_held_out(makings, known)
        manifests = [making.publish() for making in makings]
    except (InputError, ConflictError):
        # None of it can be used, so all of it is deleted. After any other error, such as an interruption or a failure
        # of storage, the parts are kept: the next ingest goes on from them.
        for making in makings:
            making.discard()
        if line.is_new:
            _remove_empty_line(line.location)
        raise
    for making in makings:
        making.forget()
    return manifests


def _write(makings: Sequence[ArrivalMaking], watch: Watch, run: RunParts) -> None:
    """Write the parts that are missing."""
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


def _check_held_out(makings: Sequence[ArrivalMaking], known: set[str]) -> None:
    """Refuse held-out samples of a class that no training sample has: a class may have lost all of them."""
    trained = known.union(*(part.labels for making in makings for part in making.parts.values()))
    for making in makings:
        held_out = {label for part in making.parts.values() for label in part.held_out}
        for label in sorted(held_out - trained):
            raise InputError(f"arrival {making.arrival}: class '{label}' has no usable training sample")


def _remove_empty_line(location: Location) -> None:
    """Undo the creation of a line in which nothing was published."""
    if list_arrivals(location):
        return
    location.delete("line.json")
    if location.is_local:
        for folder in ("arrivals", ""):
            # A folder that is not empty holds files of somebody else, and stays.
            with contextlib.suppress(OSError):
                location.local_path(folder).rmdir()
