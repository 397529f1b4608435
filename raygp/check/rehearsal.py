"""A whole line in a temporary folder: two arrivals of the few rows, two updates of an epoch, and an answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from raygp.check.finding import Fault
from raygp.check.rows import Row
from raygp.check.subject import Subject
from raygp.data.ingest_settings import IngestSettings
from raygp.data.sources import SourceSample
from raygp.events import unheard
from raygp.line import Line
from raygp.line.in_process import InProcessRunner
from raygp.line.jobs import next_job
from raygp.store import Location, promote, write_version

_FEWEST = 12
_SETTINGS = (
    "synthesis.epochs=1", "plan.epochs=1", "plan.fit=null", "plan.batch_size=8", "synthesis.batch_size=8",
    "gate_tolerance=1", "ladder=false",
)  # fmt: skip


def updating(subject: Subject) -> str:
    """The line makes a version, updates it, and the version answers.

    Raises:
        Fault: the version does not answer.
        RaygpError: something went wrong on the way.
    """
    rows = list(subject.rows)
    if len(rows) < _FEWEST:
        return f"left out: {len(rows)} rows are too few, {_FEWEST} are needed"
    with tempfile.TemporaryDirectory(prefix="raygp-check-") as folder:
        line = Line(Location(str(Path(folder) / "line")))
        line.use_code(subject.code)
        split = IngestSettings(["first", "second"], [0.5, 0.5], val_share=0.34, test_share=0.0, new_classes=True)
        line.ingest(_Rows(rows), split, task=subject.spec)
        _update(line)
        _update(line)
        version = line.version()
        (answer,) = version.predict([rows[0].sample])
        if answer.problem:
            raise Fault(f"{rows[0].key} is refused by the version that was trained on it: {answer.problem}")
        density = version.card.density
    return f"two versions of these rows, grown, trained and pruned to density {density:.2f}"


def _update(line: Line) -> None:
    """An update whose candidate becomes the head, however good it is: the rows are too few to judge by."""
    state, settings = line.refresh(), line.settings(None, *_SETTINGS)
    assert state.next is not None
    job, _ = next_job(line.location, state, state.next, settings, code=line.code)
    outcome = InProcessRunner().update(job, settings, unheard)
    promote(line.location, write_version(line.location, job.card(outcome, 1), outcome.tensors), state.head)
    line.refresh()


class _Rows:
    """The rows as a source."""

    name = "rows of a check"

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def samples(self) -> Iterator[SourceSample]:
        for row in self._rows:
            yield SourceSample(None, row.label, row.key, partial(bytes, row.sample))
