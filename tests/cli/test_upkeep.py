"""The commands that keep storage in order, as a person sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raygp.cli import main
from raygp.store import Location, create_line, line_lease, promote, read_head, write_version
from tests.store.helpers import MakeCard, publish

TENSORS = {"a": torch.ones(2)}


@pytest.fixture
def line(tmp_path: Path, make_card: MakeCard) -> Location:
    """Three versions, each with an arrival of its own."""
    location = Location(str(tmp_path / "line"))
    create_line(location, {"name": "lenet-300-100"})
    names, manifests, head = ["mon", "tue", "wed"], {}, None
    for number, name in enumerate(names):
        manifests[name] = publish(location, name).digest
        seen = {"arrivals": names[: number + 1], "arrival": name, "manifests": dict(manifests)}
        card = make_card(f"v{number:04d}", f"v{number - 1:04d}" if number else None, f"u{number}", **seen)
        head = promote(location, write_version(location, card, TENSORS), head)
    return location


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_rollback_says_what_it_unfolds_and_can_be_taken_back(
    line: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(capsys, "rollback", "v0000", "--root", line.root)
    assert code == 0
    assert out.splitlines() == [
        "head: v0002 -> v0000 (validation 90.00 %)",
        "un-folded, waiting for the next update: tue, wed",
        "v0002 stays in storage until raygp gc; raygp rollback v0002 takes this back",
    ]
    code, out = run(capsys, "status", "--root", line.root)
    assert code == 0 and "head v0000" in out and out.count("waiting") == 2
    code, out = run(capsys, "rollback", "v0002", "--root", line.root)
    assert code == 0 and "folded in again: tue, wed" in out
    assert run(capsys, "rollback", "v0002", "--root", line.root) == (0, "v0002 is the head already: nothing to do\n")


def test_a_damaged_head_can_be_rolled_back(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    line.write_bytes("versions/v0002/card.json", b"{")
    code, out = run(capsys, "rollback", "v0001", "--root", line.root)
    assert code == 0 and "the card of v0002 cannot be read" in out
    head = read_head(line)
    assert head is not None and head.version == "v0001"


def test_the_graph_marks_the_head_and_what_was_rolled_back(
    line: Location, make_card: MakeCard, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "rollback", "v0000", "--root", line.root)
    head = read_head(line)
    card = write_version(line, make_card("v0003", "v0000", "u3", arrival="tue"), TENSORS)
    promote(line, card, head)
    write_version(line, make_card("v0004", "v0003", "u4", arrival="wed"), TENSORS)
    code, out = run(capsys, "versions", "--graph", "--root", line.root)
    assert code == 0
    assert [row.rstrip() for row in out.splitlines()] == [
        "v0000  mon  validation 90.00 % on 10 rows",
        "├── v0001  tue  validation 90.00 % on 10 rows  (not in the head's history)",
        "│   └── v0002  wed  validation 90.00 % on 10 rows  (not in the head's history)",
        "└── v0003  tue  validation 90.00 % on 10 rows  * head",
        "    └── v0004  wed  validation 90.00 % on 10 rows  (waiting to be promoted: raygp update)",
    ]


def test_gc_lists_and_then_deletes(line: Location, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "rollback", "v0001", "--root", line.root)
    code, out = run(capsys, "gc", "--root", line.root)
    assert (code, out) == (0, "0 files, 0.0 MB deleted\n")  # All is younger than a week.
    for path in line.local_path("versions/v0002").iterdir():
        os.utime(path, (0, 0))
    code, out = run(capsys, "gc", "--root", line.root, "--dry-run")
    assert code == 0 and "versions/v0002" in out and "not in the head's history" in out
    assert "2 files, 0.0 MB would be deleted" in out and line.exists("versions/v0002")
    code, out = run(capsys, "gc", "--root", line.root)
    assert code == 0 and "2 files, 0.0 MB deleted" in out and line.list("versions") == ["v0000", "v0001"]


@pytest.mark.usefixtures("quick_lease")
@pytest.mark.parametrize("command", [["gc"], ["update"]])
def test_a_line_that_is_being_updated_is_left_alone(line: Location, command: list[str]) -> None:
    publish(line, "thu")
    with line_lease(line, "raygp update"):
        done = subprocess.run(
            [sys.executable, "-m", "raygp", *command, "--root", line.root], capture_output=True, text=True, check=False
        )
    assert done.returncode == 3
    at_work = f"raygp: {line.root}: raygp update is at work on this line (process {os.getpid()} on "
    assert done.stderr.startswith(at_work)
    assert done.stderr.endswith("wait until it has ended; the head did not move\n")
