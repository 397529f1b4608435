"""The example of speech runs as it stands, on some utterances of AN4."""

from __future__ import annotations

import runpy
import tarfile
from pathlib import Path

import pytest

from tests.checkout import PROJECT

AN4 = PROJECT.parent / "shared" / "data" / "an4" / "an4.tar.gz"
UTTERANCES = {"train": 60, "test": 6}


@pytest.mark.skipif(not AN4.is_file(), reason=f"needs CMU's AN4 at {AN4}")
def test_it_learns_utterances_and_hears_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(AN4) as whole:
        whole.extractall(tmp_path / "all", filter="data")
    for split, count in UTTERANCES.items():
        for kind in ("fileids", "transcription"):
            listed = tmp_path / "all" / "an4" / "etc" / f"an4_{split}.{kind}"
            listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:count]))
    settings = ("synthesis.epochs=1", "plan.epochs=1", "gate_tolerance=1", "ladder=false")
    main = runpy.run_path(str(PROJECT / "examples" / "an4.py"))["main"]
    main(str(tmp_path / "all"), str(tmp_path / "line"), *settings)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[-4:]] == ["v0000", "v0001", "said:", "heard:"]
