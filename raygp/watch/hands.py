"""Who ingests and updates for a watcher: this process, or another one (:mod:`raygp.watch.process`)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from raygp.events import Listener

if TYPE_CHECKING:
    from raygp.line import Line, Runner
    from raygp.settings import RunSettings


@dataclass(frozen=True)
class Intake:
    """Something in the drop folder, as it is ingested."""

    source: str
    """Form of the source, such as ``imagefolder:/data/incoming/week2``, or a path whose kind is guessed."""
    arrival: str


class Hands(Protocol):
    """Ingest and update, and tell what happens meanwhile. Errors are those of :meth:`raygp.line.Line.ingest` and
    :meth:`raygp.line.Line.update`."""

    def check(self) -> None:
        """Make sure that the settings fit the line, before there is something to do.

        Raises:
            InputError: they do not.
        """
        ...

    def ingest(self, intake: Intake, tell: Listener) -> list[str]:
        """Names of the arrivals that were published: one, or none if the line has every row."""
        ...

    def update(self, arrivals: Sequence[str], tell: Listener) -> list[str]:
        """Fold these arrivals in with one update; the versions that became head."""
        ...

    def rest(self) -> None:
        """There is nothing to do for a while: let go of what takes memory."""
        ...


class OwnHands:
    """This process does it.

    Args:
        line: the line. Its listeners are told, too.
        settings: of updates; those under ``watch`` say how to ingest.
        runner: carries the updates out; None: one worker in this process, without Ray.
    """

    def __init__(self, line: Line, settings: RunSettings, runner: Runner | None = None) -> None:
        self._line, self._settings, self._runner = line, settings, runner

    def check(self) -> None:
        """The settings have been made: they fit."""

    def ingest(self, intake: Intake, tell: Listener) -> list[str]:
        """Publish it under the name that the intake gives."""
        from raygp.data.ingest_settings import IngestSettings

        drop = self._settings.watch.drop
        settings = IngestSettings(
            [intake.arrival],
            val_share=drop.val_share,
            test_share=drop.test_share,
            seed=self._settings.seed,
            new_classes=drop.new_classes,
            max_bad_share=drop.max_bad_share,
            duplicates=drop.duplicates,
        )
        stop = self._line.listen(tell)
        try:
            return [manifest.arrival for manifest in self._line.ingest(intake.source, settings)]
        finally:
            stop()

    def update(self, arrivals: Sequence[str], tell: Listener) -> list[str]:
        """Update the line."""
        stop = self._line.listen(tell)
        try:
            sweep = self._settings.watch.sweep
            made = self._line.update(self._settings, runner=self._runner, sweep=sweep, only=arrivals, fold=True)
            return [version.name for version in made]
        finally:
            stop()

    def rest(self) -> None:
        """There is nothing that this process could let go of."""


def digest_of(settings: RunSettings) -> str:
    """Of all settings that decide about updates: with another one, what was refused or failed is tried again."""
    content = settings.model_dump_json(exclude={"watch", "tell"})
    return hashlib.sha256(content.encode()).hexdigest()[:16]
