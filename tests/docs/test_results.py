"""Pages of results are easy to read: a table, a figure and a command for each workload, few numbers in the text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checkout import PROJECT

RESULTS = PROJECT / "docs" / "results"
WORKLOADS = [file.stem for file in sorted((PROJECT / "benchmarks" / "results").glob("*.jsonl"))]
NAMES = r"LeNet-300-100|LeNet-5|ResNet-18|DeepSpeech2|LeNet|v\d{4}|S3|H200s|AN4|arXiv [\d.]+|seeds? \d|Gbit/s"
"""Digits in names are no numbers."""


def paragraphs(page: Path) -> list[str]:
    """Paragraphs of running text; each item of a list is one."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\n(?=- )", "\n\n", text)
    return [part for part in re.split(r"\n\s*\n", text) if not part.lstrip().startswith(("|", "#"))]


def numbers(paragraph: str) -> list[str]:
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", paragraph)
    return re.findall(r"\d[\d.,]*", re.sub(NAMES, " ", text))


@pytest.mark.parametrize("page", sorted(RESULTS.glob("*.md")), ids=lambda page: page.stem)
def test_no_paragraph_has_more_than_three_numbers(page: Path) -> None:
    crowded = [(len(numbers(part)), part) for part in paragraphs(page) if len(numbers(part)) > 3]
    assert not crowded


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_has_a_table_a_figure_and_a_command(workload: str) -> None:
    text = (RESULTS / f"{workload}.md").read_text()
    assert f"({workload}.png)" in text and (RESULTS / f"{workload}.png").exists()
    assert f"python benchmarks/training_cost.py --workload {workload} " in text
    assert f"({workload}.md)" in (RESULTS / "README.md").read_text()
