"""Sweeps that raygp 0.1.0 began are gone on with: what Ray Tune pickled of them is found under its old names."""

import pickle

import pytest

from raygp.cluster.searches.optuna import ExperiencedSearch

NAMES = [
    ("raygp.cluster.sweep_watch", "Budget"),
    ("raygp.cluster.sweep_watch", "Lines"),
    ("raygp.cluster.sweep_search", "_Scheduler"),
    ("raygp.cluster.sweep_search", "_ExperiencedSearch"),
]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda part: part)
def test_a_class_in_a_stored_sweep_is_found(module: str, name: str) -> None:
    assert isinstance(pickle.loads(f"c{module}\n{name}\n.".encode()), type)


def test_the_searcher_of_a_stored_sweep_is_todays() -> None:
    assert pickle.loads(b"craygp.cluster.sweep_search\n_ExperiencedSearch\n.") is ExperiencedSearch
