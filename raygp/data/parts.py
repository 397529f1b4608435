"""An arrival while it is being made: its rows are divided into parts, which any process can check and store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.data.quality import BadRows, SampleCheck
from raygp.data.sources import SourceSample, SplitName
from raygp.store import (
    Location,
    Manifest,
    Part,
    PartWriter,
    check_free,
    discard_parts,
    find_parts,
    forget_parts,
    keep_part,
    publish_recorded,
    published_from,
)
from raygp.tasks import make_task

_WATCH_EVERY = 100


@dataclass(frozen=True)
class PartJob:
    """A part of an arrival that is to be written. Pickles, so another process can write it."""

    location: Location
    task: dict[str, Any]
    arrival: str
    plan: str
    """Identifies the arrival's division into parts, and all that went into it."""
    number: int
    split: SplitName
    rows: tuple[int, ...]
    """Positions in the source."""
    samples: tuple[SourceSample, ...]
    most_bad: int
    """How many rows may be unusable. With one more the arrival is refused, so the rest of the part is not read."""


RunParts = Callable[[Sequence[PartJob], Callable[[int], None]], Generator[tuple[int, Part]]]
"""Writes parts. It is given the parts, and a function to call with the number of samples done since the last call. For
each part that is written it yields the part's position in the sequence and what was stored."""


def one_by_one(jobs: Sequence[PartJob], watch: Callable[[int], None]) -> Generator[tuple[int, Part]]:
    """Write parts in this process, in order."""
    return ((place, write_part(job, watch)) for place, job in enumerate(jobs))


def write_part(job: PartJob, watch: Callable[[int], None] = lambda samples: None) -> Part:
    """Check a part's samples and store those that can be used.

    Args:
        job: the part.
        watch: called with how many samples have been done since the last call.

    Raises:
        InputError: a sample's file cannot be read.
    """
    task = make_task(job.task)
    check, bad = SampleCheck(task), 0
    with PartWriter(job.location, job.arrival, symbols=task.symbols, number=job.number) as writer:
        for done, (row, sample) in enumerate(zip(job.rows, job.samples, strict=True), 1):
            encoded = sample.load()
            problem = check.problem(encoded)
            if problem is None:
                writer.add(job.split, encoded, sample.label, sample.key)
            else:
                writer.quarantine(sample.key, row, sample.label, problem)
                bad += 1
            if bad > job.most_bad:
                break
            if done % _WATCH_EVERY == 0:
                watch(_WATCH_EVERY)
        watch(len(job.rows) % _WATCH_EVERY)
        part = keep_part(job.location, job.arrival, job.plan, job.number, writer.finish())
        writer.close()
    return part


class ArrivalMaking:
    """The parts of one arrival, and what has been stored of them so far.

    Args:
        location: root of the line.
        task: the line's, with all defaults filled in.
        arrival: its name.
        source: where the samples come from, for people.
        everything: all samples of the source.
        rows: positions in it by split, in order.
        strange: rows that are left out without being decoded, with the reason.
        max_bad_share: part of the rows that may be unusable.
        part_rows: rows of a part.
    """

    def __init__(
        self,
        location: Location,
        task: dict[str, Any],
        arrival: str,
        source: str,
        everything: Sequence[SourceSample],
        rows: dict[SplitName, list[int]],
        strange: dict[int, str],
        max_bad_share: float,
        part_rows: int,
    ) -> None:
        self.location, self.arrival, self.source = location, arrival, source
        self._strange: list[dict[str, str | int]] = [
            {"key": everything[row].key, "row": row, "label": everything[row].label, "reason": reason}
            for row, reason in strange.items()
        ]
        self.total = sum(map(len, rows.values()))
        size = len(strange) + self.total
        self._bad = BadRows(arrival, size, max_bad_share)
        pieces = [
            (split, chosen[start : start + part_rows])
            for split, chosen in rows.items()
            for start in range(0, len(chosen), part_rows)
        ]
        begun = [task, arrival, source, self._strange, max_bad_share, part_rows]
        self.plan = _digest(begun, ((split, everything[row]) for split, piece in pieces for row in piece))
        self.jobs = [
            PartJob(
                location, task, arrival, self.plan, number, split, tuple(piece),
                tuple(everything[row] for row in piece), int(max_bad_share * size),
            )
            for number, (split, piece) in enumerate(pieces, 1)
        ]  # fmt: skip
        self.parts = find_parts(location, arrival, self.plan)

    def check_free(self) -> None:
        """Raises ConflictError if another arrival of this name is published."""
        if published_from(self.location, self.arrival, self.parts.values()) is None:
            check_free(self.location, self.arrival)

    def begin(self) -> None:
        """Count what is known before any sample is read.

        Raises:
            InputError: too many rows are unusable.
        """
        if 0 not in self.parts:
            part = Part(shards=[], labels={}, held_out=[], quarantine=self._strange)
            self.parts[0] = keep_part(self.location, self.arrival, self.plan, 0, part)
        for number in sorted(self.parts):
            self._count(self.parts[number])

    @property
    def missing(self) -> list[PartJob]:
        """Parts that are still to be written."""
        return [job for job in self.jobs if job.number not in self.parts]

    def take(self, number: int, part: Part) -> None:
        """Note that a part was stored.

        Raises:
            InputError: too many rows are unusable.
        """
        self.parts[number] = part
        self._count(part)

    def _count(self, part: Part) -> None:
        for row in part.quarantine:
            self._bad.add(str(row["key"]), str(row["reason"]))

    def publish(self) -> Manifest:
        """Write the manifest. Raises as :func:`raygp.store.publish_recorded` does."""
        return publish_recorded(self.location, self.arrival, self.source, self.plan, self.parts)

    def forget(self) -> None:
        """Delete the records of the parts: the arrival is published, so no ingest needs to go on from them."""
        forget_parts(self.location, self.arrival, self.plan)

    def discard(self) -> None:
        """Delete all of it, if it is not published."""
        discard_parts(self.location, self.arrival, self.plan, self.parts.values())


def _digest(head: list[Any], rows: Iterator[tuple[SplitName, SourceSample]]) -> str:
    """16 hex digits that identify what goes into an arrival, and in which order."""
    found = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for split, sample in rows:
        found.update(json.dumps([split, sample.key, sample.label]).encode())
    return found.hexdigest()[:16]
