"""An arrival while it is being made: its rows are divided into parts, which any process can check and store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from raygp.data.quality import BadRows, SampleCheck
from raygp.data.sources import SourceSample, SplitName
from raygp.errors import InputError
from raygp.store import (
    Duplicates,
    Location,
    Manifest,
    Part,
    PartWriter,
    check_free,
    discard_parts,
    find_parts,
    forget_parts,
    index_part,
    keep_part,
    publish_recorded,
    published_from,
    sample_digest,
)
from raygp.store.samples import DIGEST_BYTES, part_digests
from raygp.tasks import make_task

if TYPE_CHECKING:
    from raygp.tasks.own import TaskCode

_WATCH_EVERY = 100
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Job(Protocol[R_co]):
    """Work on some rows of a source. Pickles, so another process can do it."""

    @property
    def rows(self) -> tuple[int, ...]:
        """Positions in the source."""
        ...

    def do(self, watch: Callable[[int], None]) -> R_co:
        """Do it. ``watch`` is called with how many samples have been done since the last call."""
        ...


class RunParts(Protocol):
    """Does jobs. It is given them, and a function to call with the number of samples done since the last call. For each
    job that is done it yields the job's position in the sequence and what came of it."""

    def __call__(self, jobs: Sequence[Job[R]], watch: Callable[[int], None]) -> Generator[tuple[int, R]]: ...


def one_by_one(jobs: Sequence[Job[R]], watch: Callable[[int], None]) -> Generator[tuple[int, R]]:
    """Do jobs in this process, in order."""
    return ((place, job.do(watch)) for place, job in enumerate(jobs))


@dataclass(frozen=True)
class Written:
    """What came of a :class:`PartJob`."""

    part: Part
    digests: bytes
    """Of the rows that were stored, in order: :func:`raygp.store.sample_digest` of each."""
    doubts: tuple[str, ...] = ()
    """What a person should know of rows that were stored: key and reason of each."""


@dataclass(frozen=True)
class PartJob:
    """A part of an arrival that is to be written."""

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
    code: TaskCode | None = None
    """Of a task of one's own."""

    def do(self, watch: Callable[[int], None] = lambda samples: None) -> Written:
        """Check the samples and store those that can be used."""
        task = make_task(self.task, self.code)
        check, bad, doubts = SampleCheck(task), 0, list[str]()
        with PartWriter(self.location, self.arrival, symbols=task.symbols, number=self.number, indexed=True) as writer:
            for done, (row, sample) in enumerate(zip(self.rows, self.samples, strict=True), 1):
                encoded, problem = check.read(sample)
                if problem is None:
                    writer.add(self.split, encoded, sample.label, sample.key)
                    if check.doubt is not None:
                        doubts.append(f"{sample.key}: {check.doubt}")
                else:
                    writer.quarantine(sample.key, row, sample.label, problem)
                    bad += 1
                if bad > self.most_bad:
                    break
                if done % _WATCH_EVERY == 0:
                    watch(_WATCH_EVERY)
            watch(len(self.rows) % _WATCH_EVERY)
            part = keep_part(self.location, self.arrival, self.plan, self.number, writer.finish())
            writer.close()
        return Written(part, writer.digests, tuple(doubts))


@dataclass(frozen=True)
class DigestJob:
    """Rows whose bytes are to be compared with others. What comes of it are their digests, one after the other; zeros
    for a sample without any bytes, or whose bytes cannot be read."""

    rows: tuple[int, ...]
    samples: tuple[SourceSample, ...]

    def do(self, watch: Callable[[int], None] = lambda samples: None) -> bytes:
        """Read the samples; nothing is decoded."""
        found = bytearray()
        for sample in self.samples:
            try:
                encoded = sample.load()
            except InputError:
                encoded = b""  # A bad row: it is named where samples are checked.
            found += sample_digest(encoded) if encoded else bytes(DIGEST_BYTES)
        watch(len(self.rows))
        return bytes(found)


@dataclass(frozen=True)
class LeftOut:
    """Rows of a source that an arrival is made without."""

    bad: Mapping[int, str] = field(default_factory=dict)
    """By position, with the reason: they count as unusable."""
    contradicted: Mapping[int, str] = field(default_factory=dict)
    """By position, with the reason: they are listed, and do not count as unusable."""
    duplicates: Duplicates = field(default_factory=Duplicates)

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.bad) + len(self.contradicted) + self.duplicates.skipped


class ArrivalMaking:
    """The parts of one arrival, and what has been stored of them so far.

    Args:
        location: root of the line.
        task: the line's, with all defaults filled in.
        arrival: its name.
        source: where the samples come from, for people.
        everything: all samples of the source.
        rows: positions in it by split, in order.
        left_out: rows that are left out without being decoded.
        max_bad_share: part of the rows that may be unusable.
        part_rows: rows of a part.
        code: of a task of one's own.
    """

    def __init__(
        self,
        location: Location,
        task: dict[str, Any],
        arrival: str,
        source: str,
        everything: Sequence[SourceSample],
        rows: dict[SplitName, list[int]],
        left_out: LeftOut,
        max_bad_share: float,
        part_rows: int,
        code: TaskCode | None = None,
    ) -> None:
        self.location, self.arrival, self.source = location, arrival, source
        self._left_out = left_out
        self._listed: list[dict[str, str | int]] = [
            {"key": everything[row].key, "row": row, "label": everything[row].label, "reason": reason}
            for row, reason in (*left_out.bad.items(), *left_out.contradicted.items())
        ]
        self.total = sum(map(len, rows.values()))
        size = left_out.rows + self.total
        self._bad = BadRows(arrival, size, max_bad_share)
        pieces = [
            (split, chosen[start : start + part_rows])
            for split, chosen in rows.items()
            for start in range(0, len(chosen), part_rows)
        ]
        begun: list[Any] = [task, arrival, source, self._listed, max_bad_share, part_rows]
        if left_out.duplicates != Duplicates():
            begun.append(left_out.duplicates.model_dump())
        self.plan = _digest(begun, ((split, everything[row]) for split, piece in pieces for row in piece))
        self.jobs = [
            PartJob(
                location, task, arrival, self.plan, number, split, tuple(piece),
                tuple(everything[row] for row in piece), int(max_bad_share * size), code,
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
            part = Part(shards=[], labels={}, held_out=[], quarantine=self._listed)
            self.parts[0] = keep_part(self.location, self.arrival, self.plan, 0, part)
        for listed in self._listed[: len(self._left_out.bad)]:
            self._bad.add(str(listed["key"]), str(listed["reason"]))
        for number in sorted(self.parts.keys() - {0}):
            self._count(self.parts[number])

    def found(self) -> Iterator[tuple[PartJob, bytes]]:
        """The parts that were stored before, each with the digests of its rows that were stored."""
        for job in self.jobs:
            if job.number in self.parts:
                part = index_part(self.location, self.arrival, self.plan, job.number, self.parts[job.number])
                self.parts[job.number] = part
                yield job, part_digests(self.location, self.arrival, part)

    def stored_rows(self, job: PartJob) -> list[int]:
        """Positions in the source of a part's rows that were stored."""
        bad = {row["row"] for row in self.parts[job.number].quarantine}
        return [row for row in job.rows if row not in bad]

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
        duplicates = self._left_out.duplicates
        return publish_recorded(self.location, self.arrival, self.source, self.plan, self.parts, duplicates)

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
