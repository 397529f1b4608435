"""One local Ray cluster for all tests that need one: starting one takes seconds."""

from collections.abc import Iterator

import pytest

from raygp.cluster.session import ray_session


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    with ray_session():
        yield
