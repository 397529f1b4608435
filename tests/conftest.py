"""S3 servers, started once for all tests that need them, and a fresh bucket for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import environment, missing_package, moto_server, rclone_server

UseServer = Callable[[str], str]
"""Points s3fs at the server with this address and makes a bucket there; gives the bucket's name."""


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


@pytest.fixture
def use_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseServer]:
    """For as long as the test runs, ``s3://`` means the server whose address it is given."""
    pytest.importorskip("s3fs")
    from raygp.store.s3_client import PatientS3

    def use(address: str) -> str:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        PatientS3.clear_instance_cache()
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        PatientS3().mkdir(bucket)
        PatientS3.clear_instance_cache()
        return bucket

    yield use
    PatientS3.clear_instance_cache()
