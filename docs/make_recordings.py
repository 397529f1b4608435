"""Records what commands show on a terminal, as pictures in docs/recordings: ``python docs/make_recordings.py``.

Each command of :data:`RECORDINGS` is run in a terminal of 80 columns, one after the other, on a line of scanned digits.
Updates are carried out in the command's own process instead of on Ray, so that this needs no cluster; what the command
shows is the same. Figures differ from machine to machine, so no test compares the pictures with a new run.
"""

from __future__ import annotations

import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))

from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402

from docs.examples import make_images  # noqa: E402

FOLDER = Path(__file__).resolve().parent / "recordings"
COLUMNS, ROWS = 80, 50
_PATIENCE_S = 300.0
_PROGRAM = """\
import sys
import raygp.cluster.runner
from raygp.line.in_process import InProcessRunner
raygp.cluster.runner.RayRunner = lambda *given, **named: InProcessRunner()
from raygp.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Recording:
    """One picture."""

    name: str
    command: str
    """What is typed after ``raygp``: words between spaces."""
    before: tuple[str, ...] = ()
    """What is run before it and not shown."""


RECORDINGS = (
    Recording("ingest", "ingest week1 --root line --model lenet-300-100"),
    Recording(
        "update",
        "update --root line",
        ("update --root line synthesis.epochs=12", "ingest week2 --root line --arrival week2"),
    ),
    Recording("versions", "versions --root line"),
    Recording("doctor", "doctor --root line"),
)
"""In the order in which they are run."""


def screen(shown: bytes) -> list[str]:
    """The lines that stand on a terminal at the end, with their colours as escape codes.

    It knows what rich sends: lines that are written over as a whole. Columns within a line are not addressed.
    """
    lines, row, fresh = [""], 0, True
    for part in re.findall(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|\r\n|[\r\n]|[^\x1b\r\n]+", shown.decode(errors="replace")):
        move = re.fullmatch(r"\x1b\[(\d*)A", part)
        if part in ("\r\n", "\n"):
            row, fresh = row + 1, False
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            fresh = True
        elif move:
            row = max(row - int(move[1] or 1), 0)
        elif part in ("\x1b[2K", "\x1b[K", "\x1b[0K"):
            lines[row], fresh = "", False
        elif part == "\x1b[J" or part == "\x1b[0J":
            lines[row:] = [""]
        elif part.startswith("\x1b") and not part.endswith("m"):
            continue  # The cursor's looks, the window's title.
        else:
            lines[row] = part if fresh and not part.startswith("\x1b") else lines[row] + part
            fresh = False
    while lines and not Text.from_ansi(lines[-1]).plain.strip():
        lines.pop()
    return lines


def run(command: str, folder: Path) -> bytes:
    """What a command of raygp shows on a terminal.

    Raises:
        SystemExit: it failed.
    """
    program = folder / ".command.py"
    program.write_text(_PROGRAM)
    left_out = {"RAYGP_ROOT", "NO_COLOR", "COLUMNS", "LINES"}
    variables = {key: value for key, value in os.environ.items() if key not in left_out}
    variables |= {"PYTHONPATH": str(PROJECT), "TERM": "xterm-256color"}
    ours, theirs = pty.openpty()
    import fcntl
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(program), *command.split()],
        cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b"".join(_read(ours))
    os.close(ours)
    if process.wait() != 0:
        sys.exit(f"raygp {command}: exit code {process.returncode}\n{shown.decode(errors='replace')}")
    # Where this ran is nobody's business.
    places = {sys.prefix: "/home/you/.venv", str(PROJECT): "/home/you/src", str(folder): "/home/you"}
    for place, name in places.items():
        shown = shown.replace(place.encode(), name.encode())
    return shown


def _read(terminal: int) -> Iterator[bytes]:
    """What comes, until the program at the other end is gone."""
    while select.select([terminal], [], [], _PATIENCE_S)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so where nobody has the other end open any more.
            return
        if not part:
            return
        yield part


def picture(name: str, command: str, lines: list[str]) -> str:
    """A terminal as SVG, with what was typed and what was shown."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (f"raygp {command}", "bold")), soft_wrap=True)
    for line in lines:
        text = Text.from_ansi(line)
        # As a terminal does with lines that are too long for it.
        for part in text.divide(range(COLUMNS, len(text), COLUMNS)):
            console.print(part, soft_wrap=True, highlight=False)
    # Fonts would come from the network: what the reader's machine has will do.
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")
    return console.export_svg(title="", code_format=template, unique_id=f"raygp-{name}") + "\n"


def main() -> None:
    """Make all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_images(folder)
        for recording in RECORDINGS:
            for command in recording.before:
                run(command, folder)
            shown = screen(run(recording.command, folder))
            (FOLDER / f"{recording.name}.svg").write_text(picture(recording.name, recording.command, shown))
            print(f"docs/recordings/{recording.name}.svg: {len(shown)} lines")


if __name__ == "__main__":
    main()
