"""What README and docs show is what the code does."""

import re
from pathlib import Path

import pytest

from benchmarks.cost.protocol import markdown_row, orders_row
from benchmarks.cost.workloads import TITLES
from benchmarks.training_cost import read_rows
from raygp.cli import make_parser
from raygp.settings import load_settings
from tests.checkout import PROJECT

DOCS = PROJECT / "docs"
RESULTS = DOCS / "results"
COSTS = (RESULTS / "README.md").read_text().splitlines()


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks("python", "guides/library.md"))
def test_python_blocks_run(block: str) -> None:
    exec(compile(block, "library.md", "exec"), {})


def test_the_settings_shown_are_the_defaults(tmp_path: Path) -> None:
    (block,) = blocks("yaml", "reference/settings-file.md")
    file = tmp_path / "settings.yaml"
    file.write_text(block)
    shown, default = load_settings("lenet-300-100", str(file)), load_settings("lenet-300-100")
    names = {"name": True}
    assert shown.model_dump(exclude={"plan": names, "synthesis": True}) == default.model_dump(
        exclude={"plan": names, "synthesis": True}
    )


def test_the_table_of_costs_shows_the_recorded_runs() -> None:
    files = sorted((PROJECT / "benchmarks" / "results").glob("*.jsonl"))
    assert files
    for file in files:
        rows, page = read_rows(file), (RESULTS / f"{file.stem}.md").read_text().splitlines()
        for share in sorted({row["new_share"] for row in rows} - {1.0}):
            assert markdown_row(rows, share, TITLES[file.stem]) in COSTS
            assert markdown_row(rows, share, TITLES[file.stem]) in page


def test_the_papers_order_of_phases_is_shown_where_it_was_run() -> None:
    shown, page = 0, (RESULTS / "paper-order.md").read_text().splitlines()
    for file in sorted((PROJECT / "benchmarks" / "results").glob("*.jsonl")):
        rows = read_rows(file)
        for share in {row["new_share"] for row in rows if row["method"] == "paper"}:
            assert orders_row(rows, share, TITLES[file.stem]) in page
            shown += 1
    assert shown


def test_every_option_of_the_command_is_explained() -> None:
    page = (DOCS / "reference" / "options.md").read_text()
    commands = next(action for action in make_parser()._actions if action.dest not in ("help", "version"))
    for parser in commands.choices.values():
        for action in parser._actions:
            for option in action.option_strings:
                if option.startswith("--") and option not in ("--help", "--verbose"):
                    assert f"`{option}" in page, option


def said_of(cell: str, options: int, commands: set[str]) -> list[set[str]]:
    """Who has each of the options of a row, as its second column says: for all of them, or after a semicolon each."""
    found = []
    for part in re.sub(r"\(.*?\)", "", cell).split(";"):
        names = set(re.findall(r"[a-z-]+", part)) & commands
        is_all = part.strip().startswith("all")
        found.append(commands - names if is_all else names)
    return found if len(found) == options else found * options


def test_the_page_of_options_says_who_has_them() -> None:
    page = (DOCS / "reference" / "options.md").read_text()
    parsers = next(a for a in make_parser()._actions if a.dest not in ("help", "version")).choices
    said: dict[str, set[str]] = {}
    for where, cell in re.findall(r"^\| (`-.*?) \| (.*?) \|", page, re.MULTILINE):
        options = [option.split()[0].split("[")[0] for option in re.findall(r"`(-[^`]*)`", where)]
        for option, names in zip(options, said_of(cell, len(options), set(parsers)), strict=True):
            said[option] = said.get(option, set()) | names
    assert len(said) > 60
    has = {name: {option for a in parser._actions for option in a.option_strings} for name, parser in parsers.items()}
    wrong = {
        option: (names, found)
        for option, names in said.items()
        if names != (found := {name for name, options in has.items() if option in options})
    }
    assert not wrong


def test_the_readme_is_short_and_its_results_are_those_of_the_table_of_costs() -> None:
    lines = (PROJECT / "README.md").read_text().splitlines()
    assert len(lines) <= 200
    results = [line for line in lines if line.startswith("| ") and ", 10%" in line]
    assert len(results) == 4 and set(results) <= set(COSTS)
