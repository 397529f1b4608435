"""The examples of CONTRIBUTING.md run."""

import re

import pytest

from tests.checkout import PROJECT

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (PROJECT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_example_runs(block: str) -> None:
    exec(compile(block, "CONTRIBUTING.md", "exec"), {})


def test_every_group_of_entry_points_is_named() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    groups = (
        "tasks",
        "phases",
        "growth_criteria",
        "pruning_criteria",
        "optimizers",
        "search_algorithms",
        "sources",
        "stores",
    )
    for group in groups:
        assert f"`raygp.{group}`" in text
