"""The examples of the guide to raygp from Python run one after the other, in one process and without Ray."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from docs.examples import blocks_of
from tests.checkout import PROJECT

PAGE = PROJECT / "docs" / "guides" / "python.md"


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    code = "\n".join(block.code for block in blocks_of(PAGE) if block.is_run)
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nassert 'ray' not in sys.modules"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env={"PYTHONPATH": str(PROJECT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("False") and "v0099" in lines[-1]
    for expected in ("v0000 monday", "v0001 tuesday", "promoted v0001", "v0001 -> v0000 ['tuesday']", "True"):
        assert any(line.startswith(expected) for line in lines), (expected, lines)


def test_what_is_not_run_names_things_that_exist() -> None:
    from raygp.cluster.runner import RayRunner

    (left_out,) = [block.code for block in blocks_of(PAGE) if not block.is_run]
    assert f"import {RayRunner.__name__}" in left_out


def test_every_method_of_a_line_is_named() -> None:
    from raygp.line import Line

    text = PAGE.read_text()
    names = [name for kind in Line.__mro__[:-1] for name in vars(kind) if not name.startswith("_")]
    missing = [name for name in names if not re.search(rf"\bline\.{name}\b", text)]
    assert not missing
