"""The examples of CONTRIBUTING.md run, each alone and all of them together in one line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raygp
from raygp.data.sources import SOURCES
from raygp.export import FORMATS
from raygp.registry import Registry
from raygp.search.algorithms import SEARCHES, SearchRequest
from raygp.store.backends import STORES
from raygp.tasks import TASKS
from raygp.tell import TELLERS, listeners
from raygp.update.criteria import GROWTH_CRITERIA, PRUNING_CRITERIA
from raygp.update.optimizers import OPTIMIZERS
from raygp.update.phases import PHASES
from tests.checkout import PROJECT
from tests.export.lines import untrained

TEXT = (PROJECT / "CONTRIBUTING.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n\n```toml\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
"""The Python of each example and the lines of pyproject.toml after it."""
TABLES: list[Registry[Any]] = [
    TASKS,
    PHASES,
    GROWTH_CRITERIA,
    PRUNING_CRITERIA,
    SEARCHES,
    SOURCES,
    STORES,
    OPTIMIZERS,
    TELLERS,
    FORMATS,
]
REGISTRIES = {table.group: table for table in TABLES}


def entry_point(toml: str) -> tuple[str, str, str]:
    """Group, name and attribute of the one entry point of an example."""
    ((group, entries),) = tomllib.loads(toml)["project"]["entry-points"].items()
    ((name, value),) = entries.items()
    return group, name, value.partition(":")[2]


def run_example(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    return names


@pytest.fixture
def clean() -> Iterator[None]:
    """Afterwards nothing of the examples is registered."""
    yield
    for _, toml in EXAMPLES:
        group, name, _ = entry_point(toml)
        REGISTRIES[group].forget(name)


def test_there_is_one_example_of_each_kind() -> None:
    assert "## The ten registries" in TEXT and len(REGISTRIES) == 10
    assert sorted(entry_point(toml)[0] for _, toml in EXAMPLES) == sorted(REGISTRIES)
    assert TEXT.count("```python\n") == len(EXAMPLES)
    assert all(f"`{group}`" in TEXT for group in REGISTRIES)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(("code", "toml"), EXAMPLES, ids=[entry_point(toml)[0] for _, toml in EXAMPLES])
def test_the_entry_point_is_what_the_example_registers(code: str, toml: str) -> None:
    group, name, attribute = entry_point(toml)
    assert name not in REGISTRIES[group]
    names = run_example(code)
    assert REGISTRIES[group].get(name) is names[attribute]


@pytest.mark.usefixtures("clean")
def test_all_examples_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    for code, _ in EXAMPLES:
        run_example(code)
    digits = load_digits()
    np.savez(tmp_path / "digits.npz", images=(digits.images[:400] * 15).astype(np.uint8), labels=digits.target[:400])
    monkeypatch.setenv("TEAM_DISK", str(tmp_path))
    line = raygp.open("team://digits")
    line.ingest(f"npz:{tmp_path / 'digits.npz'}", task={"name": "small", "image_size": 8, "channels": 1})
    settings = line.settings(
        None,
        "synthesis.phases=[{kind: grow-all, epochs: 0}, {kind: train-until, accuracy: 1.0, rounds: 2, epochs: 1}, "
        "{kind: prune-permanent, epochs: 1}]",
        "synthesis.growth=noisy-gradient",
        "synthesis.pruning=share-of-unit",
        "synthesis.optimizer={name: rmsprop}",
        "synthesis.lr=0.01",
        f"tell=[{{kind: head-file, file: '{tmp_path / 'head.txt'}'}}]",
    )
    with listeners(settings.tell, line) as told:
        line.listen(told)
        (version,) = line.update(settings)
    assert (tmp_path / "head.txt").read_text() == version.name
    card = version.card
    assert [phase.kind for phase in card.phases] == ["grow-all", "train-until", "prune-permanent"]
    assert [epoch.round for epoch in card.phases[1].history] == [0, 1]
    assert card.phases[0].grown and card.phases[2].pruned
    assert card.plan["optimizer"] == {"name": "rmsprop", "decay": 0.99}
    assert (tmp_path / "digits" / "head.json").exists()


@pytest.mark.usefixtures("clean")
def test_the_search_algorithm_tries_the_best_points_first() -> None:
    for code, _ in EXAMPLES:
        run_example(code)
    known = [({"alpha": value / 10}, float(value)) for value in range(5)]
    request = SearchRequest(space={}, points=[{"alpha": 0.9}], known=known, concurrent=2, seed=0)
    searcher = SEARCHES.get("best-first").make(request)
    assert [point["alpha"] for point in searcher._points_to_evaluate] == [0.9, 0.4, 0.3, 0.2]


@pytest.mark.usefixtures("clean")
def test_the_export_format_writes_a_file_that_answers_as_the_version_does(tmp_path: Path) -> None:
    for code, _ in EXAMPLES:
        run_example(code)
    head = untrained(tmp_path / "line", {"name": "lenet-300-100"}).head
    assert head is not None
    exported = head.export(tmp_path / "out", "npz")  # Fails if the file or predict.py answers anything else.
    assert exported.model.name == "model.npz" and exported.about["check"]["rows"] > 0
    with np.load(exported.model) as arrays:
        assert set(arrays) == set(head.model().state_dict())


def test_ten_changes_touch_two_files_at_most() -> None:
    (table,) = re.findall(r"^\| change \| files \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT, flags=re.MULTILINE)
    rows = table.splitlines()
    assert len(rows) == 10
    for row in rows:
        files = re.findall(r"`(raygp/[^`]+)`", row)
        assert 1 <= len(files) <= 2, row
        for file in files:
            path = PROJECT / file
            assert path.parent.is_dir() if "<name>" in file else path.is_file(), file
