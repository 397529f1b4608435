"""Publishing arrivals: a source's samples, checked one by one, into shards of a model line.

The rows of each arrival are divided into parts of a few thousand. Each is checked and stored by itself, in any process;
those that are stored survive an interruption.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from raygp.data.duplicates import Chosen, Digests, choose
from raygp.data.ingest_settings import IngestSettings, default_shares, next_arrival, numbered_arrivals
from raygp.data.known import DIGEST, KnownSamples
from raygp.data.labels import with_one_spelling
from raygp.data.parts import ArrivalMaking, DigestJob, LeftOut, PartJob, RunParts, one_by_one
from raygp.data.quality import SampleCheck, unusable_rows
from raygp.data.sources import Source, passed_over_lines
from raygp.data.sources.split import Splits, draw_splits
from raygp.data.target import Target, remove_empty_line
from raygp.errors import ConflictError, InputError
from raygp.events import AllKnown, Listener, Notice, unheard
from raygp.store import (
    Duplicates,
    Location,
    Manifest,
    arrival_names,
    create_line,
    find_manifests,
    list_arrivals,
    publishing_lease,
)
from raygp.tasks import make_task

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

    Returns:
        The arrivals, in the order of the settings' names; empty if nothing is new.

    Raises:
        InputError: the root or the task cannot be used, or too many samples or labels cannot; the message names one.
        ConflictError: an arrival of this name is published.
    """
    settings = settings or IngestSettings()
    line = Target.at(location, task)
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
        self._trained = {label for manifest in self._others for label, rows in manifest.labels.items() if rows}
        self._task = make_task(line.task)
        classes = self._task.labels_are_classes
        self._rows, spelt = with_one_spelling(source.samples(), self._known, classes)
        self._tell_passed_over(passed_over_lines(source))
        if classes and spelt:
            shown = ", ".join(f"{label!a} as {spelling!a}" for label, spelling in list(spelt.items())[:_SHOWN])
            self._say(f"labels in another spelling: {shown}{', ...' if len(spelt) > _SHOWN else ''}")
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
            InputError: the rows cannot be divided as the settings say.
            ConflictError: another arrival of one of the names is published.
        """
        settings, line = self._settings, self._line
        divided, left_out = self._divide(chosen)
        makings = []
        for name, rows in zip(settings.arrivals, divided, strict=True):
            bounds = settings.max_bad_share, settings.part_rows
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

    def _divide(self, chosen: Chosen) -> tuple[list[Splits], LeftOut]:
        """Rows by split for each arrival, and what is left out."""
        counts, settings = chosen.counts, self._settings
        try:
            drawn = self._draw(chosen)
        except InputError as error:
            if not (there := counts.skipped + counts.contradicted):
                raise
            of = f"{there:,} of {len(self._rows):,} rows are duplicates"
            raise InputError(f"{error} (among the rows that are new: {of})") from error
        divided: list[Splits] = []
        kept = 0
        ends = np.rint(np.cumsum(settings.shares) * len(chosen.again)).astype(int).tolist()
        for splits, start, end in zip(drawn, [0, *ends], ends, strict=False):
            rows: Splits = {split: [chosen.drawn[i] for i in some] for split, some in splits.items()}
            copies = [copy for row in rows["train"] for copy in chosen.copies.get(row, ())]
            kept += len(copies)
            rows["train"] += copies + chosen.again[start:end]
            divided.append(rows)
        repeated = sum(map(len, chosen.copies.values())) - kept
        counts = counts.model_copy(update={"kept": counts.kept + kept, "repeated": counts.repeated + repeated})
        return divided, LeftOut(self._strange, chosen.contradicted, counts)

    def _draw(self, chosen: Chosen) -> list[Splits]:
        """Splits of each arrival: positions among the rows that are new."""
        settings = self._settings
        new = [self._rows[row] for row in chosen.drawn]
        if not new and chosen.again:
            return [{"train": [], "val": [], "test": []} for _ in settings.arrivals]
        if chosen.counts.skipped and all(sample.split in ("val", "test") for sample in new):
            raise InputError(f"{self._source} holds nothing to train on")
        classes = self._task.labels_are_classes
        # A folder that grows may bring a row or two of a class: the others of it are in the line.
        there = chosen.counts != Duplicates() and self._others != []
        return draw_splits(
            new,
            settings.val_share,
            settings.test_share,
            settings.shares,
            settings.seed,
            stratified=classes,
            trained=(self._trained if classes else ("",)) if there else (),
        )

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
        with contextlib.closing(
            self._run([job for _, job in jobs], self._counter(total, sum(len(job.rows) for _, job in jobs)))
        ) as done:
            for place, written in done:
                making, job = jobs[place]
                making.take(job.number, written.part)
                if self._note(making, job, written.digests, compared):
                    return False
        if not compared and self._digests.duplicate_met(final=True):
            return False
        if self._task.labels_are_classes:
            _check_held_out(makings, self._known)
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
        chosen = choose(self._rows, self._usable, self._digests, keep, lambda row: problem(row) is None)
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
        """Publish, as the only one who does. None: another ingest has published some of the rows meanwhile."""
        location = self._line.location
        with publishing_lease(location):
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


def _check_held_out(makings: Sequence[ArrivalMaking], known: set[str]) -> None:
    """Refuse held-out samples of a class that no training sample has: a class may have lost all of them."""
    trained = known.union(*(part.labels for making in makings for part in making.parts.values()))
    for making in makings:
        held_out = {label for part in making.parts.values() for label in part.held_out}
        for label in sorted(held_out - trained):
            raise InputError(f"arrival {making.arrival}: class '{label}' has no usable training sample")
