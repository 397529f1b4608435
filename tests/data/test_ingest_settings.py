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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (IngestSettings(seed=-1), "--seed must be at least 0, not -1"),
        (IngestSettings(part_rows=0), "part_rows must be at least 1, not 0"),
        (IngestSettings(val_share=1.0), "the val share must be at least 0 and less than 1, not 1.0"),
        (IngestSettings(val_share=-0.1), "the val share must be at least 0 and less than 1, not -0.1"),
        (IngestSettings(test_share=float("nan")), "the test share must be at least 0 and less than 1, not nan"),
        (IngestSettings(max_bad_share=float("nan")), "--max-bad-share must be at least 0 and less than 1, not nan"),
        (IngestSettings(["a", "b"], [0.9, 0.2]), "the arrivals' shares must add up to 1, not 1.1"),
        (IngestSettings(["a", "b"], [1.2, -0.2]), "the arrivals' shares must all be greater than 0, not [1.2, -0.2]"),
        (
            IngestSettings(["../x"]),
            "'../x' is no arrival name: use 1 to 100 of A-Z a-z 0-9 . _ - and do not start with a dot",
        ),
        (IngestSettings([""]), "'' is no arrival name: use 1 to 100 of A-Z a-z 0-9 . _ - and do not start with a dot"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_read(
    location: Location, settings: IngestSettings, message: str
) -> None:
    class Unread:
        name = "unread"

        def samples(self):  # type: ignore[no-untyped-def]
            raise AssertionError("read")

    with pytest.raises(InputError) as caught:
        ingest(location, TASK, Unread(), settings)
    assert str(caught.value) == message and not location.exists()


def test_any_seed_that_is_a_whole_number_draws(location: Location) -> None:
    (manifest,) = ingest(location, TASK, FewDigits(0, 200), IngestSettings(seed=2**70))
    assert manifest.rows("train") == 144


def test_settings_of_a_task_say_that_they_need_its_name(location: Location) -> None:
    with pytest.raises(InputError) as caught:
        ingest(location, {"image_size": 28, "augment": "none"}, FewDigits(0, 60))
    assert str(caught.value) == "--image-size and --augment without --task NAME: say which"
    ingest(location, TASK, FewDigits(0, 60))
    with pytest.raises(InputError) as caught:
        ingest(location, {"image_size": 28}, FewDigits(60, 90))
    assert str(caught.value) == (
        "--image-size without --task NAME: leave it out, as the line knows its task, or give --task lenet-300-100 too"
    )
