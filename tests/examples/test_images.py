"""The examples on images run as they stand, on real digits."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import raygp
from tests.checkout import PROJECT
from tests.digits import FewDigits

pytest.importorskip("timm", reason="needs the extra: pip install 'raygp[timm]'")


def folder_of(source: FewDigits, folder: Path) -> str:
    """The digits as an image folder."""
    for sample in source.samples():
        file = folder / sample.label / f"{sample.key}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sample.load())
    return str(folder)


def test_a_cnn_of_timm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = folder_of(FewDigits(0, 600, "01"), tmp_path / "first")
    second = folder_of(FewDigits(600, 1200, "01"), tmp_path / "second")
    example = runpy.run_path(str(PROJECT / "examples" / "timm_cnn.py"))
    example["main"](first, second, str(tmp_path / "line"), "synthesis.epochs=10", "plan.epochs=2", "plan.fit=null")
    line = raygp.open(str(tmp_path / "line"))
    assert [version.name for version in line.versions()] == ["v0000", "v0001"]
    assert line.version().card.density < 0.2 and line.version().metrics["test accuracy"] > 0.8
    assert line.task["dense"] == ["conv1.0.weight"]
    assert capsys.readouterr().out.splitlines()[-1].split(":")[-1].split()[0] in "01"


def test_a_small_transformer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = folder_of(FewDigits(0, 600, "01"), tmp_path / "first")
    second = folder_of(FewDigits(600, 1200, "017"), tmp_path / "second")
    example = runpy.run_path(str(PROJECT / "examples" / "vit.py"))
    example["main"](first, second, str(tmp_path / "line"), "synthesis.epochs=20", "plan.epochs=4")
    line = raygp.open(str(tmp_path / "line"))
    assert line.version().classes == ["0", "1", "7"] and line.version().metrics["test accuracy"] > 0.7
    assert "blocks.0.attn.qkv" in capsys.readouterr().out
