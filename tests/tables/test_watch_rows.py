"""Rows that a version answers are looked at and parsed once."""

from __future__ import annotations

import json

import pytest

from raygp.tasks import tabular_cells, tabular_watch
from raygp.tasks.tabular_cells import read_row
from raygp.tasks.tabular_fit import ColumnSpec
from raygp.tasks.tabular_watch import RowWatch


def test_a_row_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    monkeypatch.setattr(tabular_watch, "read_row", lambda sample: parsed.append(sample) or read_row(sample))
    watch = RowWatch([ColumnSpec(name="age", kind="number", mean=30, deviation=5)])
    sample = json.dumps({"Age": 1e9}).encode()
    row = watch.seen(sample)
    assert row == sample and watch.rows == 1 and "far outside" in watch.lines[0]
    monkeypatch.setattr(tabular_cells.json, "loads", lambda text: pytest.fail("parsed again"))
    assert read_row(row) == {"age": 1e9} and parsed == [sample]


def test_what_is_no_row_is_left_as_it_is() -> None:
    watch = RowWatch([ColumnSpec(name="age", kind="number")])
    assert type(watch.seen(b"[1]")) is bytes and watch.rows == 0
    with pytest.raises(ValueError, match="has to be a JSON object"):
        read_row(watch.seen(b"{"))
