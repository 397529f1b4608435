"""Tables and progress lines on narrow terminals."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from raygp.events import EpochEnded, StepsDone, UpdateStarted
from raygp.record import CostLedger, EpochRecord
from raygp.report.grid import Column, Grid
from raygp.report.live import LiveView
from raygp.report.progress import PhaseLines
from raygp.report.tables import arrivals_table, layers_table, phases_table, versions_table
from tests.cli.terminal import screen as on_terminal
from tests.store.helpers import MakeCard


def console(width: int, terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(
        file=out, width=width, highlight=False, force_terminal=terminal, force_interactive=terminal, no_color=True
    ), out


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160])
def test_the_versions_fit_and_keep_their_name_the_heads_mark_and_accuracy(width: int, make_card: MakeCard) -> None:
    metrics = {"word accuracy": 0.8, "character accuracy": 0.9}
    cards = [make_card("v0000"), make_card("v0001", "v0000", active_connections=1_116_262, test_metrics=metrics)]
    screen, out = console(width)
    versions_table(cards, "v0001").show(screen)
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    assert any("v0001 *" in line and "90.00" in line for line in lines)
    whole = all(name in lines[0] + lines[1] for name in ("reduced MB", "WER %", "examples"))
    assert whole == (width == 160)
    assert whole or any(line.startswith("no room for") for line in lines)


def test_what_matters_least_is_left_out_first_and_named() -> None:
    columns = [
        Column[str]("name", lambda row: row, text=True),
        Column[str]("first to go", lambda row: "x" * 20, 2),
        Column[str]("second to go", lambda row: "y" * 20, 1),
    ]
    screen, out = console(40)
    Grid(columns, ["a"]).show(screen)
    assert (
        "second to go" in out.getvalue().splitlines()[1]
        and "x" not in out.getvalue().replace("text", "").split("no")[0]
    )
    assert "no room for first to go: a wider terminal or --json shows all" in " ".join(out.getvalue().split())


def test_no_table_is_wider_than_80_columns(make_card: MakeCard) -> None:
    from raygp.store import Manifest, ShardInfo

    card = make_card(
        densities={"a.very.long.name.of.a.layer.that.nobody.would.give.but.timm." * 2: 0.1},
        phases=[{"kind": "prune-recoverable", "grown": 10**9, "pruned": 10**9, "restored": 10**9, "stopped": "x" * 40}],
    )
    shard = ShardInfo(file="train-0-00000000.parquet", bytes=1, sha256="0" * 64, split="train", rows=10**9)
    manifest = Manifest(arrival="a" * 100, published="2026", shards=[shard], labels={"cat": 1}, source="tests")
    for table in (phases_table(card), layers_table(card), arrivals_table([manifest])):
        screen, out = console(80)
        table.show(screen)
        assert max(len(line) for line in out.getvalue().splitlines()) <= 80


def event(**changes: object) -> EpochEnded:
    record = EpochRecord(
        round=0, loss=0.239, val_accuracy=0.9907, densities={}, grown=0, pruned=0, examples=1.0, seconds=1.0
    )
    place = {"phase": 1, "phases": 2, "kind": "prune-permanent", "round": 0, "epoch": 3, "epochs": 3, "density": 0.119}
    return EpochEnded(**place, record=record, ledger=CostLedger(), **changes)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_progress_lines_fit_the_terminal(width: int) -> None:
    screen, out = console(width, terminal=True)
    steps = StepsDone(
        phase=1, phases=2, kind="prune-permanent", round=0, epoch=2, epochs=3, density=0.119, step=50, steps=1000,
        loss=0.3, examples_per_s=12_345.0,
    )  # fmt: skip
    view = LiveView(screen)
    view.follow(UpdateStarted(version="v0002", arrival="week3", parent="v0001", plan="default"))
    view.follow(steps)
    view.follow(event())
    view.close()
    lines = [line for line in on_terminal(out.getvalue()) if line]
    last = lines[-1]
    assert "v0002  2/2 prune-permanent" in last and "epoch 3/3" in last and "validation 99.07%" in last
    assert max(len(line) for line in re.split(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n", out.getvalue())) <= width
    assert ("examples/s" in last) == (width == 120)


def test_a_line_says_everything_where_there_is_no_terminal() -> None:
    screen, out = console(80)
    with PhaseLines(screen, "v0002") as lines:
        lines.show(event())
    assert out.getvalue() == ("v0002  2/2 prune-permanent    epoch 3/3  loss nan  density 0.119  validation 99.07%\n")
