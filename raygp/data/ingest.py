"""Publishing arrivals: a source's samples, checked one by one, into shards of a model line.

The rows of each arrival are divided into parts of a few thousand. Each is checked and stored by itself, in any process;
those that are stored survive an interruption.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from raygp.data.admission import Holdings, check_usable, not_judged
from raygp.data.dividing import divide
from raygp.data.duplicates import Chosen, Digests, choose
from raygp.data.ingest_settings import IngestSettings, default_shares, next_arrival, numbered_arrivals
from raygp.data.known import DIGEST, KnownSamples
from raygp.data.labels import alike, with_one_spelling
from raygp.data.parts import ArrivalMaking, DigestJob, LeftOut, PartJob, RunParts, one_by_one
from raygp.data.quality import SampleCheck, unusable_rows
from raygp.data.sources import Source, SourceSample, fetch_files, notes_of, passed_over_lines, tell_labels, tell_task
from raygp.data.target import Target, remove_empty_line
from raygp.errors import ConflictError, InputError, RaygpError
from raygp.events import AllKnown, FilesCopied, Listener, Notice, unheard
from raygp.store import (
    Duplicates,
    Location,
    Manifest,
    arrival_names,
    create_line,
    find_manifests,
    list_arrivals,
    publishing_lease,
    withdrawn_since,
)
from raygp.tasks import Unfit, fitted, make_task
from raygp.tasks.traits import samples_repeat

if TYPE_CHECKING:
    from raygp.tasks.own import TaskCode

__all__ = ["IngestSettings", "default_shares", "ingest", "next_arrival", "numbered_arrivals"]

Watch = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""
_SHOWN = 3
"""Rows with two labels that are named."""


def ingest(
    location: Location,
    task: Mapping[str, Any] | None,
    source: Source,
    settings: IngestSettings | None = None,
    watch: Watch = lambda done, total: None,
    run: RunParts = one_by_one,
    tell: Listener = unheard,
    code: TaskCode | None = None,
) -> list[Manifest]:
    """Publish a source as one or more arrivals, and make the line if there is none.

    Every sample is decoded before anything is published, one at a time; held-out samples go into the first arrival.
    Rows that cannot be used are listed in the arrival's quarantine.jsonl (those with unknown labels in the first
    one's). If they are too many, nothing is left in storage. An ingest that was interrupted, or that storage failed,
    goes on with the parts that are missing when it is run again.

    Rows whose bytes the line has already are left out: what is held out stays held out, and what is trained on is not
    trained on twice (unless the settings keep it). If nothing is new, nothing is published.

    Args:
        location: root of the line.
        task: the new line's task; None, or the same, for a line that exists.
        source: where the samples come from.
        settings: names, shares, seed; None: all defaults.
        watch: is told how many samples are done.
        run: writes the parts.
        tell: is told :class:`raygp.events.AllKnown` if nothing is new, and what else a person should know.
        code: of a task of one's own.

    Returns:
        The arrivals, in the order of the settings' names; empty if nothing is new.

    Raises:
        InputError: the root or the task cannot be used, or too many samples or labels cannot; the message names one.
        ConflictError: an arrival of this name is published.
    """
    settings = settings or IngestSettings()
    line = Target.at(location, task, code)
    if copied := fetch_files(source, lambda done, total: tell(FilesCopied(done=done, total=total))):
        tell(Notice(text=copied))
    published = list_arrivals(location)
    settings = settings.filled_in([manifest.arrival for manifest in published])
    return _Incoming(line, source, settings, published, watch, run, tell).publish()


class _Incoming:
    """A source on its way into a line.

    What is new to the line is known only when all samples have been read, and splits are drawn among what is new. Most
    sources hold nothing but new rows: so they are divided as if all were new, and written. Where a duplicate is met on
    the way, what was written is deleted, the other rows are read to compare them, and those that are left are divided
    and written.
    """

    def __init__(
        self,
        line: Target,
        source: Source,
        settings: IngestSettings,
        published: Sequence[Manifest],
        watch: Watch,
        run: RunParts,
        tell: Listener,
    ) -> None:
        self._line, self._source, self._settings = line, source.name, settings
        self._watch, self._run, self._tell = watch, run, tell
        self._created = False
        # Those of the same names are this source's own: an ingest that goes on.
        self._own = [manifest for manifest in published if manifest.arrival in settings.arrivals]
        self._others = [manifest for manifest in published if manifest.arrival not in settings.arrivals]
        self._known = {label for manifest in self._others for label in manifest.labels}
        self._before = Holdings.of_manifests(self._others)
        self._task = make_task(line.task, line.code)
        self._classes, self._repeat = self._task.labels_are_classes, samples_repeat(self._task)
        tell_labels(source, self._classes)
        tell_task(source, self._task)
        self._rows, spelt = with_one_spelling(source.samples(), self._known, self._classes)
        self._tell_passed_over(passed_over_lines(source))
        for note in (*getattr(self._task, "oversights", ()), *notes_of(source)):
            self._say(note)
        if self._classes and spelt:
            shown = ", ".join(f"{label!a} as {spelling!a}" for label, spelling in list(spelt.items())[:_SHOWN])
            self._say(f"labels in another spelling: {shown}{', ...' if len(spelt) > _SHOWN else ''}")
        if self._classes and (pairs := alike({sample.label for sample in self._rows}, self._known)):
            shown = ", ".join(f"{one!a} and {other!a}" for one, other in pairs[:_SHOWN])
            self._say(f"labels that are nearly alike, each a class: {shown}{', ...' if len(pairs) > _SHOWN else ''}")
        vocabulary = self._known | set(self._task.reserved) if self._known else set()
        self._strange = unusable_rows(
            self._rows, self._task.symbols, vocabulary, settings.new_classes, settings.max_bad_share
        )
        self._usable = [row for row in range(len(self._rows)) if row not in self._strange]

    def publish(self) -> list[Manifest]:
        """Make the arrivals. What cannot be used leaves nothing behind."""
        makings: list[ArrivalMaking] = []
        try:
            # One that goes on after its first arrival was published without duplicates: they would be met again.
            if not any(manifest.duplicates != Duplicates() for manifest in self._own):
                makings = self._begin_if_possible()
            known = KnownSamples.read(self._line.location, self._others, self._say)
            self._digests = Digests(len(self._rows), known)
            compared = False
            while not (makings and self._write(makings, compared) and (manifests := self._commit(makings))):
                for making in makings:
                    making.discard()
                chosen, compared, makings = self._compare(), True, []
                if not chosen.drawn and not chosen.again:
                    return self._nothing_new(chosen)
                makings = self._begin(chosen)
                self._name_contradictions(chosen)
        except (InputError, ConflictError):
            # None of it can be used, so all of it is deleted. After any other error, such as an interruption or a
            # failure of storage, the parts are kept: the next ingest goes on from them.
            for making in makings:
                making.discard()
            if self._created:
                remove_empty_line(self._line.location)
            raise
        for making in makings:
            making.forget()
        if self._classes and (said := not_judged(_stored(makings, self._rows), self._known)):
            self._say(said)
        return manifests

    def _begin_if_possible(self) -> list[ArrivalMaking]:
        """The arrivals of all rows; none if they cannot be divided, which may be different without the duplicates."""
        try:
            return self._begin(Chosen(self._usable))
        except InputError:
            if not self._others:
                raise
            return []

    def _begin(self, chosen: Chosen) -> list[ArrivalMaking]:
        """The arrivals of some rows; nothing has been decoded of them yet.

        Raises:
            InputError: the rows cannot be divided as the settings say, or no update could use what comes of it.
            ConflictError: another arrival of one of the names is published.
        """
        settings = self._settings
        divided, counts = divide(chosen, self._rows, settings, self._before, self._classes)
        self._fit(divided[0]["train"])
        line = self._line
        left_out = LeftOut(self._strange, chosen.contradicted, counts)
        makings = []
        for name, rows in zip(settings.arrivals, divided, strict=True):
            bounds = settings.max_bad_share, settings.part_rows, line.code
            makings.append(
                ArrivalMaking(line.location, line.task, name, self._source, self._rows, rows, left_out, *bounds)
            )
            left_out = LeftOut()  # They are listed and counted once, in the first arrival.
        for making in makings:
            making.check_free()
        if line.is_new and not self._created:
            create_line(line.location, line.task)
            self._created = True
        return makings

    def _fit(self, rows: Sequence[int]) -> None:
        """Let the task of a new line learn what it has to know of its data, from the first arrival's training rows.

        Raises:
            InputError: it cannot be fitted to them; the message names the row.
        """
        # A line that exists keeps what it was made with, also where its first ingest was interrupted.
        if not self._line.is_new or self._created:
            return
        read: list[int] = []

        def samples() -> Iterator[tuple[bytes, str]]:
            for row in rows:
                sample = self._rows[row]
                with contextlib.suppress(InputError):  # A bad row: it is named where samples are checked.
                    content = sample.load()
                    read.append(row)
                    yield content, sample.label

        try:
            task = fitted(self._task, samples())
        except Unfit as error:
            where = "" if error.sample is None else f"{self._rows[read[error.sample]].key}: "
            raise InputError(f"{where}{error}") from error
        if task is not None:
            self._line, self._task = replace(self._line, task=task), make_task(task, self._line.code)
            for note in getattr(self._task, "notes", ()):
                self._say(note)

    def _write(self, makings: Sequence[ArrivalMaking], compared: bool) -> bool:
        """Write the parts that are missing.

        Args:
            makings: the arrivals.
            compared: duplicates have been looked for among all rows.

        Returns:
            Whether all are written; if not, a duplicate was met that nothing was known of.
        """
        for making in makings:
            making.begin()
        if any(self._note(making, job, digests, compared) for making in makings for job, digests in making.found()):
            return False
        total = sum(making.total for making in makings)
        jobs = [(making, job) for making in makings for job in making.missing]
        doubts: list[str] = []
        with contextlib.closing(
            self._run([job for _, job in jobs], self._counter(total, sum(len(job.rows) for _, job in jobs)))
        ) as done:
            for place, written in done:
                making, job = jobs[place]
                making.take(job.number, written.part)
                doubts += written.doubts
                if self._note(making, job, written.digests, compared):
                    return False
        if not compared and self._digests.duplicate_met(final=True):
            return False
        check_usable(self._settings.arrivals[0], _stored(makings, self._rows), self._before, self._classes)
        if doubts:
            self._say(f"taken in, but worth a look: {len(doubts):,} of {total:,} rows, such as {min(doubts)}")
        return True

    def _note(self, making: ArrivalMaking, job: PartJob, digests: bytes, compared: bool) -> bool:
        """Note the digests of a part; whether a duplicate was met.

        Raises:
            InputError: a sample is not what it was when it was compared.
        """
        rows, values = making.stored_rows(job), np.frombuffer(digests, DIGEST)
        if compared:
            if (changed := self._digests.changed(rows, values)) is not None:
                raise InputError(f"{self._rows[changed].key} has changed while the source was read: start again")
            return False
        self._digests.note(rows, values)
        return self._digests.duplicate_met()

    def _compare(self) -> Chosen:
        """Read the rows that have not been, and decide what becomes of each."""
        missing = [row for row in self._usable if not self._digests.there[row]]
        size = self._settings.part_rows
        pieces = [tuple(missing[start : start + size]) for start in range(0, len(missing), size)]
        jobs = [DigestJob(piece, tuple(self._rows[row] for row in piece)) for piece in pieces]
        with contextlib.closing(self._run(jobs, self._counter(len(self._usable), len(missing)))) as done:
            for place, found in done:
                self._digests.note(pieces[place], np.frombuffer(found, DIGEST))
        problem = cache(self._problem)
        keep = self._settings.duplicates == "keep"
        fits = lambda row: problem(row) is None
        chosen = choose(self._rows, self._usable, self._digests, keep, fits, self._repeat)
        if self._settings.strict and chosen.counts != Duplicates():
            counts = chosen.counts
            rows = counts.skipped + counts.contradicted + counts.kept
            raise InputError(
                f"{rows:,} of {len(self._rows):,} rows of {self._source} have bytes that the line or the source has "
                "already, and --strict is given"
            )
        few = len(chosen.drawn) <= self._settings.max_bad_share * len(self._rows)
        if few and chosen.counts.skipped and all(problem(row) is not None for row in chosen.drawn):
            # Rows that could not be used the last time either: nothing is new.
            return replace(chosen, drawn=[])
        return chosen

    def _problem(self, row: int) -> str | None:
        return SampleCheck(self._task).read(self._rows[row])[1]

    def _commit(self, makings: Sequence[ArrivalMaking]) -> list[Manifest] | None:
        """Publish, as the only one who does. None: another ingest has published some of the rows meanwhile.

        Raises:
            RaygpError: an arrival that was counted on has been withdrawn.
        """
        location = self._line.location
        with publishing_lease(location):
            if gone := withdrawn_since(location, self._others):
                raise RaygpError(f"arrival {gone[0]} was withdrawn while this ingest ran: run the same command again")
            there = {*self._digests.known.arrivals, *self._settings.arrivals}
            later = find_manifests(location, [name for name in arrival_names(location) if name not in there])
            if later and self._digests.learn(KnownSamples.read(location, later, self._say)):
                return None
            return [making.publish() for making in makings]

    def _nothing_new(self, chosen: Chosen) -> list[Manifest]:
        """Say that there is nothing to publish.

        Raises:
            InputError: that is so only because all samples have two labels.
        """
        counts, rows = chosen.counts, len(self._rows)
        if not counts.held_out + counts.trained:
            row, reason = next(iter(chosen.contradicted.items()))
            raise InputError(
                f"nothing is left of {self._source}: {counts.contradicted:,} of {rows:,} rows are the same bytes under "
                f"another label. The first: {self._named(row, reason)}"
            )
        self._name_contradictions(chosen)
        unusable = rows - counts.skipped - counts.contradicted
        root = self._line.location.root
        self._tell(AllKnown(root=root, source=self._source, rows=rows, duplicates=counts, unusable=unusable))
        return []

    def _name_contradictions(self, chosen: Chosen) -> None:
        """Say which rows are left out because the same bytes have two labels: the first few."""
        rows = chosen.contradicted
        shown = "; ".join(self._named(row, reason) for row, reason in list(rows.items())[:_SHOWN])
        if rows:
            more = f"; and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
            self._say(f"the same bytes under two labels, left out: {shown}{more}")

    def _named(self, row: int, reason: str) -> str:
        sample = self._rows[row]
        return f"{sample.key} (row {row}, labelled '{sample.label}'), {reason}"

    def _tell_passed_over(self, lines: Sequence[str]) -> None:
        """Say what the source holds and gives no sample.

        Raises:
            InputError: nothing may be passed over.
        """
        if lines and self._settings.strict:
            raise InputError(f"{self._source} holds what is no sample, and --strict is given: {'; '.join(lines)}")
        for line in lines:
            self._say(f"passed over: {line}")

    def _say(self, text: str) -> None:
        self._tell(Notice(text=text))

    def _counter(self, total: int, left: int) -> Callable[[int], None]:
        """Tells how many samples are done, if ``left`` of them are not done yet."""
        done = total - left

        def count(samples: int) -> None:
            nonlocal done
            done += samples
            self._watch(done, total)

        count(0)
        return count


def _stored(makings: Sequence[ArrivalMaking], samples: Sequence[SourceSample]) -> Holdings:
    """What arrivals hold that are written, but for the rows that could not be used."""
    rows = ((job.split, row) for making in makings for job in making.jobs for row in making.stored_rows(job))
    return Holdings.of_rows((split, samples[row].label) for split, row in rows)
