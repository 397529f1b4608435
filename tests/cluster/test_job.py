"""The whole job on a few hundred real digits: Ray Data reads the shards, two Ray Train workers run the phases."""

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from drills.line import report, update
from raygp.cluster.runner import RayRunner
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.reading import read_examples
from raygp.errors import RaygpError, RejectedError
from raygp.settings import load_settings
from raygp.sparse import Masks, unpack_model
from raygp.store import Location, find_manifests, list_versions, read_head, read_tensors, rollback
from raygp.tasks import make_task
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TASK = {"name": "lenet-300-100"}
SUMMARY_FIELDS = {
    "version", "parent", "arrivals", "density", "active_connections", "total_connections", "val_accuracy",
    "test_accuracy", "mask_digest", "ledger", "phases", "parent_val_accuracy", "val_noise", "val_rows", "known", "new",
    "by_arrival", "by_class", "arrival", "beside", "drift", "backward_transfer",
}  # fmt: skip
PHASE_FIELDS = {"kind", "epochs", "grown", "pruned", "restored", "density_after", "val_accuracy"}


def make_console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=160, highlight=False), out


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> tuple[Location, str]:
    """A line with two versions: the first from data in memory, the second from streamed data and a new class."""
    location = Location(str(tmp_path_factory.mktemp("line") / "root"))
    console, out = make_console()
    first = IngestSettings(["monday"], [1.0], 0.15, 0.15)
    ingest(location, TASK, FewDigits(0, 700, "012345678"), first)
    settings = load_settings("lenet-300-100", None, ["synthesis.batch_size=32", "synthesis.lr=0.05"])
    update(console, location, settings)
    second = IngestSettings(["tuesday"], [1.0], 0.2, 0.2, new_classes=True)
    ingest(location, None, FewDigits(700, 1100), second)
    overrides = ["plan.batch_size=32", "plan.lr=0.05", "plan.epochs=4", "plan.replay.share=0.5", "resident_mib=0"]
    streamed = load_settings("lenet-300-100", None, overrides)
    update(console, location, streamed)
    report(console, location)
    return location, out.getvalue()


def test_each_arrival_becomes_a_version_at_the_plans_density(line: tuple[Location, str]) -> None:
    first, second = list_versions(line[0])
    assert (first.version, first.parent, first.arrivals) == ("v0000", None, ["monday"])
    assert (second.version, second.parent, second.arrivals) == ("v0001", "v0000", ["monday", "tuesday"])
    for card in (first, second):
        assert card.active_connections == round(0.1 * card.total_connections)
    assert first.val_accuracy > 0.8
    assert second.phases[0].grown > 0 and second.phases[1].pruned > 0


def test_earlier_class_ids_do_not_move_when_an_arrival_brings_a_class(line: tuple[Location, str]) -> None:
    first, second = list_versions(line[0])
    assert first.classes == list("012345678")
    assert second.classes == list("0123456789")


def test_the_summary_has_every_field_that_programs_read(line: tuple[Location, str]) -> None:
    summary = json.loads(line[0].read_bytes("reports/summary.json"))
    assert summary["wall_seconds"] > 0
    assert [version["version"] for version in summary["versions"]] == ["v0000", "v0001"]
    for version in summary["versions"]:
        assert set(version) == SUMMARY_FIELDS
        assert all(set(phase) == PHASE_FIELDS for phase in version["phases"])
        ledger = version["ledger"]
        assert 0 < ledger["sparse_flops"] < ledger["dense_flops"]
        assert min(ledger["examples"], ledger["worker_seconds"], ledger["reduced_bytes"]) > 0


def test_progress_shows_phase_epoch_rate_loss_and_density_and_no_ray_noise(line: tuple[Location, str]) -> None:
    output = line[1]
    for word in ("prune-permanent", "examples/s", "loss", "density 0.100", "promoted"):
        assert word in output
    assert re.search(r"epoch (\d+)/\1 ", output)
    assert "INFO" not in output and "WARNING" not in output


def test_a_version_read_back_gives_the_accuracy_on_its_card(line: tuple[Location, str]) -> None:
    """Every held-out row counts once: the cards were made by two workers, this by one process without Ray."""
    location, _ = line
    from raygp.line import read_state
    from raygp.line.jobs import next_job

    state = read_state(location)
    card = list_versions(location)[1]
    settings = load_settings("lenet-300-100")
    ingest(location, None, FewDigits(1100, 1200), IngestSettings(["wednesday"], [1.0], 0.1, 0.0))
    state = read_state(location)
    job, _ = next_job(location, state, state.pending[0], settings)
    catalog = job.catalog()
    task = make_task(card.task)
    model = task.build_model(len(card.classes))
    unpack_model(read_tensors(location, card), model, Masks(model, task.dense))
    model.eval()
    for split, accuracy in (("val", card.val_accuracy), ("test", card.test_accuracy)):
        correct = []
        for ref in catalog.held_out[split]:
            if ref.arrival == "wednesday":
                continue
            for part in read_examples(catalog, ref, task):
                outputs = model(task.prepare(torch.from_numpy(part["inputs"]), None))
                correct.append(task.score(outputs, torch.from_numpy(part["targets"]))[:, 0, 0].numpy())
        assert np.concatenate(correct).mean(dtype=np.float64) == pytest.approx(accuracy, abs=1e-9)


def test_the_size_of_a_version_follows_its_active_connections(line: tuple[Location, str]) -> None:
    location, _ = line
    for card in list_versions(location):
        tensors = read_tensors(location, card)
        dense = sum(t.numel() * t.element_size() for key, t in tensors.items() if key.startswith("dense/"))
        expected = 4 * card.active_connections + card.total_connections / 8 + dense
        assert card.files[0].bytes <= 1.1 * expected


def test_a_rejected_candidate_leaves_the_head_and_is_not_tried_again(line: tuple[Location, str]) -> None:
    location, _ = line
    head = location.read_bytes("head.json")
    console, _ = make_console()
    # A learning rate this small and a cut this deep cannot hold the parent's accuracy.
    overrides = ["plan.density=0.01", "plan.epochs=1", "plan.lr=1e-6", "plan.batch_size=32"]
    settings = load_settings("lenet-300-100", None, overrides)
    # Without a group of workers: what one comes to reaches the line in the same file.
    with pytest.raises(RejectedError, match=r"v0002 from wednesday rejected: .*v0001 stays the head"):
        update(console, location, settings, runner=RayRunner(local=True))
    with pytest.raises(RejectedError, match="was tried with this plan before"):
        update(console, location, settings)
    assert location.read_bytes("head.json") == head
    assert [card.version for card in list_versions(location)] == ["v0000", "v0001"]


def test_a_loss_that_is_not_finite_ends_the_update_with_one_line(line: tuple[Location, str]) -> None:
    location, _ = line
    head = location.read_bytes("head.json")
    console, _ = make_console()
    settings = load_settings("lenet-300-100", None, ["plan.lr=1e30", "plan.clip_norm=null", "plan.batch_size=32"])
    with pytest.raises(
        RaygpError, match=r"the training loss became (nan|inf) in epoch 0: try a lower plan.lr"
    ) as error:
        update(console, location, settings)
    assert "\n" not in str(error.value)
    assert location.read_bytes("head.json") == head


def test_what_a_rollback_unfolds_is_folded_in_again_without_replay_from_its_own_shards_alone(
    tmp_path: Path, line: tuple[Location, str]
) -> None:
    copy = Location(str(tmp_path / "copy"))
    shutil.copytree(line[0].local_path(), copy.local_path())
    shutil.rmtree(copy.local_path("arrivals/wednesday"), ignore_errors=True)
    head = read_head(copy)
    assert head is not None
    rollback(copy, "v0000", head)
    monday, tuesday = find_manifests(copy, ["monday", "tuesday"])
    for shard in monday.shards_of("train"):
        copy.local_path(f"arrivals/monday/{shard.file}").unlink()
    console, _ = make_console()
    overrides = ["plan.batch_size=32", "plan.lr=0.05", "plan.epochs=1", "plan.arrival.share=1.0", "plan.fit=null"]
    without_replay = ["plan.replay.share=0", "plan.distillation.weight=0.5"]
    settings = load_settings("lenet-300-100", None, [*overrides, *without_replay])
    # Which shards are decoded does not depend on who trains on them.
    runner = RayRunner(local=True)
    (card,) = update(console, copy, settings.model_copy(update={"gate_tolerance": 1.0}), runner=runner)
    assert (card.version, card.parent, card.arrival) == ("v0002", "v0000", "tuesday")
    assert [card.version for card in list_versions(copy)] == ["v0000", "v0001", "v0002"]
    assert card.update.startswith("v0002-tuesday-") and not copy.exists("lease.json")
    # A growth pass and an epoch over the arrival, of whose last batch nothing is left over, with the parent's answers.
    new = tuesday.rows("train")
    assert card.drift is not None
    assert card.ledger.examples == pytest.approx(new + new // 32 * 32 * 4 / 3 + card.drift.ledger.examples)


def test_nothing_new_trains_nothing(
    tmp_path: Path, line: tuple[Location, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = line
    copy = tmp_path / "copy"
    shutil.copytree(source.local_path(), copy)
    shutil.rmtree(copy / "arrivals" / "wednesday", ignore_errors=True)
    monkeypatch.setattr("raygp.cluster.runner.ray_session", None)  # Touching Ray would raise.
    console, out = make_console()
    assert update(console, Location(str(copy)), load_settings("lenet-300-100")) == []
    assert "nothing new: v0001 has seen every arrival (2)" in out.getvalue()
