"""Runs the examples that README.md and docs/getting-started.md show, and renews the output that they show.

``python docs/examples.py`` runs the shell and Python blocks of both pages, each page in a new folder with generated
images, and replaces the ``text`` block that follows a block by what it printed. What both pages begin with is run
once, so that they show the same. A test runs the same blocks and looks at exit codes alone, since times and accuracies
differ between machines.

A block after ``<!-- not run: why -->`` is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGES = (PROJECT / "README.md", PROJECT / "docs" / "getting-started.md")
IMAGES_OF_A_WEEK = {"week1": 400, "week2": 160}
"""How many images each generated folder has."""
_PROGRAM = """\
import sys
from raygp.cli import main, running
from raygp.report import progress
# Output that goes to no terminal has 160 columns. The pages show what a terminal of 80 columns would.
running._ROOM = progress._ROOM = 80
sys.exit(main())
"""
_BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^>]*-->\n)?```(?P<language>sh|python)\n(?P<code>.*?)```\n"
    r"(?P<output>\n```text\n.*?```\n)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One example of a page.

    Attributes:
        language: "sh" or "python".
        code: what stands between the fences.
        is_run: whether the page says nothing against it.
        line: number of its first line in the page, from 1.
        output: where in the page's text the output stands that is shown after it; None if none is.
    """

    language: str
    code: str
    is_run: bool
    line: int
    output: tuple[int, int] | None


def blocks_of(page: Path) -> list[Block]:
    """The shell and Python blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(
            found["language"],
            found["code"],
            found["skip"] is None,
            text.count("\n", 0, found.start("code")) + 1,
            found.span("output") if found["output"] else None,
        )
        for found in _BLOCK.finditer(text)
    ]


def run_blocks(page: Path) -> list[Block]:
    """Those of a page that are run, in order."""
    return [block for block in blocks_of(page) if block.is_run]


def common_start(pages: Sequence[Path]) -> int:
    """With how many examples that are run, word for word, all pages begin."""
    alike = zip(*([(block.language, block.code) for block in run_blocks(page)] for page in pages), strict=False)
    return sum(1 for _ in takewhile(lambda blocks: len(set(blocks)) == 1, alike))


def make_images(folder: Path) -> None:
    """Folders of scanned digits as JPEGs, one subfolder a class: what a reader's own images would be."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    start = 0
    for week, count in IMAGES_OF_A_WEEK.items():
        for number in range(start, start + count):
            pixels = (digits.images[number] * (255 / 16)).astype("uint8")
            file = folder / week / f"digit-{digits.target[number]}" / f"{number:04d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert("RGB").resize((32, 32)).save(file, quality=95)
        start += count


def environment(folder: Path) -> dict[str, str]:
    """Variables for the examples: this checkout's raygp as ``raygp``, and ``python`` as the Python that runs now."""
    programs = folder / ".programs"
    programs.mkdir(exist_ok=True)
    (programs / "command.py").write_text(_PROGRAM)
    commands = {"raygp": f'"{sys.executable}" "{programs / "command.py"}"', "python": f'"{sys.executable}"'}
    for name, command in commands.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {key: value for key, value in os.environ.items() if key != "RAYGP_ROOT"} | {
        "PATH": path,
        "PYTHONPATH": str(PROJECT),
        "COLUMNS": "80",
    }


def run_block(block: Block, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one example in ``folder``; its standard output and standard error come together."""
    command = ["bash", "-eu", "-c", block.code] if block.language == "sh" else [sys.executable, "-c", block.code]
    return subprocess.run(
        command, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )


def renew(pages: Sequence[Path]) -> None:
    """Run the examples of pages and write what they print into them.

    Raises:
        SystemExit: an example failed; its page and those after it stay as they are.
    """
    with tempfile.TemporaryDirectory() as scratch:
        first = Path(scratch) / "0"
        make_images(first)
        shared = common_start(pages)
        begun = [_printed(pages[0], block, first) for block in run_blocks(pages[0])[:shared]]
        folders = [first, *(Path(scratch) / str(number) for number in range(1, len(pages)))]
        for folder in folders[1:]:
            shutil.copytree(first, folder)
        for page, folder in zip(pages, folders, strict=True):
            blocks = run_blocks(page)
            _write(page, blocks, [*begun, *(_printed(page, block, folder) for block in blocks[shared:])])


def _printed(page: Path, block: Block, folder: Path) -> str:
    """Run an example; what it prints, as a page shows it."""
    done = run_block(block, folder, environment(folder))
    if done.returncode:
        raise SystemExit(f"{page.name}, line {block.line}: exit code {done.returncode}\n{done.stdout}")
    printed = done.stdout.replace(str(folder), "/home/you")
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n")


def _write(page: Path, blocks: Sequence[Block], printed: Sequence[str]) -> None:
    """Replace the output that a page shows."""
    text = page.read_text()
    for block, shown in reversed([*zip(blocks, printed, strict=True)]):
        if block.output:
            start, end = block.output
            text = f"{text[:start]}\n```text\n{shown}\n```\n{text[end:]}"
    page.write_text(text)


def main() -> None:
    """Renew the pages that are named, or both."""
    parser = argparse.ArgumentParser(description="Run the examples of pages and renew the output that they show.")
    parser.add_argument("pages", nargs="*", type=Path, default=list(PAGES), help="default: README, getting-started")
    renew(parser.parse_args().pages)


if __name__ == "__main__":
    main()
