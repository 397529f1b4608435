"""The cells of the notebook run one after the other, as they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.checkout import PROJECT

NOTEBOOK = PROJECT / "examples" / "digits.ipynb"


def test_its_cells_run_in_order(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs raygp[export]")
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["nbformat"] == 4 and all(not cell.get("outputs") for cell in notebook["cells"])
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    said = capsys.readouterr().out
    assert "v0000" in said and "v0001" in said and "model.onnx" in said
    right = [line.split()[0] == line.split()[2] for line in said.splitlines() if "->" in line]
    assert len(right) == 8 and sum(right) >= 6
