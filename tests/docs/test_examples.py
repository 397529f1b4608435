"""The examples of README and of the getting-started page run as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.examples import PAGES, PROJECT, blocks_of, environment, make_images, run_block


@pytest.mark.cluster
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run_one_after_the_other(page: Path, tmp_path: Path, ray_address: str) -> None:
    make_images(tmp_path)
    variables = environment(tmp_path) | {"RAY_ADDRESS": ray_address}
    for block in blocks_of(page):
        if block.is_run:
            done = run_block(block, tmp_path, variables)
            assert done.returncode == 0, f"{page.name}, line {block.line}: {done.stdout}"


@pytest.fixture(scope="module")
def ray_address(cluster: None) -> Iterator[str]:
    """Address of the cluster that tests share: the examples join it instead of starting one for each command."""
    import ray

    yield ray.get_runtime_context().gcs_address


def test_only_the_commands_that_set_everything_up_are_left_out() -> None:
    left_out = [block.code for page in PAGES for block in blocks_of(page) if not block.is_run]
    commands = {line.split("#")[0].strip() for code in left_out for line in code.splitlines()}
    assert commands <= {"make demo", "make test"}
    targets = re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_no_example_hides_in_a_fence_of_another_name() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(\S*)$", page.read_text(), flags=re.MULTILINE)
        assert set(fences[::2]) <= {"sh", "python", "text"}, page.name
