"""What numbers are measured by, where some of them are wild."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from raygp.tasks import Unfit, make_task
from raygp.tasks.tabular import RegressionSpec, RegressionTask, fit_classes, fit_numbers
from raygp.tasks.tabular_scale import scale_of


def fit(cells: Sequence[Any], labels: Sequence[Any] | None = None) -> RegressionSpec:
    """The spec of rows of one column, and of labels."""
    plain = make_task({"name": "tabular-regression"})
    assert isinstance(plain, RegressionTask) and isinstance(plain.spec, RegressionSpec)
    labels = labels or [str(i % 17) for i in range(len(cells))]
    rows = [(json.dumps({"a": cell, "b": str(i % 13)}).encode(), str(labels[i])) for i, cell in enumerate(cells)]
    return fit_numbers(plain.spec, rows)


@pytest.mark.parametrize(
    "draw",
    [
        lambda some: some.normal(100, 20, 2000),
        lambda some: some.exponential(3, 2000),
        lambda some: some.lognormal(10, 0.8, 2000),
        lambda some: some.integers(0, 2, 2000),
        lambda some: (some.random(2000) < 0.003) * 1.0,
        lambda some: (some.random(2000) < 0.04) * some.exponential(5000, 2000),
        lambda some: np.array([1.0, 2.0, 1e6]),
    ],
)
def test_clean_numbers_are_measured_by_their_mean_and_deviation(draw: Callable[[Any], np.ndarray]) -> None:
    values = draw(np.random.default_rng(0))
    found = scale_of(values)
    assert found.far == 0 and found.doubt == ""
    assert (found.mean, found.deviation) == (pytest.approx(values.mean()), pytest.approx(values.std()))


@pytest.mark.parametrize(
    ("count", "wild", "zeros"), [(20, 1, 0.0), (200, 2, 0.0), (200, 9, 0.0), (5000, 1, 0.0), (5000, 1, 0.97)]
)
@pytest.mark.parametrize("value", [1e9, -999_999.0, 1e37])
def test_wild_numbers_are_not_measured_by(count: int, wild: int, value: float, zeros: float) -> None:
    some = np.random.default_rng(1)
    values = some.normal(50, 5, count) * (some.random(count) >= zeros)
    found = scale_of([*values, *[value] * wild])
    assert found.far == wild and found.farthest == value
    assert (found.mean, found.deviation) == (pytest.approx(values.mean()), pytest.approx(values.std()))


def test_a_wild_label_neither_sets_the_scale_nor_passes_as_it_is() -> None:
    labels = [str(100 + i % 21) for i in range(400)]
    clean = fit(["1", "2"] * 200, labels)
    labels[7] = "1000000000"
    spec = fit(["1", "2"] * 200, labels)
    assert spec.target_deviation == pytest.approx(clean.target_deviation, rel=0.01)
    task = make_task(spec.model_dump(mode="json"))
    assert any(
        note.startswith("1 of 400 labels lie far outside the others (1e+09, where they are 100 to 120): are they mi")
        for note in task.notes  # type: ignore[attr-defined]
    )
    assert task.target("1000000000", {}) == 50.0 and task.target("-1e30", {}) == -50.0


def test_sentinels_do_not_kill_a_column_and_are_named() -> None:
    cells: list[Any] = [str(i % 50) for i in range(400)]
    clean = fit(cells)
    cells[3] = cells[9] = "999999999"
    spec = fit(cells)
    assert clean.doubts == () and spec.columns[0].deviation == pytest.approx(clean.columns[0].deviation, rel=0.02)
    [doubt] = spec.doubts
    assert doubt.startswith("column 'a': 2 of 400 values lie far outside the others (1e+09, where they are 0 to 49)")


@pytest.mark.parametrize("label", ["0.1", "5", "-3.3e-7"])
def test_a_constant_label_is_refused_however_it_is_rounded(label: str) -> None:
    with pytest.raises(Unfit, match="there is nothing to learn"):
        fit(["1", "2"] * 50, [label] * 100)


@pytest.mark.parametrize("cell", ["1e200", "1e300", "1e999", 10**400, "-1e39"])
def test_numbers_that_are_too_large_are_bad_rows_or_refused(cell: Any) -> None:
    cells: list[Any] = [str(i % 50) for i in range(400)]
    clean = fit(cells)
    cells[5] = cell
    spec = fit(cells)
    assert spec.columns[0].deviation == pytest.approx(clean.columns[0].deviation, rel=0.02)
    task = make_task(spec.model_dump(mode="json"))
    with pytest.raises(ValueError, match=r"^column 'a' holds a number that is (too large|not finite)"):
        task.decode(json.dumps({"a": cell, "b": "1"}).encode())
    cells[5:25] = [cell] * 20
    with pytest.raises(Unfit, match=r"column 'a' holds numbers that are too large \(20 of 400") as caught:
        fit(cells)
    assert caught.value.sample == 5
    with pytest.raises(Unfit, match="column 'a' holds numbers that are too large"):
        fit([cell] * 50)


@pytest.mark.parametrize("label", ["1e200", "1e999", "-1e39"])
def test_a_label_that_is_too_large_is_a_bad_row(label: str) -> None:
    labels = [str(i % 17) for i in range(400)]
    labels[7] = label
    spec = fit(["1", "2"] * 200, labels)
    assert spec.target_deviation == pytest.approx(np.std([i % 17 for i in range(400)]), rel=0.01)
    with pytest.raises(ValueError, match=r"is too large for a number$"):
        make_task(spec.model_dump(mode="json")).check(b'{"a": 1, "b": 2}', label)  # type: ignore[attr-defined]


def test_classes_of_rows_are_measured_likewise() -> None:
    plain = make_task({"name": "tabular"})
    rows = [(json.dumps({"a": 1e30 if i == 4 else i % 9}).encode(), "xy"[i % 2]) for i in range(100)]
    fitted = fit_classes(plain.spec, rows)  # type: ignore[attr-defined]
    assert fitted.columns[0].deviation < 5 and len(fitted.doubts) == 1
