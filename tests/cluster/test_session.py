"""The cluster that raygp starts by itself, and what it asks of one."""

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import ray._private.worker

from raygp.cluster.train_run import scaling
from raygp.settings import load_settings
from raygp.workers import Workers

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


def test_training_on_gpus_leaves_cpus_to_decoding() -> None:
    assert scaling(2, gpus=True).total_resources == {"GPU": 2}


def test_a_range_of_workers_is_elastic_and_one_number_is_not() -> None:
    settings = [load_settings("lenet-300-100", overrides=[f"workers={given}"]) for given in ("1..4", "3..3", "3")]
    elastic, *fixed = [scaling(each.workers) for each in settings]
    assert (elastic.min_workers, elastic.max_workers, elastic.elasticity_enabled) == (1, 4, True)
    assert [each.num_workers for each in fixed] == [3, 3]
    assert [each.workers.spelled for each in settings] == ["1..4", 3, 3]


def test_workers_that_stream_leave_half_of_few_cpus_to_decoding() -> None:
    cpus = ray.cluster_resources()["CPU"]
    many = int(2 * cpus)
    for wanted in (Workers(many, many), Workers(1, many)):
        assert scaling(wanted, streamed=True).total_resources["CPU"] <= 0.5 * cpus + 0.01
