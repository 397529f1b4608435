"""The examples on scikit-learn's tables run as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.checkout import PROJECT


def test_classes_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(PROJECT / "examples" / "tabular_classes.py"))["main"](str(tmp_path / "line"))
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["v0000", "v0001", "grower"]
    assert float(said[1].split("test accuracy': ")[1].rstrip("}")) > 0.9


def test_numbers_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(PROJECT / "examples" / "tabular_numbers.py"))["main"](str(tmp_path / "line"))
    ours, ridge = (float(re.search(r"R2 (-?[\d.]+)", line)[1]) for line in capsys.readouterr().out.splitlines())  # type: ignore[index]
    assert ours > ridge - 0.08 and ours > 0.3
