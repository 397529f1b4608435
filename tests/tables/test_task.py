"""The tasks of tables: how a row is read, what the model sees, and numbers as labels."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from raygp.sparse import Masks, seed_sparse
from raygp.tasks import Task, make_task
from raygp.tasks.tabular import RegressionTask, TabularTask, features_of, fit_classes
from raygp.tasks.traits import labels_are_numbers, metric_name, samples_repeat

COLUMNS = [
    {"name": "age", "kind": "number", "mean": 40.0, "deviation": 10.0, "missing": True},
    {"name": "height", "kind": "number", "mean": 1.0, "deviation": 0.5},
    {"name": "smoker", "kind": "truth", "mean": 0.5, "deviation": 0.5},
    {"name": "born", "kind": "date", "mean": 0.0, "deviation": 365.0},
    {"name": "city", "kind": "category", "categories": ["Rome", "Oslo"]},
]
NUMBERS = {"name": "tabular-regression", "columns": COLUMNS, "target_mean": 100.0, "target_deviation": 20.0}


def row(**cells: Any) -> bytes:
    whole = {"age": 50, "height": 1.5, "smoker": True, "born": "1971-01-01", "city": "Oslo"}
    return json.dumps(whole | cells).encode()


@pytest.fixture
def task() -> RegressionTask:
    found = make_task(NUMBERS)
    assert isinstance(found, RegressionTask) and isinstance(found, Task)
    return found


def test_a_row_is_standardised_numbers_flags_and_places_of_categories(task: RegressionTask) -> None:
    assert task.decode(row()).tolist() == [1.0, 0.0, 1.0, 1.0, 1.0, 3.0]
    assert task.decode(row()).dtype == np.float32
    assert task.decode(row(age=None, city="")).tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    assert task.decode(row(height=None, city="Mars")).tolist() == [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert task.decode(row(age="50 ", smoker="TRUE", city=" Oslo", height="1.5e0")).tolist()[:3] == [1.0, 0.0, 1.0]
    named = {key.upper(): value for key, value in json.loads(row()).items()}
    assert task.decode(json.dumps(named).encode()).tolist() == task.decode(row()).tolist()
    assert task.decode(row(age=1e30)).tolist()[0] == 10.0, "one wild value must not throw the network off"


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (b"x", "a row has to be a JSON object of its columns"),
        (b"[1]", "a row has to be a JSON object of its columns, such as"),
        (b'{"age": 1}', "column 'height' is missing: give it, or null where there is no value"),
        (row(age="old"), "column 'age' holds 'old', where the line has numbers"),
        (row(age=True), "column 'age' holds 'true', where the line has numbers"),
        (row(age="1e999"), "column 'age' holds a number that is not finite"),
        (row(age=[1]), "column 'age' holds a list or an object, not a value"),
        (row(smoker="yes"), "column 'smoker' holds 'yes', where the line has true and false"),
        (row(born="1971-13-01"), "column 'born' holds '1971-13-01', where the line has dates"),
    ],
)
def test_what_is_no_row_says_why(task: RegressionTask, sample: bytes, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        task.check(sample, "1")


@pytest.mark.parametrize("label", ["3,5", "many", "1e999", "true"])
def test_a_label_that_is_no_number_is_refused(task: RegressionTask, label: str) -> None:
    with pytest.raises(ValueError, match=r"^label "):
        task.check(row(), label)


def test_a_number_is_learnt_standardised_and_answered_in_its_unit(task: RegressionTask) -> None:
    assert labels_are_numbers(task) and metric_name(task) == "R2" and samples_repeat(task)
    assert task.symbols("3.5") == set()
    target = task.target("140", {})
    assert target.dtype == np.float32 and target.shape == () and target == 2.0
    outputs, targets = torch.tensor([[2.0], [0.0], [9.0]]), torch.tensor([2.0, 2.0, 2.0])
    assert task.losses(outputs, targets).tolist() == [0.0, 4.0, 49.0]
    assert task.score(outputs, targets)[:, 0].tolist() == [[1.0, 1.0], [-3.0, 1.0], [-24.0, 1.0]]
    assert task.divergences(outputs, outputs + 1, targets, 2.0).tolist() == [0.25] * 3
    assert [(a.label, a.value) for a in task.answers(outputs, [])] == [("140", 140.0), ("100", 100.0), ("280", 280.0)]


def test_r2_over_a_split_is_one_less_the_share_of_variance_that_is_left(task: RegressionTask) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(500, generator=generator)
    outputs = (targets + 0.3 * torch.randn(500, generator=generator))[:, None]
    points, weights = task.score(outputs, targets).sum(dim=0)[0]
    assert float(points / weights) == pytest.approx(1 - float((outputs[:, 0] - targets).square().mean()), abs=1e-5)
    guess = task.score(torch.zeros(500, 1), targets)[:, 0, 0]
    assert float(guess.mean()) == pytest.approx(1 - float(targets.square().mean()), abs=1e-5)


def test_what_no_training_row_has_says_nothing_until_it_is_trained(task: RegressionTask) -> None:
    torch.manual_seed(0)
    features = features_of(task.spec.columns)
    found = features(torch.from_numpy(np.stack([task.decode(row(city=city)) for city in ("Rome", "Mars", "")])))
    assert found.shape == (3, features.width) and features.width == 5 + 4
    assert found[0, 5:].abs().sum() > 0 and found[1:, 5:].abs().sum() == 0


@pytest.mark.parametrize("name", ["tabular", "tabular-regression"])
@pytest.mark.parametrize("columns", [1, 4, 40])
def test_no_layer_of_a_narrow_network_dies_at_a_tenth(name: str, columns: int) -> None:
    spec = {"name": name, "columns": [{"name": f"c{i}", "kind": "number"} for i in range(columns)], "hidden": [32, 16]}
    task = make_task(spec)
    model = task.build_model(3 if name == "tabular" else 0)
    masks = Masks(model, task.dense)
    seed_sparse(masks, 0.1, torch.Generator().manual_seed(0), "erk", task.density_bounds)
    weights = {layer.parameter: masks.mask(layer) for layer in masks.layers}
    assert set(weights) == {"fc1.weight", "fc2.weight", "output.weight"}
    assert weights["output.weight"].float().mean() >= 0.5 and weights["fc1.weight"].float().mean() >= 0.05
    assert all(mask.any() for mask in weights.values())
    assert bool(weights["output.weight"].any(dim=1).all()), "every output has a connection"


def test_a_task_travels_and_its_spec_is_complete(task: RegressionTask) -> None:
    assert pickle.loads(pickle.dumps(task)) == task
    dumped = task.spec.model_dump(mode="json")
    assert make_task(json.loads(json.dumps(dumped))).spec == task.spec
    assert dumped["hidden"] == [128, 64] and task.build_model(0).output.out_features == 1


def test_rare_categories_teach_what_other_means() -> None:
    plain = make_task({"name": "tabular"})
    assert isinstance(plain, TabularTask)
    rows = [({"city": "Rome"}, "x")] * 20 + [({"city": "Oslo"}, "y")] * 20 + [({"city": "Nice"}, "y")]
    fitted = fit_classes(plain.spec, [(json.dumps(cells).encode(), label) for cells, label in rows])
    assert fitted.columns[0].categories == ("Oslo", "Rome"), "Nice comes once"


def test_a_column_of_row_numbers_is_left_out_and_a_year_is_not() -> None:
    plain = make_task({"name": "tabular"})
    rows = [{"PassengerId": str(i), "year": str(1950 + i), "paid": str(i * 7 % 31), "x": "1"} for i in range(60)]
    samples = [(json.dumps(cells).encode(), "ab"[i % 2]) for i, cells in enumerate(rows)]
    fitted = fit_classes(plain.spec, samples)
    assert [column.name for column in fitted.columns] == ["year", "paid"]
    assert fitted.left_out == {"passengerid": "it numbers the rows (0 to 59)", "x": "constant ('1')"}


def test_a_mixed_column_is_refused_by_its_rarer_kind_and_a_slip_is_not() -> None:
    from raygp.tasks import Unfit

    plain = make_task({"name": "tabular"})

    def fit(odd: int) -> Any:
        cells = [str(i % 50) for i in range(200)]
        cells[:odd] = ["many"] * odd
        samples = [(json.dumps({"a": cell}).encode(), "xy"[i % 2]) for i, cell in enumerate(cells)]
        return fit_classes(plain.spec, samples).columns[0]

    assert fit(2).kind == "number"
    with pytest.raises(Unfit, match="holds numbers such as '10' in 190 rows, and texts such as 'many' in 10") as caught:
        fit(10)
    assert caught.value.sample == 0
    assert fit(150).kind == "category"
