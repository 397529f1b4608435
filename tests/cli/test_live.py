"""The live view of an update: what it shows, what stays of it, and what is printed where there is no terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from rich.console import Console

import raygp
from raygp.cli.printer import Printer
from raygp.cli.running import run_command, spelled_command
from raygp.data.ingest_settings import IngestSettings
from raygp.events import (
    EpochEnded,
    Event,
    PhaseEnded,
    PhaseStarted,
    PlannedPhase,
    PlanStarted,
    Refused,
    RungStarted,
    SamplesChecked,
    StepsDone,
    StopAsked,
    SweepStarted,
    TrialEnded,
    UpdateStarted,
    UpdatesWaiting,
    Working,
)
from raygp.record import CostLedger, EpochRecord, PhaseRecord
from raygp.report.live import LiveView
from raygp.report.live_drawing import ASCII, BLOCKS, Marks, bar, curve, draw, duration
from raygp.report.live_state import LiveState
from raygp.report.progress import PhaseLines, progress_on
from raygp.store import Location
from tests.checkout import PROJECT
from tests.cli.terminal import screen
from tests.digits import FewDigits

PHASES = (PlannedPhase("grow-new", 0, 1, 9), PlannedPhase("prune-permanent", 8, 1, 9))


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def densities(count: int) -> dict[str, float]:
    return {f"layer{number}.conv.weight": 1.0 - number / count for number in range(count)}


def place(epoch: int, phase: int = 1, **more: object) -> dict[str, object]:
    return {
        "phase": phase, "phases": 2, "kind": PHASES[phase].kind, "round": 0, "epoch": epoch,
        "epochs": PHASES[phase].epochs, "density": 0.19, **more,
    }  # fmt: skip


def steps(epoch: int, step: int, loss: float = 0.5) -> StepsDone:
    return StepsDone(**place(epoch), step=step, steps=9, loss=loss, examples_per_s=1204.0)  # type: ignore[arg-type]


def ended(epoch: int, layers: int = 3, accuracy: float = 0.9) -> EpochEnded:
    record = EpochRecord(
        round=0, loss=0.2, val_accuracy=accuracy, densities=densities(layers), grown=0, pruned=0, examples=1.0,
        seconds=1.0,
    )  # fmt: skip
    ledger = CostLedger(examples=1000.0, sparse_flops=2e9, dense_flops=8e9)
    return EpochEnded(**place(epoch), record=record, ledger=ledger)  # type: ignore[arg-type]


def story(layers: int = 3, epochs: int = 2) -> Iterator[Event]:
    """Events of an update that has come so far."""
    yield UpdatesWaiting(root="/line", arrivals=1)
    yield UpdateStarted(version="v0001", arrival="week2", parent="v0000", plan="default", old_rows=289, new_rows=116)
    yield Working(what="decoding rows", done=3120, total=11000)
    yield RungStarted(rung=0, rungs=2, name="plan", changes={}, because="")
    yield PlanStarted(phases=PHASES)
    yield PhaseStarted(**place(0), densities=densities(layers))  # type: ignore[arg-type]
    for epoch in range(epochs):
        for step in (1, 5, 9):
            yield steps(epoch, step, 2.0 / (1 + epoch + step))
        yield ended(epoch + 1, layers, 0.9 + epoch / 100)
    yield steps(epochs, 3)


def told(events: Iterator[Event], seconds: float = 1.0) -> LiveState:
    """The state after events that came so many seconds after one another."""
    clock = Clock()
    state = LiveState(clock)
    for event in events:
        clock.now += seconds
        state.follow(event)
    return state


def shown(state: LiveState, width: int = 80, height: int = 30, marks: Marks = BLOCKS) -> list[str]:
    return [line.plain for line in draw(state, width, height, marks)]


def test_it_shows_phases_steps_time_curves_layers_and_cost() -> None:
    lines = shown(told(story()))
    assert lines[0].startswith("v0001  week2, from v0000, plan 'default', rung 1 of 2 'plan'")
    assert lines[1].startswith("✓ grow-new  ▶ prune-permanent ━") and lines[1].endswith(" 29%")
    assert re.fullmatch(r"epoch 3 of 8, step 3 of 9 · about \d+ s left · 1,204 examples/s", lines[2])
    assert re.fullmatch(r"loss        [▁-█]{7}  0\.500", lines[3])
    assert lines[4] == "validation  ▁█  91.00%"
    assert lines[5] == "density     0.190"
    assert re.fullmatch(r" +layer2\.conv\.weight ━+╸?─+ 0\.333", lines[8])
    assert lines[9:] == [
        "cost        1,000 examples, 2 GFLOP",
        "fine-tuning 2,025 examples, 16.2 GFLOP (dense, 5 epochs over 405 rows)",
    ]


def test_many_layers_share_one_row() -> None:
    [line] = [line for line in shown(told(story(layers=21))) if line.startswith("density")]
    assert re.fullmatch(r"density     0\.190  █[▁-█]{20} 21 layers", line)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("layers", [3, 21, 300])
@pytest.mark.parametrize("marks", [BLOCKS, ASCII], ids=["blocks", "ascii"])
def test_it_fits_and_says_what_is_done_in_any_width_and_height(width: int, layers: int, marks: Marks) -> None:
    state = told(story(layers))
    for height in (1, 5, 20):
        lines = shown(state, width, height, marks)
        assert max(map(len, lines)) <= width and 1 <= len(lines) <= height
        assert any(line.startswith("epoch 3 of 8") for line in lines)
        assert marks is BLOCKS or all(line.isascii() for line in lines)


def test_what_comes_before_the_first_step_is_named() -> None:
    events = list(story())
    clock = Clock()
    state = LiveState(clock)
    state.follow(events[0])
    clock.now = 42.0
    assert shown(state)[-1][2:] == "starting Ray  42 s"
    state.follow(events[1])
    state.follow(events[2])
    assert re.match(r"decoding rows 3,120 of 11,000 ━+╸?─+", shown(state)[-1][2:])
    state.follow(Working(what="starting workers"))
    clock.now = 65.0
    assert shown(state)[-1][2:] == "starting workers  23 s"


def test_nothing_is_said_of_the_time_that_is_left_before_there_is_a_basis() -> None:
    events = list(story(epochs=3))
    begun = told(iter(events[:7]), 10.0)
    assert begun.left.seconds(begun.clock()) is None and not any("left" in line for line in shown(begun))
    # 30 of 72 steps, told by the 13 events since the phase began: ten seconds each.
    state = told(iter(events), 10.0)
    assert state.left.seconds(state.clock()) == pytest.approx(130.0 / 30 * 42)
    state.follow(PlanStarted(phases=PHASES))
    assert state.left.seconds(state.clock()) is None, "another plan may be slower"


def test_rounds_that_may_not_come_make_it_the_most_that_is_left() -> None:
    several = (PHASES[0], PlannedPhase("prune-permanent", 8, 4, 9))
    state = told(PlanStarted(phases=several) if isinstance(e, PlanStarted) else e for e in story())
    assert any("at most" in line for line in shown(state))


def test_a_first_version_has_nothing_to_be_compared_with() -> None:
    first = UpdateStarted(version="v0000", arrival="week1", parent=None, plan="default", new_rows=289)
    lines = shown(told(first if isinstance(event, UpdateStarted) else event for event in story()))
    assert any(line.startswith("cost") for line in lines) and not any("fine-tuning" in line for line in lines)


def test_a_sweep_shows_its_trials() -> None:
    state = told(iter(list(story())[:2]))
    state.follow(SweepStarted(version="v0001", trials=8))
    for number, how in enumerate(("finished", "stopped", "lost", "finished"), 1):
        state.follow(TrialEnded(
            version="v0001", number=number, trials=8, point={"alpha": 0.2}, state=how, val_accuracy=0.9 + number / 100,
            examples=100.0,
        ))  # fmt: skip
    line = shown(state)[1]
    assert line.startswith("trials ━━━━━━──────────  3/8") or " 3/8  2 finished, 1 stopped, best 94.00%" in line
    assert "300 examples" in line


def test_bars_and_curves() -> None:
    assert [bar(share, 4, BLOCKS).plain for share in (-1.0, 0.0, 0.4, 1.0, 2.0)] == [
        "────",
        "────",
        "━╸──",
        "━━━━",
        "━━━━",
    ]
    assert curve([1.0, 2.0, float("nan"), 3.0], 10, BLOCKS) == "▁▅█" and curve([], 10, BLOCKS) == ""
    assert len(curve([float(number) for number in range(1000)], 30, ASCII)) == 30 and curve([5.0], 9, ASCII) == "_"
    assert [duration(seconds) for seconds in (4.4, 90, 3600, 12_000)] == ["4 s", "2 min", "1 h 00 min", "3 h 20 min"]


def terminal(width: int = 80, **environment: str) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    environ = {"TERM": "xterm-256color", **environment}
    return Console(file=out, width=width, height=24, highlight=False, force_terminal=True, _environ=environ), out


def printed(events: Iterator[Event], console: Console, location: Location) -> None:
    printer = Printer(console, location)
    for event in events:
        printer(event)
    printer.close()


def whole() -> Iterator[Event]:
    yield from story()
    yield ended(8, accuracy=0.97)
    record = PhaseRecord(kind="prune-permanent")
    yield PhaseEnded(**place(8), record=record)  # type: ignore[arg-type]
    yield Refused(version="v0001", arrival="week2", reason="rejected: it", head="v0000")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_line_for_each_phase_stays(width: int, location: Location) -> None:
    console, out = terminal(width)
    printed(whole(), console, location)
    lines = screen(out.getvalue())
    assert lines[1:3] == ["v0001: week2, from v0000, plan 'default'", "v0001  plan 1 of 2, 'plan'"]
    assert lines[3].startswith("v0001  2/2 prune-permanent    epoch 8/8") and "validation 97.00%" in lines[3]
    assert len(lines) == 4 and max(map(len, lines[3:])) <= width
    assert re.findall(r"\x1b\[\?25([hl])", out.getvalue())[-1] == "h", "the cursor is shown again"


def test_without_colour_there_is_none(location: Location) -> None:
    console, out = terminal(NO_COLOR="1")
    printed(whole(), console, location)
    assert not re.search(r"\x1b\[[\d;]*(3\d|4\d)[\d;]*m", out.getvalue())
    coloured, out = terminal()
    printed(whole(), coloured, location)
    assert re.search(r"\x1b\[[\d;]*3\d[\d;]*m", out.getvalue())


def test_lines_are_plain_where_nothing_can_be_redrawn(location: Location) -> None:
    dumb, out = terminal(TERM="dumb")
    assert isinstance(progress_on(dumb), PhaseLines) and isinstance(progress_on(terminal()[0]), LiveView)
    printed(whole(), dumb, location)
    assert "\x1b[?25" not in out.getvalue() and "\r" not in out.getvalue()
    pipe = io.StringIO()
    printed(whole(), Console(file=pipe, width=80, highlight=False), location)
    assert pipe.getvalue().isprintable() or all(line.isprintable() for line in pipe.getvalue().splitlines())
    assert pipe.getvalue().splitlines()[-1].endswith("density 0.190  validation 97.00%")


def test_plain_lines_break_a_long_silence(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.report.progress._SILENCE_S", 0.0)
    out = io.StringIO()
    lines = PhaseLines(Console(file=out, width=80, highlight=False))
    for event in list(story())[:3]:
        lines.follow(event)
        lines._break_the_silence()
    lines.follow(steps(0, 1))
    before = out.getvalue()
    lines._break_the_silence()
    lines.close()
    assert out.getvalue() == before, "while steps are done they have lines of their own"
    assert before.splitlines()[:3] == [
        "starting Ray ...", "v0001  reading what the update needs ...", "v0001  decoding rows: 3,120 of 11,000 ...",
    ]  # fmt: skip


def test_an_ingest_without_a_terminal_says_how_far_it_is(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.report.progress._SILENCE_S", 0.0)
    out = io.StringIO()
    printer = Printer(Console(file=out, width=80, highlight=False), location)
    printer(SamplesChecked(done=3120, total=11000))
    view = printer._view()
    assert isinstance(view, PhaseLines)
    view._break_the_silence()
    printer.close()
    assert out.getvalue().splitlines()[0] == "checking and writing samples: 3,120 of 11,000 ..."


def test_that_it_was_asked_to_end_is_said_at_once(location: Location) -> None:
    out = io.StringIO()
    printed(iter([*list(story())[:2], StopAsked()]), Console(file=out, width=120, highlight=False), location)
    assert "v0001  asked to end: a checkpoint first; Ctrl-C again ends it at once" in out.getvalue()


# -- the command that goes on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "spelled"),
    [
        (["/usr/bin/env", "update", "--root", "my line"], "env update --root 'my line'"),
        ([f"{PROJECT}/raygp/__main__.py", "update"], "-m raygp update"),
        (["jobs/mnist.py", "plan.optimizer={name: adam}"], "jobs/mnist.py 'plan.optimizer={name: adam}'"),
        (["-c", "update"], "raygp update"),
    ],
)
def test_a_command_is_spelled_as_a_shell_takes_it(
    argv: list[str], spelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    found = spelled_command()
    assert found == spelled or (found.endswith(f" {spelled}") and "python" in found.split()[0])
    assert spelled_command(["status", "--root", "a b"]) == "raygp status --root 'a b'"


def test_an_interrupted_command_says_what_goes_on_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run_command(interrupted, "raygp update --root 'my line'") == 130
    said = capsys.readouterr().err
    assert said == "raygp: interrupted; run the same command again to go on:\n  raygp update --root 'my line'\n"


PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import raygp.cluster.runner
from raygp.line.in_process import InProcessRunner
raygp.cluster.runner.RayRunner = lambda verbose=False: InProcessRunner()
from raygp.cli import main
sys.exit(main())
"""
PATIENCE_S = 240


def run_in_terminal(arguments: list[str], act: str = "") -> tuple[int, str]:
    """Run raygp in this terminal of 80 columns; Ctrl-C is pressed once ``act`` stands on it."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdin=terminal, stdout=terminal, stderr=terminal,
        env=environment, start_new_session=True, preexec_fn=lambda: os.set_inheritable(0, True),
    )  # fmt: skip
    os.close(terminal)
    output, deadline, pressed = b"", time.monotonic() + PATIENCE_S, False
    try:
        while time.monotonic() < deadline:
            if not select.select([controller], [], [], 1.0)[0]:
                continue
            try:
                output += os.read(controller, 65536)
            except OSError:  # Linux says so when the last process has closed the terminal.
                break
            if act and not pressed and act in output.decode(errors="replace"):
                pressed = True
                process.send_signal(signal.SIGINT)
    finally:
        if process.poll() is None and time.monotonic() >= deadline:
            process.kill()
        process.wait(timeout=30)
        os.close(controller)
    return process.returncode, output.decode(errors="replace")


@pytest.mark.skipif(sys.platform != "linux", reason="the end of a pseudo-terminal is told as Linux does")
def test_ctrl_c_in_a_terminal_ends_a_real_update_with_a_checkpoint_and_the_same_command_goes_on(tmp_path: Path) -> None:
    root = str(tmp_path / "my line")
    line = raygp.open(root)
    line.ingest(FewDigits(0, 150), IngestSettings(["one"]), task={"name": "lenet-300-100"})
    arguments = ["update", "--root", root, "synthesis.epochs=2000", "synthesis.fit=null"]
    code, output = run_in_terminal(arguments, act="of 2000")
    lines = screen(output)
    assert code == 130 and "Traceback" not in output, output
    assert line.unfinished() and line.unfinished()[0].epochs is not None
    assert any(found.startswith("v0000  1/2 grow-new           epoch 1/1") for found in lines)
    said = " ".join(lines)
    assert "run the same command again to go on from its last checkpoint:" in said
    assert f"raygp update --root '{root}' synthesis.epochs=2000" in "".join(lines).replace("  raygp", " raygp")
    code, output = run_in_terminal([*arguments[:3], "synthesis.epochs=2000", "synthesis.fit=null"], act="goes on")
    assert code == 130 and "goes on from its last checkpoint: phase 2/2 (prune-permanent)" in output, output
