"""A watcher that is killed again and again while arrivals come, and what becomes of the line.

Twenty arrivals of scikit-learn's digits come into a drop folder, sometimes three at a time: two of them are damaged,
one drifts, one brings a class. The watcher, the process that updates for it or (on Ray) a training worker is killed
with -9 at moments drawn from a seed, and the watcher is started again, as a service is. Linux only: processes are
looked for in /proc.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from drills.checkout import PROJECT
from raygp.data.sources import open_source
from raygp.store import Location, create_line, list_versions, read_head
from raygp.store.watched import WatchNotes

GROUPS = (1, 1, 3, 1, 1, 3, 1, 3, 1, 1, 3, 1)
"""How many arrivals come at a time: twenty in all."""
DAMAGED, DRIFTING, NEW_CLASS = (4, 12), 9, 15
"""Positions among the twenty."""
ROWS = 80
TASK = {"name": "lenet-300-100"}
OPTIONS = [
    "synthesis.epochs=3", "plan.epochs=2", "gate_tolerance=0.6", "gate_class_tolerance=1", "checkpoint_minutes=0",
    "workers=1", "watch.interval_s=0.5", "watch.pause_s=0.5", "watch.attempts=9", "watch.drop.new_classes=true",
    "watch.drop.source=imagefolder", "ladder=false",
]  # fmt: skip
_PATIENCE_S = 600.0


@dataclass
class Came:
    """What a line came to."""

    history: list[dict[str, Any]]
    """Of each version: what it has seen and folded in, its mask and its accuracy."""
    head: str | None
    refused: list[str]
    """Names in the drop folder that could not be used."""
    left: list[str]
    """Arrivals that are left alone."""
    killed: list[str] = field(default_factory=list)
    """Who was killed, in order."""


def names() -> list[str]:
    """The twenty, in order."""
    return [f"day-{number:02d}" for number in range(sum(GROUPS))]


def run(root: str, drop: str, log: Path, kills: int = 0, seed: int = 0, on_ray: bool = False) -> Came:
    """Have a watcher look after a new line until all has come that comes.

    Args:
        root: of the line.
        drop: address of the drop folder.
        log: gets what the watchers say.
        kills: how many.
        seed: of their moments.
        on_ray: whether updates run on Ray, and its workers are among the victims.

    Raises:
        RuntimeError: an arrival came to nothing in ten minutes.
    """
    location, folder = Location(root), Location(drop, single_writer=True)
    create_line(location, TASK)
    draw, killed, waiting = random.Random(seed), list[str](), names()
    groups = list(GROUPS)
    due = [draw.randrange(len(groups)) for _ in range(kills)]
    with _Watching(root, drop, log, on_ray) as watching:
        for number, size in enumerate(groups):
            group, waiting = waiting[:size], waiting[size:]
            with watching.stopped():
                for name in group:
                    _put(folder, name)
                for name in group:  # Last, so that all of a group are complete at once.
                    folder.write_bytes(f"{name}/_SUCCESS", b"")
            for _ in range(due.count(number)):
                time.sleep(draw.uniform(0.2, 6.0))
                killed.append(watching.kill(draw.choice(["watcher", "driver", *(["worker"] if on_ray else [])])))
            _wait(location, group, watching)
    notes = WatchNotes(location).read()
    head = read_head(location)
    return Came(
        history=[
            {
                "version": card.version, "parent": card.parent, "arrivals": card.arrivals, "beside": card.beside,
                "mask": card.mask_digest, "accuracy": card.val_accuracy,
            }
            for card in list_versions(location)
        ],
        head=head.version if head else None,
        refused=sorted(name for name, drop in notes.drops.items() if drop.state == "refused"),
        left=sorted(notes.left),
        killed=[victim for victim in killed if victim],
    )  # fmt: skip


class _Watching:
    """A watcher's process, and those that follow it."""

    def __init__(self, root: str, drop: str, log: Path, on_ray: bool) -> None:
        options = ["--root", root, "--drop", drop, *OPTIONS]
        module = ["raygp", "watch"] if on_ray else ["drills.watching"]
        self._command = [sys.executable, "-m", *module, *options]
        self._log, self._scratch = log, tempfile.mkdtemp(prefix="rW-", dir="/tmp")

    def __enter__(self) -> _Watching:
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "RAY_TMPDIR": self._scratch}
        with self._log.open("a") as out:
            self.process = subprocess.Popen(self._command, env=environment, stdout=out, stderr=subprocess.STDOUT)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The watcher looks at nothing in the block."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self, victim: str) -> str:
        """Kill it with -9; the watcher is started again. Who was killed: empty if there was none."""
        if victim == "watcher":
            self.process.kill()
            self.process.wait()
            self._start()
            return victim
        mark = {"driver": b"_hands", "worker": b"ray::Ray"}[victim]
        found = [pid for pid, command in _below(self.process.pid) if mark in command]
        if not found:
            return ""
        os.kill(found[0], signal.SIGKILL)
        return victim

    def lives(self) -> bool:
        """Whether the watcher is there."""
        return self.process.poll() is None


def _below(pid: int) -> list[tuple[int, bytes]]:
    """Processes that a process has started, at any depth, with their command lines."""
    found, waiting = list[tuple[int, bytes]](), [pid]
    while waiting:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{waiting[-1]}/task/{waiting.pop()}/children").read_text().split()
            for child in map(int, children):
                found.append((child, Path(f"/proc/{child}/cmdline").read_bytes()))
                waiting.append(child)
    return found


def _put(folder: Location, name: str) -> None:
    """Put an arrival into the drop folder."""
    number = names().index(name)
    classes = "012345678" + ("9" if number >= NEW_CLASS else "")
    samples = [sample for sample in open_source("digits", image_size=28).samples() if sample.label in classes]
    for sample in samples[number * ROWS : (number + 1) * ROWS]:
        content = sample.load()
        if number in DAMAGED:
            content = b"no image"
        elif number == DRIFTING:
            inverted = io.BytesIO()
            ImageOps.invert(Image.open(io.BytesIO(content)).convert("L")).save(inverted, "PNG")
            content = inverted.getvalue()
        folder.write_bytes(f"{name}/{sample.label}/{sample.key}.png", content)


def _wait(location: Location, group: Sequence[str], watching: _Watching) -> None:
    """Until each of a group has come to something."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        drops = WatchNotes(location).read().drops
        refused = {name for name in group if name in drops and drops[name].state == "refused"}
        seen = {arrival for card in list_versions(location) for arrival in card.arrivals}
        head = read_head(location)
        cards = list_versions(location)
        if set(group) <= refused | seen and head is not None and head.version == cards[-1].version:
            return
        if not watching.lives() or time.monotonic() > deadline:
            raise RuntimeError(f"{', '.join(group)} came to nothing: see the log")
        time.sleep(0.5)


def _watch() -> None:
    """As ``raygp watch``, with updates in the process that updates, and not on Ray."""
    from raygp.cli import make_parser, watch
    from raygp.cli.options import parse_options
    from raygp.cli.running import run_command

    watch.HANDS = "drills.watching_hands"
    options = parse_options(make_parser(), ["watch", *sys.argv[1:]])
    sys.exit(run_command(lambda: watch.run(options)))


if __name__ == "__main__":
    _watch()
