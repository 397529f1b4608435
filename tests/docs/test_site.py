"""What the site needs beside Markdown that is right. That it builds without a warning is found out by ``make docs``."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs import conf, make_recordings
from tests.checkout import PROJECT

PAGES = {path.relative_to(PROJECT).with_suffix("").as_posix() for path in (PROJECT / "docs").rglob("*.md")}
PICTURES = sorted((PROJECT / "docs" / "recordings").glob("*.svg"))


def test_every_page_is_listed_once_and_so_stands_at_the_side() -> None:
    listed = [page for pages in conf.sections().values() for page in pages.values()]
    assert sorted(listed) == sorted(set(listed)), "twice"
    beside = set(conf._BESIDE.values())
    assert set(listed) == PAGES | beside and all((PROJECT / f"{page}.md").exists() for page in listed)


def test_the_reference_of_python_names_modules_that_there_are() -> None:
    text = (PROJECT / "docs" / "reference" / "python.md").read_text()
    modules = re.findall(r"<!-- members: (\S+) -->", text)
    assert modules == re.findall(r"^## (\S+)$", text, flags=re.MULTILINE), "each under its own heading"
    assert conf._MEMBERS.findall(text) == modules, "each after a sentence for those who read it on a forge"
    assert all(find_spec(module) for module in modules)


def test_a_page_gets_what_the_site_has_beyond_markdown() -> None:
    content = ["# raygp\n\n## raygp.line\n\nA line.\n\n<!-- members: raygp.line -->\n"]
    conf.add_what_the_site_has(None, "docs/reference/python", content)  # type: ignore[arg-type]
    assert "automodule:: raygp.line" in content[0] and "A line." not in content[0] and "toctree" not in content[0]
    content = ["# raygp\n"]
    conf.add_what_the_site_has(None, conf.root_doc, content)  # type: ignore[arg-type]
    assert content[0].count("{toctree}") == len(conf.sections()) and "Serve </docs/guides/serve>" in content[0]


@pytest.mark.parametrize(
    ("shown", "lines"),
    [
        ("one\r\ntwo\r\n\r\n", ["one", "two"]),
        ("bar 10%\rbar 100%\r\n", ["bar 100%"]),
        ("\x1b[?25lfirst\r\x1b[2Ksecond\r\n\x1b[?25h", ["second"]),
        ("a\r\nb\r\nc\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2Kd\r\n", ["d"]),
        ("\x1b[32mgreen\x1b[0m and not\r\n", ["\x1b[32mgreen\x1b[0m and not"]),
        ("above\r\nlive\x1b[1A\x1b[Jend\r\n", ["end"]),
    ],
)
def test_what_stands_on_the_terminal_at_the_end(shown: str, lines: list[str]) -> None:
    assert make_recordings.screen(shown.encode()) == lines


def test_a_picture_has_what_was_typed_and_shown() -> None:
    picture = make_recordings.picture("test", "status", ["\x1b[31mred\x1b[0m", "x" * 100])
    text = re.sub(r"&#160;", " ", picture)
    assert "raygp status" in text and ">red<" in text
    assert "x" * 80 in text and "x" * 81 not in text, "as wide as a terminal"


def test_every_recording_has_its_picture_and_a_page_that_shows_it() -> None:
    assert [file.stem for file in PICTURES] == sorted(recording.name for recording in make_recordings.RECORDINGS)
    text = "".join((PROJECT / f"{page}.md").read_text() for page in PAGES)
    assert all(f"recordings/{file.name})" in text for file in PICTURES)


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.stem)
def test_a_picture_asks_nothing_of_the_network_and_tells_nothing_of_the_machine(file: Path) -> None:
    text = file.read_text()
    assert "url(http" not in text and "@font-face" not in text and "@import" not in text and "<script" not in text
    shown = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
    places = re.findall(r"(?<![\w:/.])/[a-z]+/[^\s&]+", shown)
    assert all(place.startswith(("/home/you", "/usr/bin", "/dev/shm")) for place in places), places
