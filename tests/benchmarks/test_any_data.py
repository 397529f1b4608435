"""The matrix of data sets and arrivals: how arrivals are cut, how rows are compared, and one cell for real."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.anydata.arrivals import KINDS, data_of, parts
from benchmarks.anydata.datasets import Loaded, load, mislabelled
from benchmarks.anydata.methods import METHODS
from benchmarks.anydata.runs import run_cell
from benchmarks.anydata.tables import against_baseline, markdown_rows, summary_row
from benchmarks.training_cost import read_rows


@pytest.fixture(scope="module")
def digits() -> Loaded:
    return load("digits", Path("nowhere"))


@pytest.mark.parametrize("kind", list(KINDS))
def test_arrivals_share_no_row_and_leave_none_out(digits: Loaded, kind: str) -> None:
    cut = parts(digits, kind, seed=0)
    assert len(cut) == (11 if kind == "ten-in-a-row" else 2)
    rows = sum(len(part.train) + len(part.val) for part in cut)
    if kind == "unbalanced":
        assert rows < len(digits.train)
        counts = np.bincount(cut[1].train.targets.numpy())
        assert counts.max() > 10 * counts.min()
    else:
        assert rows == len(digits.train) and sum(len(part.test) for part in cut) == len(digits.test)


def test_new_classes_are_unknown_before(digits: Loaded) -> None:
    first, second = parts(digits, "8+2-classes", seed=0)
    assert (first.classes, second.classes) == (8, 10)
    assert int(first.train.targets.max()) == 7 and int(second.train.targets.min()) == 8


def test_a_shift_changes_what_is_new_and_only_that(digits: Loaded) -> None:
    plain, brighter = (parts(digits, kind, seed=0) for kind in ("quarter", "brighter"))
    assert torch.equal(plain[0].train.inputs, brighter[0].train.inputs)
    for split in ("train", "val", "test"):
        before, after = getattr(plain[1], split).inputs.float(), getattr(brighter[1], split).inputs.float()
        assert after.mean() > before.mean() + 10


def test_wrong_labels_are_trained_on_and_never_measured_with(digits: Loaded) -> None:
    plain, wrong = (parts(digits, kind, seed=0) for kind in ("quarter", "wrong-labels"))
    assert 0.1 < float((plain[1].train.targets != wrong[1].train.targets).float().mean()) < 0.3
    assert torch.equal(plain[1].val.targets, wrong[1].val.targets)
    labels = np.arange(1000) % 10
    changed = mislabelled(labels, 0.1, 10, seed=1)
    assert 60 < (changed != labels).sum() < 140 and set(changed) == set(range(10))


def test_held_out_rows_are_grouped_by_the_arrival_that_brought_them(digits: Loaded) -> None:
    cut = parts(digits, "tenth", seed=0)
    data = data_of(cut[:1], cut[1])
    groups = data.groups("val")
    assert list(groups) == ["arrival 0", "arrival 1"] and groups["arrival 1"].start == len(cut[0].val)
    assert (data.old_rows, data.new_rows) == (len(cut[0].train), len(cut[1].train))


def test_a_cell_runs_every_method_and_charges_it(digits: Loaded, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    cut = parts(digits, "8+2-classes", seed=0)
    rows = [
        run_cell(digits, "8+2-classes", cut, name, METHODS[name]("lenet-300-100"), 0, tmp_path)
        for name in ("raygp", "fine-tuning", "scratch")
    ]
    raygp, tuned, scratch = rows
    assert raygp["density"] == pytest.approx(0.1, abs=0.001) and tuned["density"] == scratch["density"] == 1.0
    assert raygp["sparse_flops"] < tuned["sparse_flops"] and scratch["parent_val_accuracy"] is None
    assert raygp["promoted"] and raygp["rungs"][-1]["promoted"]
    # Both have learnt the new classes: without them, 80 % is the most.
    assert raygp["test_accuracy"] > 0.9 and tuned["test_accuracy"] > 0.9
    again = run_cell(digits, "8+2-classes", cut, "raygp", METHODS["raygp"]("lenet-300-100"), 0, tmp_path)
    assert {**again, "cpu_seconds": 0} == {**raygp, "cpu_seconds": 0}


def row(method: str, test: float, examples: float, promoted: bool, seed: int = 0, data: str = "a") -> dict[str, object]:
    return {
        "data": data, "arrival": "half", "method": method, "seed": seed, "test_accuracy": test, "examples": examples,
        "sparse_flops": examples, "promoted": promoted,
    }  # fmt: skip


def test_methods_are_compared_cell_by_cell_with_fine_tuning() -> None:
    rows = [
        row("fine-tuning", 0.90, 100, True), row("raygp", 0.89, 50, False),
        row("fine-tuning", 0.90, 100, True, data="b"), row("raygp", 0.92, 200, True, data="b"),
        row("raygp", 0.10, 1, False, seed=1),
    ]  # fmt: skip
    found = against_baseline(rows, "raygp")
    assert found["cells"] == 2 and found["refused"] == 1
    assert found["test"] == pytest.approx(0.5) and found["worst"] == pytest.approx(-1.0)
    assert found["examples"] == pytest.approx(1.0)


def test_the_page_shows_the_recorded_runs() -> None:
    root = Path(__file__).parents[2]
    rows = read_rows(root / "benchmarks" / "results" / "any_data" / "any-data.jsonl")
    page = (root / "docs" / "results" / "any-data.md").read_text().splitlines()
    assert len(rows) > 100 and set(markdown_rows(rows)) <= set(page)
    for name in {row["data"] for row in rows}:
        assert summary_row([row for row in rows if row["data"] == name], name) in page
    assert summary_row(rows, "all") in page


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text('{"a": 1}\n{"a": 2')
    assert read_rows(tmp_path / "rows") == [{"a": 1}]
