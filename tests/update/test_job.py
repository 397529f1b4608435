"""What names an update: settings of the gate that raygp 0.1.0 did not have count only where they differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raygp.errors import InputError
from raygp.line.jobs import next_job
from raygp.line.state import read_state
from raygp.settings import load_settings
from raygp.store import Location
from tests.conftest import line_of_two_versions


def test_the_gates_settings_reach_the_update_and_name_it_where_they_differ(location: Location) -> None:
    state = read_state(line_of_two_versions(location))
    arrival = state.pending[0]
    job, _ = next_job(location, state, arrival, load_settings("lenet-300-100"))
    assert (job.gate_class_tolerance, job.gate_new_margin) == (0.05, 0.0)
    given = load_settings("lenet-300-100", overrides=["gate_class_tolerance=0.1", "gate_new_margin=0.3"])
    other, _ = next_job(location, state, arrival, given)
    assert (other.gate_class_tolerance, other.gate_new_margin) == (0.1, 0.3)
    assert job.update_id != other.update_id
    assert replace(job, gate_class_tolerance=0.1, gate_new_margin=0.3).update_id == other.update_id
    assert replace(other, gate_class_tolerance=0.05, gate_new_margin=0.0).update_id == job.update_id


@pytest.mark.parametrize("override", ["gate_class_tolerance=1.1", "gate_new_margin=-0.1"])
def test_shares_only(override: str) -> None:
    with pytest.raises(InputError, match=override.split("=")[0]):
        load_settings("lenet-300-100", overrides=[override])
