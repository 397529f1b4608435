"""Sweeps for real: Tune trials that are Train runs of two workers each, on a line of few real digits."""

import io
import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from ray.util.placement_group import placement_group_table
from rich.console import Console

from raygp import app
from raygp.cli import main
from raygp.data.ingest import IngestSettings, ingest
from raygp.settings import RunSettings, load_settings
from raygp.store import Card, Location, list_versions, read_head, read_tensors
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TASK = "lenet-300-100"
PLAN = ["plan.batch_size=32", "plan.lr=0.05", "plan.epochs=4"]


def settings_of(**sweep: object) -> RunSettings:
    overrides = [*PLAN, "synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=6", "gate_tolerance=0.5"]
    return load_settings(TASK, None, overrides, sweep=sweep)


def update(location: Location, settings: RunSettings, sweep: bool) -> tuple[Card, str]:
    out = io.StringIO()
    (card,) = app.update(Console(file=out, width=200, highlight=False), location, settings, sweep=sweep)
    return card, out.getvalue()


def held_resources() -> list[object]:
    """Placement groups that are still there a while after a sweep: trials that were stopped left them."""
    held: list[object] = []
    for _ in range(20):
        groups = placement_group_table().values()
        held = [group["bundles"] for group in groups if group["state"] != "REMOVED"]
        if not held:
            break
        time.sleep(0.5)
    return held


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Path:
    """A line with one version and an arrival that waits."""
    root = tmp_path_factory.mktemp("sweep") / "root"
    location = Location(str(root))
    ingest(location, {"name": TASK}, FewDigits(0, 500), IngestSettings(["one"], [1.0], 0.2, 0.2))
    update(location, settings_of(), sweep=False)
    ingest(location, None, FewDigits(500, 800), IngestSettings(["two"], [1.0], 0.3, 0.2))
    return root


@pytest.fixture(scope="module")
def swept(root: Path) -> tuple[Location, Card, str]:
    """A sweep of four trials of the plan's own point."""
    location = Location(str(root.parent / "swept"))
    shutil.copytree(root, root.parent / "swept")
    settings = settings_of(trials=4, scheduler="none", space={"lr": {"choice": [0.05]}})
    return location, *update(location, settings, sweep=True)


def test_four_trials_of_two_workers_finish_and_a_sweep_of_one_point_is_a_plain_update(
    root: Path, swept: tuple[Location, Card, str]
) -> None:
    _, card, _ = swept
    assert card.sweep is not None
    trials = card.sweep["trials"]
    assert [trial["state"] for trial in trials] == ["finished"] * 4
    shutil.copytree(root, root.parent / "plain")
    plain_line = Location(str(root.parent / "plain"))
    plain, _ = update(plain_line, settings_of(), sweep=False)
    assert card.mask_digest == plain.mask_digest
    ours, theirs = read_tensors(swept[0], card), read_tensors(plain_line, plain)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())
    assert {**card.plan, "name": ""} == {**plain.plan, "name": ""}
    # Shared work and four trials: a plain update, and three times what training alone costs.
    shared = card.sweep["shared"]["examples"]
    assert shared > 0
    assert card.ledger.examples == pytest.approx(plain.ledger.examples + 3 * (plain.ledger.examples - shared))


def test_a_trial_shows_on_one_line_and_the_winner_says_why(swept: tuple[Location, Card, str]) -> None:
    _, _, output = swept
    assert output.count("  trial ") == 4
    assert "lr=0.05: validation" in output
    assert "wins: fewest connections of 4 trials within 0.1 points of" in output
    assert "INFO" not in output and "WARNING" not in output
    (lines,) = [line for line in output.splitlines() if "computed once" in line]
    assert "4 trials save up to" in lines


def test_nothing_of_a_sweep_is_left_but_what_it_reports(swept: tuple[Location, Card, str]) -> None:
    location, card, _ = swept
    assert location.list("updates") == []
    head = read_head(location)
    assert head is not None and head.version == card.version == "v0001"
    assert location.read_bytes("reports/v0001-sweep.png").startswith(b"\x89PNG")
    events = [file.path for file in location.walk("reports/v0001-sweep") if "tfevents" in file.path]
    assert len(events) == 4


def test_a_budget_in_plain_updates_ends_a_sweep_with_the_best_so_far(root: Path) -> None:
    shutil.copytree(root, root.parent / "bounded")
    location = Location(str(root.parent / "bounded"))
    space = {"lr": {"choice": [0.05]}}
    card, output = update(location, settings_of(trials=9, scheduler="none", space=space, max_cost="1.8x"), sweep=True)
    assert card.sweep is not None
    trials = card.sweep["trials"]
    finished = [trial for trial in trials if trial["state"] == "finished"]
    trained = finished[0]["ledger"]["examples"]
    limit = 1.8 * (card.sweep["shared"]["examples"] + trained)
    # Two at a time: two finish, the budget is spent while the next two are on their way: each reports after each of its
    # four epochs, and two reports spend what is left.
    assert len(finished) == 2 and len(trials) in (3, 4)
    assert limit * 0.97 <= card.ledger.examples <= limit + 2 * trained / 4
    assert "v0001: the sweep's budget of " in output and card.sweep["winner"] in {trial["name"] for trial in finished}
    assert not held_resources()


def test_asha_with_optuna_starts_from_the_last_winner(
    swept: tuple[Location, Card, str], capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    location, first, _ = swept
    ingest(location, None, FewDigits(800, 1000), IngestSettings(["three"], [1.0], 0.3, 0.2))
    space = {"lr": {"loguniform": [0.01, 0.1]}}
    settings = settings_of(trials=3, search="optuna", space=space)
    dry = [
        "sweep", "--dry-run", "--root", location.root, "--max-trials", "3", "--search", "optuna", "--max-cost", "5x",
        *PLAN, f"sweep.space={json.dumps(space)}",
    ]  # fmt: skip
    before = sorted(file.path for file in location.walk(""))
    assert main(dry) == 0
    output = capfd.readouterr().out
    assert "three on v0001: 3 trials, optuna search" in output and "tried first, to its end: lr=0.05" in output
    assert "learns from 4 trials of earlier sweeps" in output
    assert "expected cost in examples" in output and "budgets: no limit in hours, at most " in output
    assert sorted(file.path for file in location.walk("")) == before
    card, _ = update(location, settings, sweep=True)
    assert "study" not in capfd.readouterr().err
    assert card.sweep is not None and first.sweep is not None
    trials = card.sweep["trials"]
    assert len(trials) == 3
    assert not held_resources()
    own = next(trial for trial in trials if trial["point"] == {"lr": 0.05})
    assert own["state"] == "finished"
    assert [version.version for version in list_versions(location)] == ["v0000", "v0001", "v0002"]
    assert main(["show", "v0002", "--root", location.root]) == 0
    shown = capfd.readouterr().out
    assert card.sweep["why"] in shown
