"""How the live view looks: bars, curves and the lines that are made of them. Everything fits into a given width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

from raygp.events import InPhase
from raygp.record import called
from raygp.report.baseline import FINE_TUNING_EPOCHS
from raygp.report.live_state import Busy, LiveState, Trials

_LABEL = 12
"""Columns of what a line is about."""
_NAMED_LAYERS = 6
"""Where there are more, layers have no line of their own."""


@dataclass(frozen=True)
class Marks:
    """The characters that things are drawn with."""

    levels: str
    """From nothing to full."""
    full: str
    half: str
    """Where a bar ends between two columns; empty: nowhere."""
    rest: str
    done: str
    now: str
    later: str
    spinner: str
    between: str
    cut: str
    """What stands for the rest of a text; empty: nothing does."""


BLOCKS = Marks("▁▂▃▄▅▆▇█", "━", "╸", "─", "✓", "▶", "·", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", " · ", "…")
ASCII = Marks("_.-=+*%#", "#", "", "-", "x", ">", ".", "|/-\\", ", ", "")


def bar(share: float, width: int, marks: Marks) -> Text:
    """A bar of so many columns, filled from the left."""
    filled = min(1.0, max(0.0, share)) * width
    whole = int(filled)
    half = marks.half if marks.half and filled - whole >= 0.5 and whole < width else ""
    text = Text().append(marks.full * whole + half, style="green")
    return text.append(marks.rest * (width - whole - len(half)), style="dim")


def curve(values: Sequence[float], width: int, marks: Marks) -> str:
    """Values as a row of levels between the lowest and the highest, at most ``width`` of them: neighbours are merged
    where there are more. What is not finite is left out."""
    shown = [value for value in values if math.isfinite(value)]
    if len(shown) > width:
        edges = [round(place * len(shown) / width) for place in range(width + 1)]
        shown = [sum(shown[start:stop]) / (stop - start) for start, stop in pairwise(edges)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    return "".join(_level((value - low) / (high - low) if high > low else 0.0, marks) for value in shown)


def _level(share: float, marks: Marks) -> str:
    return marks.levels[min(len(marks.levels) - 1, int(share * len(marks.levels)))]


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def draw(state: LiveState, width: int, height: int, marks: Marks) -> list[Text]:
    """The lines of the view, none wider than ``width``; at most ``height`` of them, of which those that matter least
    are left out.

    Args:
        state: what to show.
        width: columns.
        height: lines.
        marks: characters to draw with.
    """
    # With its importance: what matters least goes first.
    lines: list[tuple[int, Text]] = []
    if state.update is not None:
        lines.append((7, _title(state, width, marks)))
    if state.trials is not None:
        lines.append((8, _trials(state.trials, marks, state.update.metric if state.update else "")))
    elif state.phases:
        lines.append((8, track(state, width, marks)))
    lines.append((9, _now(state, width, marks)))
    metric = state.update.metric if state.update else ""
    room = max(8, min(40, width - _LABEL - 24))
    if state.losses:
        value = f"  {state.losses[-1]:.3f}"
        lines.append((5, _labelled("loss", curve(state.losses, room, marks), value)))
    if state.accuracies:
        value = f"  {called(state.accuracies[-1], metric)}"
        lines.append((6, _labelled("validation", curve(state.accuracies, room, marks), value)))
    lines += [(3, line) for line in layers(state, width, marks)]
    lines += [(4, line) for line in _cost(state, width)]
    while len(lines) > max(1, height):
        lines.remove(min(lines, key=lambda line: line[0]))
    for _, line in lines:
        line.no_wrap = True
        _cut(line, width, marks)
    return [line for _, line in lines]


def _title(state: LiveState, width: int, marks: Marks) -> Text:
    update = state.update
    assert update is not None
    start = f"from {update.parent}" if update.parent else "initial synthesis"
    text = f"{update.arrival}, {start}, plan '{update.plan}'"
    if state.rung is not None and state.rung.rungs > 1:
        text += f", rung {state.rung.rung + 1} of {state.rung.rungs} '{state.rung.name}'"
    spent = duration(state.clock() - state.started)
    line = Text().append(update.version, style="bold").append(f"  {text}")
    _cut(line, max(8, width - len(spent) - 2), marks)
    return line.append(" " * max(2, width - line.cell_len - len(spent))).append(spent, style="dim")


def track(state: LiveState, width: int, marks: Marks) -> Text:
    """The phases in a row: what is done, the one that runs and how far it is, and what is to come."""
    at = state.place.phase if state.place is not None else -1
    parts = _phase_names(state, at, marks, named=True)
    if sum(map(len, parts)) + 3 * len(parts) + 8 > width:
        parts = _phase_names(state, at, marks, named=False)
    room = max(6, min(30, width - sum(map(len, parts)) - 2 * len(parts) - 6))
    line = Text()
    for number, part in enumerate(parts):
        style = "green" if number < at else "bold" if number == at else "dim"
        line.append("  " if number else "").append(part, style=style)
        if number == at:
            share = _share_of_phase(state)
            line.append(" ").append_text(bar(share, room, marks)).append(f" {share:.0%}")
    return line


def _phase_names(state: LiveState, at: int, marks: Marks, named: bool) -> list[str]:
    found = []
    for number, phase in enumerate(state.phases):
        mark = marks.done if number < at else marks.now if number == at else marks.later
        found.append(f"{mark} {phase.kind}" if named or number == at else mark)
    return found


def _share_of_phase(state: LiveState) -> float:
    place = state.place
    assert place is not None
    if place.phase >= len(state.phases) or place.epochs == 0:
        return 1.0
    inside = state.step / state.steps if state.steps else 0.0
    return min(1.0, (place.epoch + inside) / place.epochs)


def _now(state: LiveState, width: int, marks: Marks) -> Text:
    """What is being done, and how long it will take."""
    parts = []
    if state.busy is not None:
        line = _busy(state.busy, state.clock(), width, marks)
    elif state.place is not None:
        line = Text(_place(state, state.place))
        if state.rate is not None:
            parts.append(f"{state.rate:,.0f} examples/s")
    else:
        line = Text(f"{_spin(state.clock(), marks)} working")
    if state.place is not None and (left := state.left.seconds(state.clock())) is not None and state.trials is None:
        parts.insert(0, f"{'at most' if state.left.is_most else 'about'} {duration(_rounded(left))} left")
    if state.stopping:
        parts = ["ends after a checkpoint"]
    for part in parts:
        if line.cell_len + len(part) + 3 <= width:
            line.append(marks.between + part, style="dim")
    return line


def _place(state: LiveState, place: InPhase) -> str:
    going = place.epoch < place.epochs and state.step > 0
    text = f"epoch {place.epoch + (1 if going else 0)} of {place.epochs}"
    if place.round:
        text = f"round {place.round + 1}, {text}"
    return f"{text}, step {state.step:,} of {state.steps:,}" if going else text


def _busy(busy: Busy, now: float, width: int, marks: Marks) -> Text:
    line = Text().append(_spin(now, marks), style="cyan").append(f" {busy.what}")
    if busy.total:
        line.append(f" {busy.done:,} of {busy.total:,} ")
        line.append_text(bar(busy.done / busy.total, max(4, min(24, width - line.cell_len - 8)), marks))
    waited = now - busy.since
    return line.append(f"  {duration(waited)}" if waited >= 1.0 else "", style="dim")


def _spin(now: float, marks: Marks) -> str:
    return marks.spinner[int(now * 8) % len(marks.spinner)]


def _rounded(seconds: float) -> float:
    """So that a figure which falls does not jump about."""
    return seconds if seconds < 10 else 5.0 * round(seconds / 5.0)


def layers(state: LiveState, width: int, marks: Marks) -> list[Text]:
    """Density by layer: a bar each where there are few, else a level each in one row."""
    if state.place is None:
        return []
    whole = _labelled("density", "", f"{state.place.density:.3f}")
    found: Mapping[str, float] = state.densities
    if not found:
        return [whole]
    if len(found) > _NAMED_LAYERS:
        room = max(8, width - _LABEL - 22)
        shares = list(found.values())
        thinned = shares if len(shares) <= room else [shares[n * len(shares) // room] for n in range(room)]
        levels = "".join(_level(share, marks) for share in thinned)
        return [whole.append("  ").append(levels, style="cyan").append(f" {len(found)} layers", style="dim")]
    longest = min(max(map(len, found)), max(8, width - 40))
    lines = [whole]
    for name, share in found.items():
        shown = name if len(name) <= longest else f"{name[: longest - len(marks.cut)]}{marks.cut}"
        line = Text(" " * _LABEL).append(f"{shown:<{longest}} ", style="dim")
        drawn = bar(share, max(4, min(24, width - line.cell_len - 7)), marks)
        lines.append(line.append_text(drawn).append(f" {share:.3f}"))
    return lines


def _cost(state: LiveState, width: int) -> list[Text]:
    """What has been spent; beside it, where there is something to compare with, what dense fine-tuning would spend."""
    ledger, tuning = state.ledger, state.fine_tuning
    if ledger is None or not ledger.examples:
        return []
    spent = _labelled("cost", "", f"{ledger.examples:,.0f} examples, {_flops(ledger.sparse_flops)}")
    if tuning is None:
        return [spent]
    flops = tuning.examples * ledger.dense_flops / ledger.examples
    beside = _labelled("fine-tuning", "", f"{tuning.examples:,.0f} examples, {_flops(flops)}")
    assumed = f" (dense, {tuning.assumes})"
    if beside.cell_len + len(assumed) > width:
        beside = _labelled("fine-tuning", "", f"{tuning.examples:,.0f} examples")
        assumed = f" ({FINE_TUNING_EPOCHS} epochs)"
    return [spent, beside.append(assumed, style="dim")]


def _flops(count: float) -> str:
    """Arithmetic in a unit that a person can read."""
    for unit, size in (("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9)):
        if count >= size:
            return f"{count / size:,.3g} {unit}"
    return f"{count / 1e6:,.3g} MFLOP"


def _trials(trials: Trials, marks: Marks, metric: str) -> Text:
    ended = sum(trials.ended.values())
    line = Text("trials ").append_text(bar(ended / max(1, trials.total), 16, marks)).append(f" {ended}/{trials.total}")
    said = [f"{count} {state}" for state, count in trials.ended.items()]
    if trials.best is not None:
        said.append(f"best {called(trials.best, metric)}")
    if trials.examples:
        said.append(f"{trials.examples:,.0f} examples")
    return line.append(f"  {', '.join(said)}" if said else "", style="dim")


def _cut(line: Text, width: int, marks: Marks) -> None:
    line.truncate(width, overflow="ellipsis" if marks.cut else "crop")


def _labelled(label: str, drawn: str, text: str) -> Text:
    return Text().append(f"{label:<{_LABEL}}", style="dim").append(drawn, style="cyan").append(text)
