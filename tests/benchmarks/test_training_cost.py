"""The cost protocol: reaching a reference, recipes, runs that are killed and go on."""

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from benchmarks import tune_baselines
from benchmarks.cost.methods import FROM_SCRATCH, METHODS, RECIPES, default_updates, make_method, read_recipes
from benchmarks.cost.narrow import narrowed
from benchmarks.cost.protocol import (
    cost_until_reached,
    cut,
    markdown_row,
    orders_row,
    reference_accuracy,
    with_reached,
)
from benchmarks.cost.runs import Key, is_of, run_method, run_name
from benchmarks.cost.spaces import SPACES, recipes_of
from benchmarks.cost.workloads import TASKS, Workload, load_workload
from benchmarks.training_cost import run_all, write_rows
from benchmarks.tune_baselines import Search, tune
from raygp.errors import InputError
from raygp.events import EpochEnded, Event
from raygp.update.plans import named_plan

RECIPE = {"epochs": 2, "batch_size": 32, "fit": None}
THEN = {"replay": {"share": 0.15, "hard": 1.0}, "arrival": {"share": 0.3, "hard": 1.0}}
"""What raygp 0.1.0 chose where a recipe said nothing."""


def point(examples: float, val: float, density: float = 1.0) -> dict[str, float]:
    return {
        "examples": examples, "sparse_flops": 10 * examples, "worker_seconds": 1.0, "cpu_seconds": 1.0,
        "val_accuracy": val, "density": density,
    }  # fmt: skip


def row(method: str, seed: int, *curve: dict[str, float], active: int = 100) -> dict[str, Any]:
    return {"method": method, "seed": seed, "curve": list(curve), "active_connections": active,
            "total_connections": 100, **{k: v for k, v in curve[-1].items() if k != "density"}}  # fmt: skip


def test_the_reference_is_the_best_dense_recipes_mean_over_seeds() -> None:
    rows = [
        row("best", 0, point(1, 0.90), point(2, 0.98)),
        row("best", 1, point(1, 0.97), point(2, 0.96)),
        row("tfs", 0, point(1, 0.96)),
        row("raygp", 0, point(1, 0.99)),
    ]
    assert reference_accuracy(rows) == pytest.approx(0.975)
    assert reference_accuracy(rows[3:]) is None


def test_cost_counts_until_accuracy_and_density_are_both_reached() -> None:
    run = row("raygp", 0, point(1, 0.98, 0.3), point(2, 0.97, 0.1), point(3, 0.98, 0.1), point(4, 0.99, 0.1), active=10)
    assert cost_until_reached(run, 0.98)[0]["examples"] == 3
    assert cost_until_reached(run, 0.981)[0]["examples"] == 3  # A tenth of a point below is near enough.
    assert cost_until_reached(run, 0.9811)[0]["examples"] == 4
    spent, reached = cost_until_reached(run, 0.999)
    assert not reached and spent["examples"] == 4


def test_a_later_reference_is_applied_to_the_whole_run_again() -> None:
    run = row("tfs", 0, point(1, 0.95), point(2, 0.97), point(3, 0.98))
    early = with_reached(run, 0.95)
    assert (early["examples"], early["reached"], early["total"]["examples"]) == (1, True, 3)
    late = with_reached(early, 0.98)
    assert (late["examples"], late["reached"]) == (3, True)
    never = with_reached(late, 0.999)
    assert (never["examples"], never["reached"]) == (3, False)


def test_a_cut_compares_means() -> None:
    ours, theirs = [{"examples": 1.0}, {"examples": 2.0}], [{"examples": 6.0}]
    assert cut(ours, theirs, "examples") == pytest.approx(75.0)
    assert cut(ours, [], "examples") is None


def finished(method: str, processor: str, *, examples: float = 1.0, reached: bool = True) -> dict[str, Any]:
    return row(method, 0, point(examples, 0.98), active=10) | {
        "new_share": 0.5, "test_accuracy": 0.97, "train_rows": 2, "reached": reached,
        "processor": processor, "precision": "fp32",
    }  # fmt: skip


def test_a_line_for_the_readme_puts_cuts_in_brackets_where_the_reference_was_missed() -> None:
    rows = [finished(name, "AVX2", examples=8.0) for name in ("tfs", "nft", "gp-fs")]
    line = markdown_row([*rows, finished("raygp", "AVX2", examples=2.0)], 0.5, "digits")
    assert line == (
        "| digits, 50% | 4.00 / 4.00 / 4.00 / 1.00 | 98.00 / 98.00 / 98.00 / 98.00 | 97.00 / 97.00 / 97.00 / 97.00 "
        "| 10 of 100 | 75 / 75 / 0 | 75 / 75 / 0 | 75 / 75 / 0 | 1/1 |"
    )
    missed = markdown_row([*rows, finished("raygp", "AVX2", examples=2.0, reached=False)], 0.5, "digits")
    assert "| (75 / 75 / 0) |" in missed and missed.endswith("| 0/1 |")
    with pytest.raises(InputError, match=r"no run of gp-fs, raygp at share 0\.5"):
        markdown_row(rows[:2], 0.5, "digits")


def test_the_papers_order_has_a_line_beside_ours() -> None:
    rows = [finished("raygp", "AVX2", examples=2.0), finished("paper", "AVX2", examples=6.0, reached=False)]
    line = "| digits, 50% | 1.00 / 3.00 | 98.00 / 98.00 | 97.00 / 97.00 | 1/1 and 0/1 |"
    assert orders_row(rows, 0.5, "digits") == line
    with pytest.raises(InputError, match=r"no run of paper at share 0\.5"):
        orders_row(rows[:1], 0.5, "digits")


def test_seconds_of_different_processors_are_not_compared() -> None:
    rows = [finished(name, "AVX2", examples=8.0) for name in ("tfs", "nft", "gp-fs")]
    assert "| 75 / 75 / - |" in markdown_row([*rows, finished("raygp", "AVX512", examples=2.0)], 0.5, "digits")


def test_a_run_on_a_gpu_is_charged_the_seconds_that_passed() -> None:
    rows = [finished(name, "H200", examples=8.0) for name in ("tfs", "nft", "gp-fs", "raygp")]
    for row in rows:
        row |= {"device": "cuda", "cpu_seconds": 1.0, "worker_seconds": 2.0 if row["method"] == "raygp" else 10.0}
    assert "| 0 / 0 / 80 |" in markdown_row(rows, 0.5, "digits")
    assert "| 0 / 0 / 0 |" in markdown_row([row | {"device": "cpu"} for row in rows], 0.5, "digits")


def test_recipes_are_all_of_a_space_or_a_seeded_draw() -> None:
    space = {"epochs": [1, 2, 3], "optimizer.weight_decay": [0.0, 1e-4]}
    every = recipes_of(space, 6, seed=0)
    assert len(every) == 6 and every[1] == {"epochs": 1, "optimizer": {"weight_decay": 1e-4}}
    some = recipes_of(space, 3, seed=0)
    assert len(some) == 3 and all(recipe in every for recipe in some) and some == recipes_of(space, 3, seed=0)


@pytest.mark.parametrize("workload", TASKS)
def test_every_recipe_that_is_recorded_or_searched_makes_a_plan(workload: str) -> None:
    task = TASKS[workload]["name"]
    for method, space in SPACES[workload].items():
        for recipe in recipes_of(space, 50, seed=0):
            make_method(method, task, {method: recipe}, 0.5)
    for method in METHODS:
        made = make_method(method, task, read_recipes(workload), 0.5)
        assert made.incremental == (method not in FROM_SCRATCH)
        if method in ("best", "tfs", "nft"):
            assert made.plan.density == 1.0 and made.plan.replay.share == made.plan.arrival.share == 1.0


@pytest.mark.parametrize("workload", TASKS)
def test_recorded_trials_are_of_the_search_space(workload: str) -> None:
    space = {method: recipes_of(space, sys.maxsize, seed=0) for method, space in SPACES[workload].items()}
    trials = [json.loads(line) for line in (RECIPES / f"{workload}.search.jsonl").read_text().splitlines()]
    assert trials and [trial for trial in trials if trial["recipe"] not in space[trial["method"]]] == []


@pytest.mark.parametrize("workload", TASKS)
def test_fine_tuning_has_nothing_of_the_default_plan_unless_its_recipe_says_so(workload: str) -> None:
    plan = make_method("nft", TASKS[workload]["name"], {"nft": {"distillation": {"weight": 0.5}}}, 0.1).plan
    assert (plan.shrink, plan.distillation.weight_for(9, 1), plan.density) == (1.0, 0.5, 1.0)
    assert make_method("nft", TASKS[workload]["name"], {}, 0.1).plan.distillation.weight_for(9, 1) == 0.0


@pytest.mark.parametrize("workload", list(TASKS))
def test_the_default_plan_can_be_measured_whatever_was_tuned(workload: str) -> None:
    task, recipes = TASKS[workload]["name"], read_recipes(workload)
    method = make_method("raygp", task, default_updates(recipes), 0.1)
    assert method.plan == named_plan("default", "update", task)
    assert method.parent == make_method("gp-fs", task, {"gp-fs": recipes["parent"]}, 1.0).plan
    assert method.plan != make_method("raygp", task, recipes, 0.1).plan


def test_narrow_networks_are_the_widest_that_are_no_larger_than_the_sparse_one(digits: Workload) -> None:
    narrow = {measure: narrowed(digits, measure).task.build_model(10) for measure in ("connections", "arithmetic")}
    weights = {
        measure: sum(weight.numel() for name, weight in model.named_parameters() if name.endswith("weight"))
        for measure, model in narrow.items()
    }
    # 33 units for 300 and 11 for 100; without convolutions, arithmetic goes with weights.
    assert weights == {"connections": 784 * 33 + 33 * 11 + 11 * 10, "arithmetic": 784 * 52 + 52 * 17 + 17 * 10}
    assert narrowed(digits, None) is digits


def test_a_narrow_baseline_is_a_dense_plan_whose_parent_is_as_narrow() -> None:
    recipes = {"best": {"epochs": 9}, "few-tfs": {"epochs": 30}, "few-nft": {0.5: {"epochs": 3}}}
    made = make_method("few-nft", "lenet-5", recipes, 0.5)
    assert made.parent is not None
    assert (made.name, made.narrow, made.plan.epochs, made.parent.epochs) == ("few-nft", "connections", 3, 30)
    assert made.plan.density == made.parent.density == 1.0
    fast = make_method("fast-tfs", "lenet-5", recipes, 1.0)
    assert fast.narrow == "arithmetic"
    # Networks of different sizes with one plan are two runs.
    row = {"plan": fast.plan.model_dump(mode="json"), "parent_plan": None, "narrow": "arithmetic"}
    assert is_of(row, fast) and not is_of(row | {"narrow": "connections"}, fast)
    assert not is_of(row, make_method("tfs", "lenet-5", {}, 1.0))


def test_a_workload_without_recipes_says_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.cost.methods.RECIPES", tmp_path)
    with pytest.raises(InputError, match=r"run benchmarks/tune_baselines.py --workload lenet-5 first"):
        read_recipes("lenet-5")
    assert RECIPES.is_dir()


@pytest.fixture(scope="module")
def digits() -> Workload:
    return load_workload("lenet-300-100", "digits", task={"augment": "none"})


def test_a_split_is_stratified_and_its_validation_rows_are_the_same_for_every_seed(digits: Workload) -> None:
    first, second = digits.split(0.25, 1), digits.split(0.25, 2)
    assert np.array_equal(first.val, second.val) and not np.array_equal(first.new, second.new)
    whole = np.concatenate([first.old, first.new, first.val])
    assert sorted(whole.tolist()) == list(range(len(digits.train)))
    labels = digits.train.targets.numpy()
    for rows, share in ((first.val, 1 / 6), (first.new, 0.25 * 5 / 6)):
        counts = np.bincount(labels[rows], minlength=10)
        assert np.abs(counts - share * np.bincount(labels)).max() <= 1.5


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ["tfs", "raygp"])
def test_a_killed_run_goes_on_and_ends_in_the_same_row(digits: Workload, tmp_path: Path, name: str) -> None:
    torch.set_num_threads(1)
    method = make_method(name, "lenet-300-100", {name: RECIPE, "parent": RECIPE}, 0.5)
    key = Key("lenet-300-100", name, 0.5, 3)
    whole = run_method(digits, method, key, tmp_path / "whole")

    def kill(what: str, event: Event) -> None:
        if what == name and isinstance(event, EpochEnded) and event.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        run_method(digits, method, key, tmp_path / "killed", watch=kill)
    epochs: list[int] = []

    def note_epochs(what: str, event: Event) -> None:
        if what == name and isinstance(event, EpochEnded):
            epochs.append(event.epoch)

    resumed = run_method(digits, method, key, tmp_path / "killed", watch=note_epochs)
    assert epochs == [2]
    timeless = ("examples", "sparse_flops", "val_accuracy", "test_accuracy", "active_connections", "plan")
    assert {k: resumed[k] for k in timeless} == {k: whole[k] for k in timeless}
    assert [p["val_accuracy"] for p in resumed["curve"]] == [p["val_accuracy"] for p in whole["curve"]]
    assert resumed["cpu_seconds"] > 0 and json.dumps(resumed)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("tfs", "tfs-0.5-3-060476ea"),
        ("raygp", "raygp-0.5-3-e3c905e2-92a494d1"),
        ("paper", "paper-0.5-3-408a5a26-92a494d1"),
    ],
)
def test_runs_and_parents_of_raygp_0_1_0_are_found_again(name: str, folder: str) -> None:
    recipe = RECIPE | (THEN if name == "raygp" else {})
    method = make_method(name, "lenet-300-100", {name: recipe, "parent": RECIPE}, 0.5)
    assert run_name(Key("lenet-300-100", name, 0.5, 3), method) == folder


def run_options(method: str, out: Path) -> argparse.Namespace:
    return argparse.Namespace(
        method=method, new_share="0.5", seeds=1, first_seed=0, out=out, device="cpu", precision="fp32", ray=False
    )


def test_a_run_is_repeated_only_if_its_recipe_has_changed(digits: Workload, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    options = run_options("raygp", tmp_path)
    recipes = {"raygp": {0.5: RECIPE}, "parent": RECIPE}
    said = io.StringIO()

    def again(recipes: dict[str, Any]) -> dict[str, Any]:
        (only,) = run_all(digits, recipes, options, Console(file=said, width=160))
        return only

    first = again(recipes)
    first["plan"].pop("distillation")  # As in the row of a version that had no such field.
    write_rows(tmp_path / "lenet-300-100.jsonl", [first])
    assert again(recipes) == first and "another recipe" not in said.getvalue()
    other = again(recipes | {"raygp": {0.5: RECIPE | {"lr": 0.05}}})
    assert other["plan"]["lr"] == 0.05 and said.getvalue().count("raygp share 0.5 seed 0: had another recipe") == 1
    parent = again(recipes | {"raygp": {0.5: RECIPE | {"lr": 0.05}}, "parent": RECIPE | {"lr": 0.05}})
    assert parent["plan"] == other["plan"] and parent["parent_plan"] != other["parent_plan"]


def test_two_methods_with_one_recipe_share_a_run(digits: Workload, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    options = run_options("best,tfs", tmp_path)
    best, tfs = run_all(digits, {"best": RECIPE, "tfs": RECIPE}, options, Console(quiet=True))
    assert (best["method"], tfs["method"]) == ("best", "tfs")
    assert tfs["worker_seconds"] == best["worker_seconds"]  # Two runs would differ.
    other = run_all(digits, {"best": RECIPE, "tfs": RECIPE | {"lr": 0.05}}, options, Console(quiet=True))[-1]
    assert other["plan"]["lr"] == 0.05


def test_a_recipe_that_leaves_its_parent_as_it_is_does_not_win(digits: Workload, tmp_path: Path) -> None:
    search = Search(digits, "fp32", 1, tmp_path, Console(quiet=True))

    def trial(lr: float, examples: float, val: float, parent: float | None) -> dict[str, Any]:
        return row("raygp", 100, point(examples, val)) | {
            "recipe": {"lr": lr}, "new_share": 0.1, "parent_val_accuracy": parent
        }  # fmt: skip

    idle, short, better = trial(0.0, 1, 0.979, 0.979), trial(0.1, 2, 0.97, 0.96), trial(0.2, 3, 0.982, 0.979)
    search.trials = [idle, short, better]
    assert search.cheapest("raygp", 0.1, 0.98) == {"lr": 0.2}
    search.trials = [idle | {"parent_val_accuracy": None}, short, better]
    assert search.cheapest("raygp", 0.1, 0.98) == {"lr": 0.0}  # Unknown parents are given the benefit of the doubt.
    search.trials = [idle]
    assert search.cheapest("raygp", 0.1, 0.98) == {"lr": 0.0}


def test_a_recipe_must_reach_the_reference_by_more_than_its_standard_error(digits: Workload, tmp_path: Path) -> None:
    search = Search(digits, "fp32", 2, tmp_path, Console(quiet=True))

    def trials(lr: float, examples: float, values: tuple[float, float]) -> list[dict[str, Any]]:
        return [
            row("raygp", seed, point(examples, val)) | {"recipe": {"lr": lr}, "new_share": 0.5}
            for seed, val in zip((100, 101), values, strict=True)
        ]

    lucky, steady = trials(0.1, 1, (0.990, 0.970)), trials(0.2, 3, (0.981, 0.981))
    search.trials = [*lucky, *steady]
    assert search.cheapest("raygp", 0.5, 0.98) == {"lr": 0.2}
    search.trials = [*trials(0.1, 1, (0.982, 0.981)), *steady]
    assert search.cheapest("raygp", 0.5, 0.98) == {"lr": 0.1}


def test_the_same_plan_from_another_parent_is_another_run(digits: Workload, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    key = Key("lenet-300-100", "raygp", 0.5, 3)
    rows = [
        run_method(
            digits, make_method("raygp", "lenet-300-100", {"raygp": RECIPE, "parent": parent}, 0.5), key, tmp_path
        )
        for parent in (RECIPE, {**RECIPE, "epochs": 4})
    ]
    assert rows[0]["plan"] == rows[1]["plan"]
    assert rows[0]["parent_val_accuracy"] != rows[1]["parent_val_accuracy"]


def test_tuning_one_share_keeps_what_was_chosen_for_others(
    digits: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(tune_baselines, "RECIPES", tmp_path)
    one = {"epochs": [1], "lr": [0.1]}
    monkeypatch.setitem(SPACES, "lenet-300-100", {"tfs": one, "nft": {"epochs": [1], "lr": [0.01, 0.1]}})

    def searched(names: list[str], shares: list[float]) -> dict[str, Any]:
        search = Search(digits, "fp32", 1, tmp_path / "runs", Console(quiet=True))
        tune(search, names, trials=2, shares=shares)
        return yaml.safe_load((tmp_path / "lenet-300-100.yaml").read_text())

    before = searched(["tfs", "nft"], [0.5])
    assert list(before["nft"]) == [0.5] and before["best"] == {"epochs": 1, "lr": 0.1}
    after = searched(["nft"], [0.1])
    assert set(after["nft"]) == {0.5, 0.1} and after["nft"][0.5] == before["nft"][0.5]
    assert {k: v for k, v in after.items() if k != "nft"} == {k: v for k, v in before.items() if k != "nft"}
    lines = (tmp_path / "lenet-300-100.search.jsonl").read_text().splitlines()
    searched(["tfs", "nft"], [0.5, 0.1])
    assert (tmp_path / "lenet-300-100.search.jsonl").read_text().splitlines() == lines  # Trials are not repeated.


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(digits: Workload, tmp_path: Path) -> None:
    method = make_method("tfs", digits.task.name, {"tfs": RECIPE}, 1.0, "fp32")
    with pytest.raises(InputError, match="no GPU"):
        run_method(digits, method, Key("digits", "tfs", 1.0, 0), tmp_path, "cuda")
    assert not list(tmp_path.iterdir())
