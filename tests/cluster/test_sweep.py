"""Sweeps for real: Tune trials that are Train runs of two workers each, on a line of few real digits."""

import io
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from ray.util.placement_group import placement_group_table
from rich.console import Console

from drills import line as running
from raygp.cli import main
from raygp.data.ingest import IngestSettings, ingest
from raygp.settings import RunSettings, load_settings
from raygp.store import Card, Location, list_versions, read_head, read_tensors
from tests.cluster.conftest import PLAN, TASK
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


@dataclass(frozen=True)
class Swept:
    """A sweep, and what it came to."""

    number: int
    """Of trials."""
    location: Location
    card: Card
    output: str


def settings_of(**sweep: object) -> RunSettings:
    return load_settings(TASK, None, list(PLAN), sweep=sweep)


def update(location: Location, settings: RunSettings, sweep: bool) -> tuple[Card, str]:
    out = io.StringIO()
    (card,) = running.update(Console(file=out, width=200, highlight=False), location, settings, sweep=sweep)
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


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.drill)])
def swept(request: pytest.FixtureRequest, waiting_line: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A sweep of so many trials of the plan's own point."""
    root = tmp_path_factory.mktemp("sweep") / "swept"
    shutil.copytree(waiting_line, root)
    settings = settings_of(trials=request.param, scheduler="none", space={"lr": {"choice": [0.05]}})
    return Swept(request.param, Location(str(root)), *update(Location(str(root)), settings, sweep=True))


def test_trials_of_two_workers_finish_and_a_sweep_of_one_point_is_a_plain_update(
    updated_line: Path, swept: Swept
) -> None:
    card = swept.card
    assert card.sweep is not None
    trials = card.sweep["trials"]
    assert [trial["state"] for trial in trials] == ["finished"] * swept.number
    plain_line = Location(str(updated_line))
    plain = list_versions(plain_line)[-1]
    assert card.mask_digest == plain.mask_digest
    ours, theirs = read_tensors(swept.location, card), read_tensors(plain_line, plain)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())
    assert {**card.plan, "name": ""} == {**plain.plan, "name": ""}
    # Shared work and all trials: a plain update, and for each further trial what training alone costs.
    # Drift was looked at once in both.
    assert card.drift is not None and plain.drift is not None
    looked = plain.drift.ledger.examples
    shared, spent = card.sweep["shared"]["examples"], plain.ledger.examples - looked
    assert shared > 0 and looked > 0
    assert card.ledger.examples == pytest.approx(looked + spent + (swept.number - 1) * (spent - shared))


def test_a_trial_shows_on_one_line_and_the_winner_says_why(swept: Swept) -> None:
    output = swept.output
    assert output.count("  trial ") == swept.number
    assert "lr=0.05: validation" in output
    assert f"wins: fewest connections of {swept.number} trials within 0.1 points of" in output
    assert "INFO" not in output and "WARNING" not in output
    (lines,) = [line for line in output.splitlines() if "computed once" in line]
    assert f"{swept.number} trials save up to" in lines


def test_nothing_of_a_sweep_is_left_but_what_it_reports(swept: Swept) -> None:
    location, card = swept.location, swept.card
    assert location.list("updates") == []
    head = read_head(location)
    assert head is not None and head.version == card.version == "v0001"
    assert location.read_bytes("reports/v0001-sweep.png").startswith(b"\x89PNG")
    events = [file.path for file in location.walk("reports/v0001-sweep") if "tfevents" in file.path]
    assert len(events) == swept.number
    assert not held_resources()


@pytest.mark.drill
def test_a_budget_in_plain_updates_ends_a_sweep_with_the_best_so_far(waiting_line: Path, tmp_path: Path) -> None:
    location = Location(str(shutil.copytree(waiting_line, tmp_path / "bounded")))
    space = {"lr": {"choice": [0.05]}}
    card, output = update(location, settings_of(trials=9, scheduler="none", space=space, max_cost="2.5x"), sweep=True)
    assert card.sweep is not None
    trials = card.sweep["trials"]
    finished = [trial for trial in trials if trial["state"] == "finished"]
    trained = finished[0]["ledger"]["examples"]
    limit = 2.5 * (card.sweep["shared"]["examples"] + trained)
    # Two at a time: two finish, the budget is spent while the next two are on their way: each reports after each of its
    # four epochs, and two reports spend what is left.
    assert len(finished) == 2 and len(trials) in (3, 4)
    assert limit * 0.97 <= card.ledger.examples <= limit + 2 * trained / 4
    assert "v0001: the sweep's budget of " in output and card.sweep["winner"] in {trial["name"] for trial in finished}
    assert not held_resources()


@pytest.mark.drill
@pytest.mark.parametrize("swept", [4], indirect=True)
def test_asha_with_optuna_starts_from_the_last_winner(swept: Swept, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    location, first = swept.location, swept.card
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
