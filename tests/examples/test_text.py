"""The example on text runs as it stands, on docstrings of this Python."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import raygp
from tests.checkout import PROJECT

pytest.importorskip("tokenizers", reason="needs the extra: pip install 'raygp[text]'")


def test_a_small_transformer_on_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(PROJECT / "examples" / "text_transformer.py"))
    settings = "synthesis.epochs=6", "synthesis.lr=0.004", "plan.epochs=2", "plan.lr=0.002"
    example["main"](str(tmp_path / "line"), *settings)
    line = raygp.open(str(tmp_path / "line"))
    assert [version.name for version in line.versions()] == ["v0000", "v0001"]
    assert line.version().card.density < 0.25 and line.version().metrics["test accuracy"] > 0.8
    assert ": asyncio (" in capsys.readouterr().out.splitlines()[-1]
