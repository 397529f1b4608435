"""One update of a line at a time."""

from __future__ import annotations

import json
import multiprocessing
import os

import pytest

from raygp.errors import ConflictError
from raygp.store import Location, lease, line_lease


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    monkeypatch.setattr(lease, "LAPSE_S", 3.0)


def _die_holding(location: Location) -> None:
    with line_lease(location, "raygp update"):
        os._exit(9)


def test_a_second_claim_is_refused_while_the_first_holds(any_location: Location) -> None:
    with line_lease(any_location, "raygp update"):
        with (
            pytest.raises(ConflictError, match=rf"raygp update is at work on this line \(process {os.getpid()} on"),
            line_lease(any_location, "raygp gc"),
        ):
            pass
        assert any_location.exists("lease.json")
    assert not any_location.exists("lease.json")
    with line_lease(any_location, "raygp update"):
        pass


def test_a_dead_processs_claim_is_taken_over_at_once(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LAPSE_S", 3600.0)
    child = multiprocessing.get_context("fork").Process(target=_die_holding, args=(location,))
    child.start()
    child.join()
    assert location.exists("lease.json")
    with line_lease(location, "raygp update"):
        assert json.loads(location.read_bytes("lease.json"))["pid"] == os.getpid()


def test_another_machines_claim_lapses_when_it_no_longer_changes(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LAPSE_S", 0.2)
    with line_lease(location, "raygp update"):
        content = json.loads(location.read_bytes("lease.json"))
    location.write_bytes("lease.json", json.dumps(content | {"host": "elsewhere"}).encode())
    with line_lease(location, "raygp update"):
        pass
    assert location.list() == []


def test_a_claim_that_was_taken_over_is_not_released_by_its_former_holder(location: Location) -> None:
    with line_lease(location, "raygp update"):
        content = json.loads(location.read_bytes("lease.json"))
        location.write_bytes("lease.json", json.dumps(content | {"holder": "another"}).encode())
    assert json.loads(location.read_bytes("lease.json"))["holder"] == "another"
