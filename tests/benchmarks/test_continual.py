"""Classes that arrive two at a time: the stream, the methods, runs that are not repeated."""

import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks import continual
from benchmarks.cost.spaces import recipes_of
from benchmarks.stream import methods
from benchmarks.stream.arrivals import Stream, forgetting, labels_of, load_stream, register_task
from benchmarks.stream.chain import plan_for
from benchmarks.stream.dense import CHOICES, learning_rate, uniform
from benchmarks.stream.methods import METHODS, PEERS, RECIPES, is_of, read_recipes, recipe_of, run
from benchmarks.stream.spaces import SPACES
from raygp.data.resident import Examples
from raygp.errors import InputError
from raygp.tasks import TASKS, ImageTask, make_task

ROWS_EACH = 200
AVALANCHE = importlib.util.find_spec("avalanche") is not None


@pytest.fixture(scope="module", autouse=True)
def task() -> Iterator[None]:
    """The benchmark's task, for these tests alone."""
    register_task()
    yield
    TASKS.forget("mlp-100-100")


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Four classes, each a bright bar at its own height under noise."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)

    def examples(each: int) -> Examples:
        labels = np.repeat(np.arange(4), each)
        pixels = generator.integers(0, 160, (len(labels), 1, 28, 28))
        for row, label in enumerate(labels):
            pixels[row, 0, 7 * label : 7 * label + 5] += 60
        return Examples(torch.from_numpy(pixels.astype(np.uint8)), torch.from_numpy(labels))

    task = make_task({"name": "mlp-100-100", "image_size": 28, "channels": 1})
    assert isinstance(task, ImageTask)
    first, second = np.split(np.arange(4 * ROWS_EACH), 2)
    held_out = {"val": examples(10), "test": examples(20)}
    return Stream(task, ("a", "b", "c", "d"), examples(ROWS_EACH), (first, second), held_out)


def silent(arrival: int, after: dict[str, list[float]]) -> None:
    pass


def test_forgetting_is_the_best_ever_less_the_last_by_class() -> None:
    assert forgetting([[0.9, 1.0], [0.95, 0.6, 0.8, 0.7], [0.5, 0.8, 0.9, 0.6, 0.9, 0.9]]) == pytest.approx(
        (0.45 + 0.2 + 0.0 + 0.1 + 0.0 + 0.0) / 6
    )


def test_a_source_is_dealt_out_two_classes_at_a_time() -> None:
    stream = load_stream("digits")
    assert len(stream.arrivals) == 5 and stream.classes == tuple("0123456789")
    labels = labels_of(stream.train)
    for number, rows in enumerate(stream.arrivals):
        assert set(labels[rows].tolist()) == {2 * number, 2 * number + 1}
    assert stream.rows + len(stream.held_out["val"]) == len(stream.train)
    assert set(labels_of(stream.seen("val", 1)).tolist()) == {0, 1, 2, 3}
    assert "test" not in load_stream("digits", test=False).held_out


def test_uniform_and_replay_spend_twice_the_arrival_and_uniform_prefers_no_row(stream: Stream) -> None:
    generator = np.random.default_rng(0)
    steps = list(uniform(stream, 1, generator))
    assert {len(step) for step in steps} == {20} and len(steps) == 2 * 2 * ROWS_EACH / 20
    assert len(np.unique(np.concatenate(steps))) == 4 * ROWS_EACH  # As many as there are: each once.
    assert [len(step) for step in CHOICES["replay-all"](stream, 1, generator)] == [20] * (2 * ROWS_EACH // 10)
    assert [list(CHOICES["joint"](stream, 0, generator))] == [[]]


def test_a_cycle_rises_and_falls_within_an_arrival() -> None:
    rates = [learning_rate({"lr": 1.0, "schedule": "cycle"}, done) for done in (0.0, 0.1, 0.55, 1.0)]
    assert rates == pytest.approx([0.1, 1.0, 0.5, 0.0])
    assert learning_rate({"lr": 0.3}, 0.9) == 0.3


@pytest.mark.parametrize("method", ["fine-tuning", "uniform", "joint"])
def test_dense_methods_forget_unless_they_see_old_examples(stream: Stream, method: str) -> None:
    row = run(method, stream, {"lr": 0.05}, 0, silent)
    forgot = row["test_forgetting"]
    if method == "joint":
        assert forgot is None
    else:
        assert (forgot > 0.3) == (method == "fine-tuning")
    assert row["test_accuracy"] > (0.4 if method == "fine-tuning" else 0.9)
    assert row["active_connections"] == row["total_connections"] == 784 * 100 + 100 * 100 + 100 * 4
    assert json.loads(json.dumps(row)) == row


RECIPE = {
    "phases": [{"kind": "grow-new", "epochs": 0}, {"kind": "prune-permanent", "gradual": True}],
    "epochs": 1, "batch_size": 10, "lr": 0.05, "alpha": 1.0, "distribution": "global",
    "arrival": {"share": 1.0, "hard": 0.0}, "replay": {"hard": 0.0}, "replayed": 0.5,
    "synthesis": {"seed_density": 0.5},
}  # fmt: skip


def test_raygp_ends_at_its_density_with_all_classes_and_charges_what_it_saw(stream: Stream) -> None:
    row = run("raygp", stream, RECIPE, 0, silent)
    assert row["active_connections"] == pytest.approx(0.1 * row["total_connections"], abs=1)
    assert row["test_accuracy"] > 0.9 and len(row["after"][-1]["test"]) == 4
    # The growth pass sees every row of an arrival this small; half of an arrival is replayed.
    arrival = 2 * ROWS_EACH
    assert row["spent"]["examples"] == [2 * arrival, 2 * arrival + arrival / 2]
    assert run("raygp", stream, RECIPE, 0, silent)["after"] == row["after"]
    assert is_of(json.loads(json.dumps(row)), stream, RECIPE) and not is_of(row, stream, RECIPE | {"lr": 0.1})


def test_replayed_counts_in_sizes_of_the_arrival(stream: Stream) -> None:
    assert plan_for(stream, 1, RECIPE).replay.share == 0.5
    assert plan_for(stream, 1, RECIPE | {"replayed": 3.0}).replay.share == 1.0
    assert plan_for(stream, 0, RECIPE).seed_density == 0.5


def test_finished_runs_are_not_repeated_unless_their_recipe_changed(stream: Stream, tmp_path: Path) -> None:
    said = io.StringIO()
    console, file = Console(file=said, width=160), tmp_path / "runs" / "continual.jsonl"
    first = continual.make_runs([("uniform", {"lr": 0.1}, 0)], stream, file, console)
    (tmp_path / "runs" / "continual.jsonl").open("a").write('{"method": "uni')  # Killed while it wrote.
    assert continual.make_runs([("uniform", {"lr": 0.1}, 0)], stream, file, console) == first
    assert said.getvalue().count("[1/1] uniform seed 0: val") == 1
    other = continual.make_runs([("uniform", {"lr": 0.2}, 0), ("uniform", {"lr": 0.1}, 0)], stream, file, console)
    assert other[1] == first[0] and other[0]["recipe"] == {"lr": 0.2}
    continual.show(other[1:], console, markdown=False)
    assert "uniform over all stored" in said.getvalue()


def test_a_search_records_the_best_recipe_and_keeps_those_of_others(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (continual, methods):
        monkeypatch.setattr(module, "RECIPES", tmp_path / "continual.yaml")
    monkeypatch.setitem(SPACES, "uniform", {"lr": [1e-6, 0.1]})
    (tmp_path / "continual.yaml").write_text("joint: {lr: 0.5}\n")
    continual.search(["uniform"], stream, range(100, 101), tmp_path / "trials.jsonl", Console(quiet=True))
    assert read_recipes() == {"joint": {"lr": 0.5}, "uniform": {"lr": 0.1}}
    assert len((tmp_path / "trials.jsonl").read_text().splitlines()) == 2


@pytest.mark.skipif(AVALANCHE, reason="avalanche-lib is installed")
def test_without_avalanche_it_says_how_to_get_the_peers(stream: Stream) -> None:
    with pytest.raises(InputError, match=r"er needs avalanche-lib .*pip install avalanche-lib==0\.6\.0.*--method"):
        run("er-500", stream, {"lr": 0.1}, 0, silent)


@pytest.mark.skipif(not AVALANCHE, reason="needs avalanche-lib, an optional extra")
@pytest.mark.parametrize("method", ["er-500", "der++-500", "gdumb-500"])
def test_peers_remember(stream: Stream, method: str) -> None:
    recipe = {"lr": 0.05, "alpha": 0.1, "beta": 0.5, "epochs": 1}
    row = run(method, stream, recipe, 0, silent)
    assert np.mean(row["after"][-1]["test"][:2]) > 0.5


def test_every_recorded_recipe_is_of_its_space_and_unknown_methods_are_named(stream: Stream) -> None:
    recipes: dict[str, Any] = read_recipes()
    for method in METHODS:
        recipe = recipe_of(recipes, method)
        if method in SPACES:
            assert recipe in recipes_of(SPACES[method], sys.maxsize, seed=0), method
        if method not in PEERS and method not in CHOICES:
            assert plan_for(stream, 1, recipe).density == 0.1
    with pytest.raises(InputError, match="unknown method 'erx'; known are fine-tuning"):
        recipe_of(recipes, "erx")
    assert RECIPES.exists()
