"""Decoded data of an update outlive the nodes that decoded them."""

import subprocess
import sys
from pathlib import Path

import pytest

from drills.heads import head_node
from raygp.data.ingest import IngestSettings, ingest
from raygp.store import Location
from tests.checkout import PROJECT
from tests.digits import FewDigits

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.drill,
    pytest.mark.skipif(sys.platform != "linux", reason="a head node of its own is started and ended as on Linux"),
]

DRIVER = """
import sys
from raygp.cluster.session import ray_session
from raygp.data.catalog import build_catalog
from raygp.cluster.pipeline import collect, materialise
from raygp.store import Location, list_arrivals
from raygp.tasks import make_task

location, task = Location(sys.argv[1]), make_task({"name": "lenet-300-100"})
(arrival,) = list_arrivals(location)
catalog = build_catalog(location, [], [arrival], sorted(arrival.labels))
with ray_session():
    datasets = materialise(catalog, task)
    print("decoded", flush=True)
    input()
    data = collect(catalog, {split: dataset.iterator() for split, dataset in datasets.items()})
    print(data.new_rows == catalog.train_rows)
"""


def test_what_is_decoded_is_there_when_no_node_is_left_to_decode_it_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    ingest(Location(str(root)), {"name": "lenet-300-100"}, FewDigits(0, 301), IngestSettings(["a"], [1.0], 0.2, 0.2))
    with head_node(cpus=0, PYTHONPATH=str(PROJECT)) as head:
        node = head.join()
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(root)], env={**head.environment, "RAY_ADDRESS": head.gcs},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert driver.stdout is not None and driver.stdout.readline() == "decoded\n"
            node.kill()
            assert driver.communicate("\n", timeout=60)[0] == "True\n"
        finally:
            driver.kill()
            driver.wait()
