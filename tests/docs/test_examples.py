"""The examples of README and of the getting-started page run as they stand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from docs.examples import (
    PAGES,
    PROJECT,
    Block,
    blocks_of,
    common_start,
    environment,
    make_images,
    run_block,
    run_blocks,
)


def run(page: Path, blocks: Sequence[Block], folder: Path, ray_address: str) -> None:
    variables = environment(folder) | {"RAY_ADDRESS": ray_address}
    for block in blocks:
        done = run_block(block, folder, variables)
        assert done.returncode == 0, f"{page.name}, line {block.line}: {done.stdout}"


@pytest.fixture(scope="module")
def ray_address(cluster: None) -> str:
    """Address of the cluster that tests share: the examples join it instead of starting one for each command."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Path:
    """A folder in which the examples have run that all pages begin with; to be copied."""
    folder = tmp_path_factory.mktemp("examples") / "folder"
    make_images(folder)
    run(PAGES[0], run_blocks(PAGES[0])[: common_start(PAGES)], folder, ray_address)
    return folder


@pytest.mark.cluster
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run_one_after_the_other(page: Path, begun: Path, tmp_path: Path, ray_address: str) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "folder"))
    run(page, run_blocks(page)[common_start(PAGES) :], folder, ray_address)


def test_both_pages_begin_with_the_same_two_updates() -> None:
    """They are what takes time, and readers of one page find the figures of the other."""
    for page in PAGES:
        blocks = run_blocks(page)
        updates = [number for number, block in enumerate(blocks) if "raygp update" in block.code]
        assert len(updates) == 2 and updates[-1] < common_start(PAGES) <= len(blocks)


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
