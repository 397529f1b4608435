"""An ingest with few or no settings, and what loads for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from raygp.data.ingest import IngestSettings, default_shares, ingest, next_arrival, numbered_arrivals
from raygp.errors import InputError
from raygp.store import Location, list_arrivals
from tests.checkout import PROJECT
from tests.digits import FewDigits

TASK = {"name": "lenet-300-100"}


def test_without_settings_arrivals_are_numbered_and_hold_something_out(location: Location) -> None:
    (first,) = ingest(location, TASK, FewDigits(0, 200))
    (second,) = ingest(location, None, FewDigits(200, 400))
    assert [manifest.arrival for manifest in list_arrivals(location)] == ["arrival-000", "arrival-001"]
    for manifest in (first, second):
        assert {split: manifest.rows(split) for split in ("train", "val", "test")} == {
            "train": 144,
            "val": 26,
            "test": 30,
        }


def test_several_arrivals_share_as_the_jobs_do(location: Location) -> None:
    manifests = ingest(location, TASK, FewDigits(0, 200), IngestSettings(["one", "two", "three"], test_share=0.0))
    assert [manifest.rows("train") for manifest in manifests] == [102, 34, 34]


@pytest.mark.parametrize(("count", "shares"), [(1, [1.0]), (2, [0.6, 0.4]), (3, [0.6, 0.2, 0.2])])
def test_the_first_arrival_is_the_largest(count: int, shares: list[float]) -> None:
    assert default_shares(count) == pytest.approx(shares)


def test_names_follow_those_that_are_there() -> None:
    assert numbered_arrivals(2) == ["arrival-000", "arrival-001"]
    assert next_arrival([]) == "arrival-000"
    assert next_arrival(["monday", "tuesday"]) == "arrival-002"
    assert next_arrival(["monday", "arrival-002"]) == "arrival-003"  # Somebody took 002 already.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (IngestSettings(["a", "b"], [1.0]), "2 arrivals need as many shares, not 1"),
        (IngestSettings(["a", "a"]), "every arrival needs a name of its own, not a, a"),
    ],
)
def test_names_and_shares_must_go_together(location: Location, settings: IngestSettings, message: str) -> None:
    with pytest.raises(InputError) as caught:
        ingest(location, TASK, FewDigits(0, 100), settings)
    assert str(caught.value) == message
    assert not location.exists()


def test_importing_ingest_loads_nothing_that_decodes_or_trains() -> None:
    script = """
import sys
import raygp.data.batches, raygp.data.catalog, raygp.data.ingest, raygp.data.reading
own = ("raygp.tasks.images", "raygp.tasks.protocol", "raygp.tasks.speech", "raygp.data.resident", "raygp.data.ragged")
print([name for name in (*own, "torchvision", "ray", "PIL", "sklearn") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout == "[]\n", done.stdout + done.stderr
