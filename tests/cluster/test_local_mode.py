"""Ray's local mode: the loop of an update in this process, without a worker group."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raygp.cluster import worker
from raygp.cluster.runner import RayRunner
from raygp.data.ingest import IngestSettings, ingest
from raygp.errors import InputError, RaygpError
from raygp.events import CheckpointStored, EpochEnded, Event, StepsDone, Working
from raygp.line import read_state
from raygp.line.jobs import next_job
from raygp.settings import RunSettings, load_settings
from raygp.store import Location
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TASK = "lenet-300-100"


def settings_of(*more: str, **flags: object) -> RunSettings:
    overrides = ["synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=3", *more]
    return load_settings(TASK, None, overrides, **flags)


@pytest.fixture
def job(tmp_path: Path) -> UpdateJob:
    location = Location(str(tmp_path / "root"))
    ingest(location, {"name": TASK}, FewDigits(0, 300), IngestSettings(["one"], [1.0], 0.2, 0.2))
    state = read_state(location)
    return next_job(location, state, state.pending[0], settings_of())[0]


def run(job: UpdateJob, settings: RunSettings, local: bool = True) -> tuple[Outcome, list[Event]]:
    told: list[Event] = []
    return RayRunner(local=local).update(job, settings, told.append), told


def test_it_trains_tells_and_stores_checkpoints_as_one_worker_does(job: UpdateJob) -> None:
    settings = settings_of(workers=1)
    outcome, told = run(job, settings)
    epochs = [event.record for event in told if isinstance(event, EpochEnded)]
    assert [event.epochs for event in told if isinstance(event, CheckpointStored)] == [*range(1, len(epochs) + 1)]
    assert any(isinstance(event, StepsDone) for event in told)
    assert epochs[-1].val_accuracy == outcome.record.val_accuracy > 0.5
    # A group of one worker comes to the same bits.
    job.location.delete(job.folder, recursive=True)
    grouped, _ = run(job, settings, local=False)
    assert grouped.record.mask_digest == outcome.record.mask_digest
    assert grouped.tensors.keys() == outcome.tensors.keys()
    assert all(torch.equal(grouped.tensors[key], value) for key, value in outcome.tensors.items())


def test_it_goes_on_from_a_checkpoint_and_gives_a_finished_update_again(
    job: UpdateJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    class Lost(Exception):
        pass

    def lose(*_: object) -> None:
        looks.append(None)
        if len(looks) == 2:  # The first is before training, the second after the first epoch's checkpoint.
            raise Lost

    settings = settings_of(workers=2)
    with monkeypatch.context() as patched:
        patched.setattr(worker, "_stop_if_asked", lose)
        with pytest.raises(Lost):
            run(job, settings)
    first, told = run(job, settings)
    assert next(event.epochs for event in told if isinstance(event, CheckpointStored)) == 2
    again, told = run(job, settings)
    done = [event for event in told if not isinstance(event, Working)]  # The data are decoded again.
    assert done == [] and again.record.mask_digest == first.record.mask_digest


def test_it_streams_too(job: UpdateJob) -> None:
    outcome, told = run(job, settings_of(resident_mib=0))
    assert outcome.verdict.promoted and any(isinstance(event, EpochEnded) for event in told)


def test_an_error_of_the_loop_is_raised_with_the_name_of_the_update(job: UpdateJob) -> None:
    broken = replace(job, plan=job.plan.model_copy(update={"lr": 1e8}))
    with pytest.raises(RaygpError, match=f"^{broken.update_id}: the training loss became"):
        run(broken, settings_of())


def test_a_sweep_is_refused(job: UpdateJob) -> None:
    with pytest.raises(InputError, match="a sweep needs workers"):
        RayRunner(local=True).sweep(job, settings_of(), [], lambda event: None)
