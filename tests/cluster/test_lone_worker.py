"""What a worker does that Ray Train has taken the process group from, while the run is being restarted around it."""

from pathlib import Path
from typing import Any

import pytest

from raygp.cluster import train_run
from raygp.data.ingest import IngestSettings, ingest
from raygp.line import read_state
from raygp.line.jobs import next_job
from raygp.settings import load_settings
from raygp.store import Location
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.drill, pytest.mark.usefixtures("cluster")]

SETTINGS = load_settings(
    "lenet-300-100", None,
    ["synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=2", "checkpoint_minutes=0"],
)  # fmt: skip
CHECKPOINTS_BEFORE = 3


def test_nothing_is_kept_of_what_a_worker_came_to_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group is gone before the first step of the first attempt, and in the middle of the second."""
    location = Location(str(tmp_path / "root"))
    ingest(location, {"name": "lenet-300-100"}, FewDigits(0, 400), IngestSettings(["one"], [1.0], 0.2, 0.2))
    state = read_state(location)
    job, _ = next_job(location, state, state.pending[0], SETTINGS)
    run, folder, log = train_run.run_worker, f"updates/{job.update_id}", tmp_path / "attempts"

    def kept() -> list[str]:
        return [name for name in location.list(folder) if name.startswith("checkpoint_2")]

    def losing_its_group(config: Any) -> None:
        import ray.train
        import torch.distributed as dist

        from raygp.cluster import worker

        attempt = len(log.read_text().splitlines()) if log.exists() else 0
        ray.train.collective.barrier()
        if ray.train.get_context().get_world_rank() == 0:
            with log.open("a") as out:
                out.write(" ".join(["checkpoints:", *kept()]) + "\n")
        make_update, save_checkpoint, saved = worker.make_update, worker.save_checkpoint, []

        def alone(*arguments: Any, **options: Any) -> Any:
            dist.destroy_process_group()
            return make_update(*arguments, **options)

        def save_the_last(*arguments: Any) -> None:
            save_checkpoint(*arguments)
            saved.append(arguments)
            if len(saved) == CHECKPOINTS_BEFORE:
                dist.destroy_process_group()

        if attempt == 0:
            worker.make_update = alone
        if attempt == 1:
            worker.save_checkpoint = save_the_last
        run(config)

    monkeypatch.setattr(train_run, "run_worker", losing_its_group)
    outcome = train_run.run_update(job, SETTINGS, lambda progress: None)
    attempts = [line.split()[1:] for line in log.read_text().splitlines()]
    # Ray keeps the last two.
    assert [len(checkpoints) for checkpoints in attempts] == [0, 0, 2]
    assert outcome.record.ledger.reduced_bytes > 0
