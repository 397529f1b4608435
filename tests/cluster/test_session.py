"""The cluster that raygp starts by itself, and what it asks of one."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import ray._private.worker

from raygp.cluster.train_run import scaling

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def test_it_answers_nobody_without_its_token() -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://{ray._private.worker.get_dashboard_url()}/api/jobs/", timeout=30)
    assert refused.value.code == 401


def test_its_dashboard_listens_on_loopback() -> None:
    assert ray._private.worker.get_dashboard_url().startswith("127.0.0.1:")


def test_workers_ask_for_gpus_where_told_and_not_where_there_are_none() -> None:
    if ray.cluster_resources().get("GPU", 0.0) < 2:
        assert not scaling(2).use_gpu
    assert scaling(2, gpus=True).use_gpu
    assert not scaling(2, gpus=False).use_gpu
