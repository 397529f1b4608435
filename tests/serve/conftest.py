"""A small line of real digits, and versions of it that are promoted at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import raygp
from raygp.line import Line
from raygp.settings import load_settings
from raygp.store import Card, Location, promote, read_head, read_tensors, version_to_make, write_version
from tests.digits import FewDigits

Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
HELD_OUT = list(FewDigits(300, 420).samples())


@pytest.fixture(scope="session")
def served_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with one version of 300 digits; to be copied, or only read."""
    root = tmp_path_factory.mktemp("served") / "digits"
    line = raygp.open(str(root))
    line.ingest(FewDigits(0, 300), task={"name": "lenet-300-100"})
    line.update(load_settings("lenet-300-100", overrides=["synthesis.epochs=6"]))
    return root


@pytest.fixture
def line(served_line: Path, tmp_path: Path) -> Line:
    """A copy of it."""
    shutil.copytree(served_line, tmp_path / "digits")
    return raygp.open(str(tmp_path / "digits"))


def promote_child(location: Location, change: Change = dict, damage: bool = False) -> Card:
    """Make a child of the head and promote it: the head's tensors, changed.

    Args:
        location: root of the line.
        change: what the child's tensors are.
        damage: write over the child's weights afterwards.
    """
    head = read_head(location)
    assert head is not None
    parent = raygp.open(location.root).version(head.version).card
    name = version_to_make(location, head)
    made = parent.model_copy(update={"version": name, "parent": head.version, "update": f"update-{name}", "files": []})
    card = write_version(location, made, change(read_tensors(location, parent)))
    promote(location, card, head)
    if damage:
        location.write_bytes(f"versions/{card.version}/{card.files[0].file}", b"x" * card.files[0].bytes)
    return card
