"""Before an update: whether its arrival is like what the line has seen, and what ``on_drift`` makes of that."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from raygp.errors import DriftedError, InputError, RaygpError
from raygp.events import Drifted, Listener, Notice
from raygp.store import drift_path, list_drift, read_drift, write_drift

if TYPE_CHECKING:
    from raygp.line.runner import Runner
    from raygp.line.state import LineState
    from raygp.record import DriftRecord
    from raygp.settings import RunSettings
    from raygp.store import Location
    from raygp.update.job import UpdateJob

_METHOD = 1
"""Changes with what is compared and how, so that nothing which another raygp found is taken for it."""


def with_drift(job: UpdateJob, settings: RunSettings, runner: Runner, tell: Listener) -> UpdateJob:
    """The job that ``on_drift`` makes of a job, with how its arrival compares with what came before.

    Nothing is compared for a first version, after one that has seen no arrival, or where ``on_drift`` is ``off``. What
    was compared before is not compared again. Where it cannot be, a Notice says why and the update goes on: it is a
    look at the data, not a part of training. A storage that fails is no such reason: it may answer the next time, and
    ``wait`` would have let an arrival through unseen.

    Args:
        job: the update.
        settings: what to do.
        runner: of the update; it may not sweep.
        tell: told what was found.

    Raises:
        DriftedError: the arrival drifted, and such updates wait.
        RaygpError: storage failed.
    """
    chosen = settings.on_drift
    if chosen.then == "off" or job.parent is None or not job.parent.arrivals:
        return job
    found = _found(job, tell)
    if found is None:
        return job
    acts = found.level == "large" or found.level == chosen.at
    then = chosen.then if acts else "note"
    if then == "sweep" and not job.sweep and not runner.sweeps:
        then = "warn"
        tell(Notice(text="on_drift=sweep: this runner cannot sweep; the update goes on with its plan"))
    found = found.model_copy(update={"then": then})
    if found.level != "none":
        tell(Drifted(version=job.version, arrival=job.arrival.arrival, drift=found))
    if then == "wait":
        from raygp.drift import drift_line

        raise DriftedError(
            f"{drift_line(found)}. Its update was not started, as on_drift is wait: look at the arrival; on_drift=note "
            f"goes on with it, and raygp withdraw {job.arrival.arrival} takes it out"
        )
    sweep = settings.sweep.model_dump_json() if then == "sweep" else job.sweep
    return replace(job, drift=found, sweep=sweep)


def known_drift(location: Location, state: LineState) -> dict[str, DriftRecord]:
    """By name, those of the pending arrivals that were compared with what the head has seen, and how.

    Raises:
        InputError: what is kept of a comparison cannot be read.
    """
    if not state.pending or state.version is None:
        return {}
    pending = {manifest.arrival for manifest in state.pending}
    found = list_drift(location, state.version)
    return {drift.arrivals[-1]: drift for drift in found if pending.issuperset(drift.arrivals)}


def forget_drift(job: UpdateJob) -> None:
    """Delete what was kept of the comparison: it is on the version's card by now."""
    if job.drift is not None:
        job.location.delete(_path(job))


def _found(job: UpdateJob, tell: Listener) -> DriftRecord | None:
    """How the arrival compares; None if that cannot be said."""
    path = _path(job)
    if (known := _known(job.location, path)) is not None:
        return known
    from raygp.drift.looking import Arrivals, look

    assert job.parent is not None
    arrivals = Arrivals(job.before, job.trained_on, job.classes)
    try:
        found = look(job.location, job.make_task(), job.parent, arrivals, job.seed)
    except Exception as error:  # Somebody's model or task raises what it likes, and so does a shard that is damaged.
        if isinstance(error, RaygpError) and not isinstance(error, InputError):
            raise  # Storage failed, or the end was asked for.
        said = " ".join(str(error).split()) or type(error).__name__
        tell(Notice(text=f"warning: {job.arrival.arrival} could not be compared with earlier arrivals: {said}"))
        return None
    write_drift(job.location, path, found)
    return found


def _known(location: Location, path: str) -> DriftRecord | None:
    """What was found before; None if nothing was, or if that cannot be read: it is found, and written, again."""
    try:
        return read_drift(location, path)
    except InputError:
        return None


def _path(job: UpdateJob) -> str:
    """Where the comparison is kept: named after everything that it depends on."""
    assert job.parent is not None
    identity = {
        "parent": [job.parent.version, job.parent.update],
        "new": [manifest.digest for manifest in job.trained_on],
        "seed": job.seed,
        "method": _METHOD,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return drift_path(job.parent.version, job.arrival.arrival, digest)
