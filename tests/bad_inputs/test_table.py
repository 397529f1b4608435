"""Every bad input of the table: its exact error as one line, its exit code, and nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raygp.cli import main
from tests.bad_inputs.cases import DAMAGES, OPTIONS, ROOTS, SOURCES, Case, Damage
from tests.bad_inputs.makers import line_with_head
from tests.store.helpers import MakeCard


def files_below(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check(folder: Path, command: str, error: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_below(folder)
    found = main([word.replace("@", str(folder)) if "://" not in word else word for word in command.split()])
    said = capsys.readouterr().err.replace(str(folder), "@")
    said = re.sub(r"\b([0-9a-f]{64}|(?<=-)[0-9a-f]{8})\b", "HASH", said)
    said = re.sub(r"expected \d+ bytes", "expected BYTES bytes", said)
    assert said == f"raygp: {error}\n"
    assert found == code
    assert files_below(folder) == before


@pytest.mark.parametrize("case", [*SOURCES, *OPTIONS, *ROOTS], ids=lambda case: case.name)
def test_bad_input(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case.make(tmp_path)
    check(tmp_path, case.command, case.error, case.code, capsys)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damage(damage: Damage, tmp_path: Path, make_card: MakeCard, capsys: pytest.CaptureFixture[str]) -> None:
    damage.make(line_with_head(tmp_path, make_card))
    check(tmp_path, damage.command, damage.error, 2, capsys)
