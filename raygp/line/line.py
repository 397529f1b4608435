"""A model line: the successive versions of one model, and what can be done with them."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raygp.events import Published, RolledBack, SamplesChecked, Withdrawn
from raygp.line import adopting, approval, upkeep, withdrawal
from raygp.line.guessing import open_named
from raygp.line.standing import Standing
from raygp.line.version import Version
from raygp.store import (
    Card,
    Garbage,
    Manifest,
    Verified,
    arrival_names,
    verify_arrival,
)

if TYPE_CHECKING:
    from raygp.data.ingest_settings import IngestSettings
    from raygp.data.parts import RunParts
    from raygp.data.sources import Source
    from raygp.line.forecast import SweepForecast
    from raygp.line.runner import Runner
    from raygp.page import Story
    from raygp.settings import RunSettings

_WEEK_S = 7 * 86_400.0


class Line(Standing):
    """A model line at a root in storage. Opening it reads nothing; where it stands is read once, when it is asked for.

    Nothing is printed. What happens while something is done is told to listeners as :mod:`raygp.events`::

        line = raygp.open("line")
        line.listen(print)
        line.ingest("imagefolder:week2")
        for version in line.update():
            print(version.name, version.metrics)

    Args:
        root: a path, ``s3://bucket/prefix`` or another fsspec URL, or a :class:`raygp.store.Location`. There need not
            be a line yet: :meth:`ingest` makes one.
        single_writer: nothing else ever updates this line, so that its storage need not keep two updaters apart.
        task: code of a task of one's own: ``my_task.py``, ``my_task.py:Class`` or ``package.module:Class``. None: a
            line that has one finds the file in the current folder.
        task_changed: that this code is another one than the line was made with is meant so.

    Every method raises :class:`raygp.errors.InputError` if there is no line at the root (but for :meth:`ingest`), or a
    document of it cannot be read, and :class:`raygp.errors.RaygpError` if storage fails.
    """

    def ingest(
        self,
        source: Source | str,
        settings: IngestSettings | None = None,
        *,
        task: dict[str, Any] | None = None,
        run: RunParts | None = None,
    ) -> list[Manifest]:
        """Publish samples as arrivals; makes the line if there is none.

        Args:
            source: where the samples come from: a source, or its form such as ``"imagefolder:week2"``. Of a path alone,
                such as ``"week2/"``, the kind is guessed where it is plain, and a Notice says how it is read.
            settings: names of the arrivals, held-out shares and the rest. None: one arrival, called by the next
                ``arrival-NNN`` that is free, with 15 % each held out for validation and testing.
            task: for a new line: the name of its task under ``"name"``, and the task's options. A task of one's own
                may be named there, too, as in :func:`raygp.open`; where that names it, the options alone are enough.
            run: how parts of the source are written; None: one after the other in this process.

        Returns:
            The arrivals, in the order of the settings' names. Empty if the line has every row of the source already.

        Raises:
            InputError: the source or the settings cannot be used, or too many samples cannot; nothing is left.
            ConflictError: an arrival of this name is published.
        """
        from raygp.data.ingest import ingest
        from raygp.data.parts import one_by_one

        task, code = self._given.for_ingest(self.location, task)
        if isinstance(source, str):
            source = open_named(source, task, lambda: self.task, code, self._tell)
        published = ingest(
            self.location, task, source, settings, self._tell_samples, run or one_by_one, self._tell, code
        )
        self._state = None
        for manifest in published:
            where = self.location.url(f"arrivals/{manifest.arrival}/quarantine.jsonl") if manifest.quarantined else ""
            self._tell(Published(manifest=manifest, quarantine=where))
        return published

    def adopt(
        self,
        weights: str | os.PathLike[str],
        *,
        classes: adopting.Classes | None = None,
        density: float | None = None,
        settings: RunSettings | None = None,
        runner: Runner | None = None,
    ) -> adopting.Adoption:
        """Make a dense model that somebody trained the line's first version: as it is, measured on what arrivals hold
        out. It has seen no arrival: the next update prunes it while it learns them.

        Args:
            weights: a safetensors file, or one that ``torch.save`` wrote of a state dict.
            classes: their order, or a file that has it; None: what the checkpoint says, or the line's own.
            density: fold in every arrival at once, as :meth:`update` does, with this as ``plan.density``.
            settings: of that update, and the seed of what is new in the model; None: the defaults of the line's task.
            runner: of that update.

        Raises:
            InputError: the line has a version or no arrival, or the checkpoint cannot be read or does not fit.
            ConflictError: somebody else is at work on the line.

        Also raises as :meth:`update`, once the dense model is the head.
        """
        code = self.code  # Before anything else: it may change what the line says of its task.
        chosen = settings or self.settings()
        if density is not None:  # Checked before anything is written.
            chosen = adopting.with_density(chosen, density)
        try:
            adopted = adopting.adopt(self.location, weights, classes, chosen.seed, self._tell, code)
        finally:
            self._state = None
        if density is None:
            return adopted
        return replace(adopted, updated=tuple(self.update(chosen, runner=runner)))

    def settings(self, file: str | None = None, *overrides: str, **flags: Any) -> RunSettings:
        """Settings of an update of this line: defaults of its task, then a YAML file, flags, ``"key.path=value"``.

        Raises:
            InputError: the file cannot be read, or a setting does not exist or does not fit.
        """
        from raygp.settings import load_settings

        return load_settings(self.task, file, overrides, **flags)

    def update(
        self,
        settings: RunSettings | None = None,
        *,
        runner: Runner | None = None,
        sweep: bool = False,
        fold: bool = False,
        only: Collection[str] | None = None,
    ) -> list[Version]:
        """Fold every pending arrival into the line, oldest first. An update that was interrupted goes on::

            for version in line.update(fold=True):  # One for all that waits.
                print(version.name, version.card.folded_in)

        Args:
            settings: plans, workers and the rest; None: the defaults of the line's task.
            runner: carries the updates out; None: one worker in this process, without Ray.
            sweep: search for the plan of each arrival, as ``settings.sweep`` says.
            fold: one update for all arrivals that wait. One that was begun over a part of them goes on first.
            only: names of the arrivals that are folded in; whatever else waits is left alone. None: all.

        Returns:
            The versions that became head; empty if nothing was pending, or one waits for approval (:attr:`waiting`).

        Raises:
            RejectedError: the gate refused a candidate: the arrivals after it wait.
            ConflictError: somebody else is at work on the line, or moved the head meanwhile.
            StoppedError: the process was asked to end; the same call goes on from the last checkpoint.
            TrainingError: training went wrong; the head did not move.
        """
        from raygp.line.update import update_line

        if runner is None:
            from raygp.line.in_process import InProcessRunner

            runner = InProcessRunner()
        try:
            code = self.code  # Before anything else: it may change what the line says of its task.
            chosen, picked = settings or self.settings(), None if only is None else frozenset(only)
            cards = update_line(self.location, chosen, runner, self._tell, sweep, code, picked, fold)
            return [self._version(card) for card in cards]
        finally:
            self._state = None

    def approve(self, version: str | None = None, *, by: str = "") -> approval.Approval:
        """Make the version that waits for approval the head. If that was cut off, the same call ends it.

        Args:
            version: which one is meant; None: whichever waits.
            by: who approves it, to be remembered.

        Raises:
            InputError: none waits, or another one.
            ConflictError: somebody else is at work on the line, or moved the head meanwhile.
        """
        try:
            return approval.approve(self.location, version, by, self._tell)
        finally:
            self._state = None

    def reject(self, version: str, *, because: str = "", by: str = "") -> Card:
        """Refuse the version that waits for approval, as the gate would have: its files go, and exactly its update is
        not tried again.

        Args:
            version: which one is meant.
            because: the reason, to be remembered.
            by: who rejects it.

        Returns:
            The card of the version that was.

        Raises:
            InputError: none waits, or another one.
            ConflictError: somebody else is at work on the line.
        """
        try:
            return approval.reject(self.location, version, because, by, self._tell)
        finally:
            self._state = None

    def forecast_sweep(self, settings: RunSettings | None = None, *, fold: bool = False) -> SweepForecast:
        """What a sweep of the next arrival (or of all that wait) would try and cost. Nothing is run or written.

        Raises:
            InputError: the space does not fit the plan, nothing waits, or there is no version yet.
        """
        from raygp.line.forecast import forecast_sweep

        return forecast_sweep(self.location, self.state, settings or self.settings(), fold)

    def roll_back(self, version: str) -> upkeep.Rollback:
        """Make another version the head. What it has not seen waits for the next update.

        Raises:
            InputError: there is no such version, it is damaged, or there is no head yet.
            ConflictError: somebody else moved the head meanwhile.
        """
        done = upkeep.roll_back(self.location, version)
        self._state = None
        if done.moved:
            self._tell(RolledBack(version=done.version, before=done.before))
        return done

    def withdraw(self, arrival: str) -> withdrawal.Withdrawal:
        """Take an arrival out of the line that no version has seen. A withdrawal that was interrupted goes on.

        The line itself stays, with its task, even if that was its only arrival.

        Raises:
            InputError: there is no such arrival; or a version or an unfinished update has seen it, or an arrival that
                was published later could not be used without it.
            ConflictError: somebody else is at work on the line.
        """
        done = withdrawal.withdraw(self.location, arrival)
        self._state = None
        self._tell(Withdrawn(manifest=done.manifest, left=done.left, short=done.short))
        return done

    def report(self, out: str | os.PathLike[str] | None = None, *, examples: bool = True) -> Story:
        """What happened to the line, as plain data and (``out``) as a page. See :func:`raygp.line.reporting.report`."""
        from raygp.line.reporting import report

        return report(self.location, self.make_task, self._tell, out, examples)

    def verify(self) -> list[Verified]:
        """Read every arrival again, published or not, and compare it with its manifest."""
        symbols = self.make_task().symbols
        return [verify_arrival(self.location, arrival, symbols) for arrival in arrival_names(self.location)]

    def collect_garbage(self, older_than_s: float = _WEEK_S, *, dry_run: bool = False) -> list[Garbage]:
        """Delete (or only find) what nothing refers to any more and is older than so many seconds.

        Raises:
            ConflictError: somebody is at work on the line, or moved the head meanwhile.
        """
        return upkeep.collect_garbage(self.location, older_than_s, dry_run)

    def _tell_samples(self, done: int, total: int) -> None:
        self._tell(SamplesChecked(done=done, total=total))
