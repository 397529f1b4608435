"""Updates in this process, without Ray, on real digits."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import raygp
from raygp.errors import InputError, RaygpError, StoppedError
from raygp.events import (
    CheckpointStored,
    EpochEnded,
    Event,
    InPhase,
    Notice,
    PhaseEnded,
    PhaseStarted,
    Resumed,
    StepsDone,
    StopAsked,
    Working,
    unheard,
)
from raygp.line import Line, read_state
from raygp.line.in_process import InProcessRunner, _resident
from raygp.line.jobs import next_job
from raygp.settings import RunSettings, load_settings
from raygp.stopping import Terminated
from raygp.store import Location, read_tensors
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import checkpoint_names, youngest_checkpoint
from raygp.update.engine import Update
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from tests.digits import FewDigits
from tests.update.records import figures

SETTINGS = load_settings(
    "lenet-300-100",
    overrides=[
        "synthesis.epochs=2",
        "plan.phases=[{kind: grow-all, epochs: 2}, {kind: prune-permanent, gradual: true, epochs: 2}]",
        "plan.batch_size=16",
        "plan.fit=null",
        "gate_tolerance=1.0",
    ],
)
EVERY_STEP = SETTINGS.model_copy(update={"checkpoint_minutes": 0.0})


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with one version, made in this process, and a second arrival that waits."""
    root = tmp_path_factory.mktemp("made") / "line"
    line = raygp.open(str(root))
    line.ingest(FewDigits(0, 150), task={"name": "lenet-300-100"})
    [first] = line.update(SETTINGS)
    assert first.name == "v0000"
    line.ingest(FewDigits(150, 300))
    return root


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Line:
    """A copy of it for each test."""
    return Line(str(shutil.copytree(made, tmp_path / "line")))


@pytest.fixture
def job(line: Line) -> UpdateJob:
    """The update that waits."""
    state = read_state(line.location)
    return next_job(line.location, state, state.pending[0], SETTINGS)[0]


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the update comes to when nothing interrupts it."""
    location = Location(str(shutil.copytree(made, tmp_path_factory.mktemp("whole") / "line")))
    state = read_state(location)
    return carry_out(next_job(location, state, state.pending[0], SETTINGS)[0])


def carry_out(job: UpdateJob, tell: Callable[[Event], None] = unheard, settings: RunSettings = SETTINGS) -> Outcome:
    runner = InProcessRunner()
    with runner.session():
        return runner.update(job, settings, tell)


def assert_same(found: Outcome, expected: Outcome) -> None:
    assert found.record.mask_digest == expected.record.mask_digest
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors[key], value) for key, value in expected.tensors.items())
    assert figures(found.record) == figures(expected.record)
    assert found.verdict == expected.verdict
    assert found.record.ledger.examples == expected.record.ledger.examples


def at(kind: type[Event], number: int, act: Callable[[], None]) -> Callable[[Event], None]:
    """A listener that does something at the ``number``-th event of a kind."""
    seen = 0

    def tell(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, kind)
        if isinstance(event, kind) and seen == number:
            act()

    return tell


def kill() -> None:
    raise Killed


def ask_for_the_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_is_the_same_update_as_without_a_line(job: UpdateJob, whole: Outcome) -> None:
    assert job.parent is not None
    data = _resident(job, make_task(job.task), SETTINGS.resident_mib)
    task, parent = make_task(job.task), read_tensors(job.location, job.parent)
    learner = make_learner(task, data, job.plan, num_classes=10, seed=job.seed, parent=parent)
    assert_same(Update(job.plan, learner, data, seed=job.seed, has_parent=True, gate_tolerance=1.0).run(), whole)
    assert whole.verdict.promoted and whole.record.phases[0].grown > 0 and len(whole.record.phases[0].history) == 2


@pytest.mark.parametrize(("settings", "number"), [(SETTINGS, 1), (SETTINGS, 4), (EVERY_STEP, 3), (EVERY_STEP, 12)])
def test_an_update_that_was_killed_goes_on_to_the_same_bits(
    job: UpdateJob, whole: Outcome, settings: RunSettings, number: int
) -> None:
    with pytest.raises(Killed):
        carry_out(job, at(CheckpointStored, number, kill), settings)
    assert 1 <= len(checkpoint_names(job.location, job.folder)) <= 2
    events: list[Event] = []
    assert_same(carry_out(job, events.append), whole)
    # On a busy machine it is told how far decoding is, before.
    assert isinstance(next(event for event in events if not isinstance(event, Working)), Resumed)


def test_a_checkpoint_that_was_cut_off_is_passed_over(job: UpdateJob, whole: Outcome) -> None:
    with pytest.raises(Killed):
        carry_out(job, at(CheckpointStored, 3, kill))
    youngest = checkpoint_names(job.location, job.folder)[-1]
    job.location.delete(f"{job.folder}/{youngest}/state.json")
    assert_same(carry_out(job), whole)


def test_sigterm_ends_it_after_the_next_checkpoint(job: UpdateJob, whole: Outcome) -> None:
    events: list[Event] = []
    ask = at(StepsDone, 1, ask_for_the_end)

    def tell(event: Event) -> None:
        events.append(event)
        ask(event)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="run the same command again to go on from its last checkpoint"):
        carry_out(job, tell)
    assert signal.getsignal(signal.SIGTERM) == before
    assert isinstance(events[-1], CheckpointStored) and len([e for e in events if isinstance(e, EpochEnded)]) <= 1
    assert_same(carry_out(job), whole)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C does what it does in a program that runs in the foreground."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_it_after_the_next_checkpoint_inside_the_epoch(job: UpdateJob, whole: Outcome) -> None:
    """Checkpoints inside epochs are far apart; one is made because the end was asked for."""
    events: list[Event] = []

    def ask_and_wait() -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(1.1)  # The clock of checkpoints looks up about every second.

    ask = at(PhaseStarted, 1, ask_and_wait)

    def tell(event: Event) -> None:
        events.append(event)
        ask(event)

    with pytest.raises(StoppedError, match="run the same command again to go on from its last checkpoint") as stopped:
        carry_out(job, tell)
    assert stopped.value.exit_code == 130
    assert events[-2] == StopAsked(signal="SIGINT") and isinstance(events[-1], CheckpointStored)
    assert not [event for event in events if isinstance(event, EpochEnded)]
    assert_same(carry_out(job), whole)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("signals", "error"),
    [
        ([signal.SIGINT, signal.SIGINT], KeyboardInterrupt),
        ([signal.SIGTERM, signal.SIGTERM], Terminated),
        ([signal.SIGTERM, signal.SIGINT], KeyboardInterrupt),
    ],
)
def test_a_second_signal_ends_it_at_once(
    job: UpdateJob, signals: list[signal.Signals], error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygp.stopping._SAME_S", 0.0)

    def ask_twice() -> None:
        for number in signals:
            signal.raise_signal(number)

    with pytest.raises(error):
        carry_out(job, at(StepsDone, 1, ask_twice))
    assert checkpoint_names(job.location, job.folder) == []


def test_a_sigterm_that_a_parent_passes_on_is_not_a_second_one(job: UpdateJob) -> None:
    def ask_twice() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError) as stopped:
        carry_out(job, at(StepsDone, 1, ask_twice))
    assert stopped.value.exit_code == 143 and checkpoint_names(job.location, job.folder)


def test_what_ignores_ctrl_c_goes_on_to_do_so(job: UpdateJob, whole: Outcome) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert_same(carry_out(job, at(StepsDone, 1, lambda: signal.raise_signal(signal.SIGINT))), whole)
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_after_the_last_checkpoint_keeps_the_finished_candidate(job: UpdateJob, whole: Outcome) -> None:
    with pytest.raises(StoppedError):
        carry_out(job, at(PhaseEnded, 2, ask_for_the_end))
    events: list[Event] = []
    assert_same(carry_out(job, events.append), whole)
    assert events == []


def test_a_finished_candidate_is_given_again_and_not_made_again(job: UpdateJob, whole: Outcome) -> None:
    first = carry_out(job)
    name, found = youngest_checkpoint(job.location, job.folder)
    assert isinstance(found, Outcome)
    assert job.location.list(f"{job.folder}/{name}") == ["outcome.json", "tensors.safetensors"]
    assert len(checkpoint_names(job.location, job.folder)) == 2
    events: list[Event] = []
    again = carry_out(job, events.append)
    assert events == []
    assert again.record == first.record
    assert_same(again, whole)


def test_a_line_that_was_killed_before_the_promotion_promotes_what_was_finished(
    line: Line, job: UpdateJob, whole: Outcome
) -> None:
    finished = carry_out(job)
    events: list[Event] = []
    line.listen(events.append)
    [version] = line.update(SETTINGS)
    card = version.card
    assert not [event for event in events if isinstance(event, InPhase)]
    assert card.drift is not None
    spent = finished.record.ledger.plus(card.drift.ledger)
    assert (card.mask_digest, card.ledger) == (whole.record.mask_digest, spent)
    assert line.location.list("updates") == []


def test_data_that_do_not_fit_are_refused(job: UpdateJob) -> None:
    small = SETTINGS.model_copy(update={"resident_mib": 0})
    with pytest.raises(InputError, match=r"do not fit resident_mib=0: raise it, or update on Ray"):
        carry_out(job, settings=small)
    assert checkpoint_names(job.location, job.folder) == []


def test_a_sweep_is_refused(job: UpdateJob) -> None:
    with pytest.raises(InputError, match="a sweep runs on Ray"):
        InProcessRunner().sweep(job, SETTINGS, [], unheard)


def failing(*_: object, **__: object) -> None:
    raise RaygpError("disk on fire")


@pytest.mark.parametrize(
    ("method", "stored", "warning"),
    [
        ("delete", 4, "warning: an old checkpoint could not be deleted (disk on fire); going on"),
        ("write_bytes", 0, "warning: no checkpoint (disk on fire); going on, the next one is tried again"),
    ],
)
def test_storage_that_fails_is_told_of_and_does_not_end_the_update(
    job: UpdateJob, whole: Outcome, monkeypatch: pytest.MonkeyPatch, method: str, stored: int, warning: str
) -> None:
    monkeypatch.setattr(Location, method, failing)
    events: list[Event] = []
    assert_same(carry_out(job, events.append), whole)
    assert len([event for event in events if isinstance(event, CheckpointStored)]) == stored
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices[0] == warning
    if method == "write_bytes":
        assert notices[1:] == [warning] * 3 + [
            "warning: the finished candidate could not be kept aside (disk on fire); going on"
        ]
