"""What ``raygp doctor --ray`` does."""

from __future__ import annotations

import re

import pytest

from raygp.cluster.look import try_ray
from raygp.errors import RaygpError

pytestmark = pytest.mark.cluster


def test_a_task_runs_and_the_cluster_is_told(cluster: None) -> None:
    assert re.fullmatch(r"2\.\d+\.\d+ ran a task; 1 node, \d+ CPUs, \d+ GPUs, \d+\.\d GiB of object store", try_ray())


def test_a_cluster_on_which_no_task_ends(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.cluster.look._PATIENCE_S", 0.0)
    with pytest.raises(RaygpError, match="Ray runs, but no task on it"):
        try_ray()
