"""What many tests share: one Ray cluster, S3 servers, a fresh bucket for each test, and cards."""

from __future__ import annotations

import os

# Before torch is loaded, and for the processes that tests start. Their models are so small that two threads spend their
# time waiting for each other: on a busy machine the same tests take seven times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from drills.servers import environment, missing_package, moto_server, rclone_server
from raygp.cluster.session import ray_session
from raygp.store import Card, Location, create_line, promote, write_version
from tests.store.helpers import MakeCard, publish

UseServer = Callable[[str], str]
"""Points s3fs at the server with this address and makes a bucket there; gives the bucket's name."""

LEDGER = ("examples", "sparse_flops", "dense_flops", "worker_seconds", "reduced_bytes")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """An update in Ray's local mode, in an earlier test, may have given torch more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A local Ray cluster: starting one takes seconds."""
    with ray_session():
        yield


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Address of moto's server."""
    if reason := missing_package("moto"):
        pytest.skip(reason)
    with moto_server() as address:
        yield address


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of rclone's server."""
    if reason := missing_package("rclone"):
        pytest.skip(reason)
    with rclone_server(Path(tmp_path_factory.mktemp("rclone"))) as address:
        yield address


def new_bucket(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    """From here on ``s3://`` means the server at ``address``, as long as ``monkeypatch`` holds; a bucket there."""
    pytest.importorskip("s3fs")
    from raygp.store.s3_client import PatientS3

    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)
    PatientS3.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    PatientS3().mkdir(bucket)
    PatientS3.clear_instance_cache()
    return bucket


def forget_servers() -> None:
    """No connection to a server that tests used is taken for another's."""
    from raygp.store.s3_client import PatientS3

    PatientS3.clear_instance_cache()


@pytest.fixture
def use_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseServer]:
    """For as long as the test runs, ``s3://`` means the server whose address it is given."""
    pytest.importorskip("s3fs")
    yield partial(new_bucket, monkeypatch)
    forget_servers()


@pytest.fixture
def quick_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds a claim on a line held knows after a tenth of a second that its holder lives."""
    monkeypatch.setattr("raygp.store.lease.BEAT_S", 0.1)


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(str(tmp_path / "root"))


def new_card(version: str = "v0000", parent: str | None = None, update: str = "u1", **changes: Any) -> Card:
    """A card with some fields changed."""
    values: dict[str, Any] = {
        "version": version,
        "parent": parent,
        "update": update,
        "created": "2026-01-01T00:00:00.000000+00:00",
        "arrivals": ["first"],
        "arrival": "first",
        "classes": ["cat", "dog"],
        "task": {"name": "lenet"},
        "plan": {"phases": []},
        "seed": 1,
        "workers": 2,
        "density": 0.25,
        "active_connections": 1,
        "total_connections": 4,
        "densities": {"fc": 0.25},
        "mask_digest": "00ff",
        "val_accuracy": 0.9,
        "test_accuracy": None,
        "parent_val_accuracy": None,
        "by_arrival": {"first": {"rows": 10, "accuracy": 0.9}},
        "ledger": dict.fromkeys(LEDGER, 1.0),
        "phases": [{"kind": "grow-new"}],
        "manifests": {"first": "ab"},
    }
    return Card(**(values | changes))


@pytest.fixture
def make_card() -> MakeCard:
    return new_card


def line_of_two_versions(location: Location) -> Location:
    """Make a line with two versions, v0000 and v0001, and an arrival that waits."""
    create_line(location, {"name": "lenet-300-100"})
    head, manifests = None, {}
    for number, name in enumerate(["mon", "tue"]):
        manifests[name] = publish(location, name).digest
        seen = {"arrivals": list(manifests), "arrival": name, "manifests": dict(manifests), "plan": {"name": "default"}}
        card = new_card(f"v{number:04d}", f"v{number - 1:04d}" if number else None, f"u{number}", **seen)
        head = promote(location, write_version(location, card, {"a": torch.ones(2)}), head)
    publish(location, "wed")
    return location
