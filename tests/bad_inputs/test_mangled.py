"""Inputs of every source with bytes flipped, cut or lost, files renamed, hidden, copied or re-encoded.

Whatever comes in, an ingest publishes it or says in one line why not. What is not damaged keeps its bytes, label and
split, and every row that was there is published, in quarantine, skipped as a duplicate or counted as passed over.

The suite tries some sixty inputs, always the same ones. A thousand others::

    MANGLED_ROUNDS=1000 python -m pytest tests/bad_inputs/test_mangled.py --hypothesis-seed=1
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.bad_inputs.mangling import (
    BYTE_CHANGES,
    KINDS,
    TREE_CHANGES,
    Change,
    Kind,
    Outcome,
    broken_rules,
    mangled,
    take_in,
)

ROUNDS = int(os.environ.get("MANGLED_ROUNDS", 0))
MOST_MIB = 1024
"""By so much may the memory of this process grow: a damaged header can promise an image of 134 million pixels."""

numbers = st.integers(0, 1 << 20)
changes = st.lists(st.tuples(st.sampled_from(BYTE_CHANGES + TREE_CHANGES), numbers, numbers), min_size=1, max_size=3)


def try_out(kind: Kind, changes: list[Change]) -> list[str]:
    """Rules that an input breaks."""
    folder = Path(tempfile.mkdtemp(prefix="raygp-mangled-"))
    try:
        tree, packed = mangled(kind, changes)
        return broken_rules(kind, tree, packed, take_in(kind, packed, folder))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_valid_inputs_come_out_as_they_are(kind: Kind) -> None:
    assert try_out(kind, []) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_mangled_inputs_are_refused_or_come_out_right(kind: Kind) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=-(-ROUNDS // len(KINDS)) or 5,
        derandomize=not ROUNDS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if ROUNDS else [Phase.generate],
        print_blob=False,
    )
    @given(changes)
    def round_of(changes: list[Change]) -> None:
        assert try_out(kind, changes) == []

    round_of()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MOST_MIB


def test_the_rules_can_be_broken(tmp_path: Path) -> None:
    kind = next(kind for kind in KINDS if kind.name == "split folders")
    tree, packed = mangled(kind, [])
    outcome = take_in(kind, packed, tmp_path)
    assert broken_rules(kind, tree, packed, outcome) == []
    split, label, sample = outcome.published[0]
    others = outcome.published[1:]
    for wrong in (
        (split, "dog" if label != "dog" else "cat", sample),
        ("val", label, sample),
        (split, label, sample[:-1]),
    ):
        changed = replace(outcome, published=[wrong, *others])
        assert "became" in broken_rules(kind, tree, packed, changed)[0]
    lost = replace(outcome, published=others, listed=outcome.listed)
    assert [rule.partition(" of ")[0] for rule in broken_rules(kind, tree, packed, lost)[1:]] == ["1"]
    unheard = replace(outcome, published=others, listed=outcome.listed - 1)
    assert "passed over" in broken_rules(kind, tree, packed, unheard)[1]
    assert "without need" in broken_rules(kind, tree, packed, Outcome(refused="no"))[0]
