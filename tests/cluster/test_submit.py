"""Jobs for a line on S3, submitted to a running cluster: ``ray start``, ``ray job submit``, ``ray job stop``."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from drills.heads import RAY, Head, head_node
from drills.servers import environment
from raygp.cluster.metrics import METRICS
from raygp.store import Location, list_versions
from tests.checkout import PROJECT
from tests.conftest import forget_servers, new_bucket

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="a head node of its own is started and ended as on Linux"),
]

STOP_WAIT_S = 120
SCRAPE_S = 120
EPOCHS = 12
"""Enough for the first job to be stopped before it is done."""
SMALL = (
    "--image-size", "16", "--arrivals", "1", "--val-share", "0.4", "--test-share", "0.4", f"synthesis.epochs={EPOCHS}",
)  # fmt: skip
EPOCH = re.compile(r"^v0000 .* (\d)/2 \S+ +epoch (\d+)/\d+  .*validation", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What came of a job."""

    exit_code: int
    """Of ``ray job submit``."""
    output: str
    job: dict[str, Any]
    """What the cluster says about it."""
    metrics: str = ""
    """Lines of ours at the Prometheus endpoint while it ran."""

    @property
    def epochs(self) -> list[tuple[int, int]]:
        """(phase, epoch in it) of every progress line of a finished epoch."""
        return [(int(phase), int(epoch)) for phase, epoch in EPOCH.findall(self.output)]


@pytest.fixture(scope="module")
def head(moto: str) -> Iterator[Head]:
    """A head whose machine has what it takes to reach the bucket: jobs bring no keys along."""
    settings = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "RAY_metrics_report_interval_ms": "500"}
    with head_node(**settings, **environment(moto)) as head:
        yield head


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in use: beside the code lie data, environments, lines and history."""
    folder = tmp_path_factory.mktemp("checkout") / "raygp"
    shutil.copytree(PROJECT / "raygp", folder / "raygp", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "jobs", folder / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitignore", ".rayignore", "README.md"):
        shutil.copy(PROJECT / name, folder / name)
    for name in HEAVY:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 100_000)
    return folder


HEAVY = (
    ".git/objects/pack/pack-1.pack", ".venv/lib/site.py", "data/imagenet.tar", "raygp-demo/line.json",
    "raygp-mnist/line.json", "photos-line/arrivals/a/manifest.json", "photos.zip", "shard.parquet", "model.safetensors",
    "photo.jpg", "tests/data/big.bin", "train-images-idx3-ubyte.gz",
)  # fmt: skip


def submit(head: Head, checkout: Path, name: str, *options: str) -> subprocess.Popen[str]:
    command = [
        str(RAY), "job", "submit", "--address", head.address, "--submission-id", name, "--working-dir", str(checkout),
        "--", sys.executable, "jobs/imagenet_incremental.py", *options,
    ]  # fmt: skip
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=dict(head.environment), **pipes)


def finish(head: Head, job: subprocess.Popen[str], name: str, read: str = "", metrics: str = "") -> Ran:
    output = read + job.communicate(timeout=240)[0]
    return Ran(job.returncode, output, head.job(name), metrics)


def scrape(head: Head) -> str:
    """Our lines of what Prometheus is told, once all of them are there; what there is after a while."""
    deadline, ours = time.monotonic() + SCRAPE_S, ""
    while time.monotonic() < deadline and not all(f"ray_{name}{{" in ours for name in METRICS):
        with urlopen(head.metrics, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        ours = "\n".join(line for line in lines if line.startswith("ray_raygp_"))
    return ours


@pytest.fixture(scope="module")
def root(moto: str) -> Iterator[Location]:
    with pytest.MonkeyPatch.context() as patch:
        yield Location(f"s3://{new_bucket(patch, moto)}/line")
    forget_servers()


@pytest.fixture(scope="module")
def stopped(head: Head, checkout: Path, root: Location) -> Ran:
    """A job that ``ray job stop`` ended after its first finished epoch."""
    job = submit(head, checkout, "stopped", "--root", root.root, *SMALL)
    assert job.stdout is not None
    read = ""
    while (line := job.stdout.readline()) and not EPOCH.search(read):
        read += line
    metrics = scrape(head)
    stop = head.ray("job", "stop", "--address", head.address, "stopped")
    assert stop.returncode == 0, stop.stdout
    ran = finish(head, job, "stopped", read + line, metrics)
    assert ran.epochs, ran.output
    return ran


@pytest.fixture(scope="module")
def resumed(head: Head, checkout: Path, root: Location, stopped: Ran) -> Ran:
    """The same job again."""
    return finish(head, submit(head, checkout, "resumed", "--root", root.root, *SMALL), "resumed")


def test_ray_job_stop_ends_an_update_after_the_checkpoint_of_its_epoch(stopped: Ran) -> None:
    assert stopped.job["status"] == "STOPPED"
    assert re.search(r"^raygp: v0000\S+: stopped on request; run the same command again", stopped.output, re.MULTILINE)
    assert "Traceback" not in stopped.output
    assert stopped.epochs[-1] < (2, EPOCHS)


def test_the_same_job_goes_on_where_the_stopped_one_ended(stopped: Ran, resumed: Ran, root: Location) -> None:
    assert (resumed.exit_code, resumed.job["status"]) == (0, "SUCCEEDED"), resumed.output
    assert "published" in stopped.output and "published" not in resumed.output
    last, (phase, epoch) = stopped.epochs[-1], resumed.epochs[0]
    assert last < (phase, epoch)
    assert [card.version for card in list_versions(root)] == ["v0000"]
    assert sum(record.epochs for record in list_versions(root)[0].phases) == 1 + EPOCHS


def test_progress_comes_in_plain_lines(resumed: Ran) -> None:
    ours = [line for line in resumed.output.splitlines() if "v0000" in line]
    assert ours and all(line.isprintable() for line in ours)
    assert (2, EPOCHS) in resumed.epochs
    assert re.search(r"^v0000: promoted, validation \d+\.\d\d%", resumed.output, re.MULTILINE)


def test_metrics_of_the_running_update_are_at_the_prometheus_endpoint(stopped: Ran) -> None:
    found: dict[str, list[tuple[str, float]]] = {}
    for line in stopped.metrics.splitlines():
        name, tags, value = re.fullmatch(r"ray_(\w+)\{(.*)\} (\S+)", line).groups()  # type: ignore[union-attr]
        found.setdefault(name, []).append((tags, float(value)))
    assert set(found) == set(METRICS)
    assert all('update="v0000-' in tags for values in found.values() for tags, _ in values)
    layers = {re.search('layer="([^"]+)"', tags)[1]: value for tags, value in found["raygp_layer_density"]}  # type: ignore[index]
    assert len(layers) > 10 and all(0 < density <= 1 for density in layers.values())
    assert min(layers.values()) <= found["raygp_density"][0][1] <= max(layers.values())
    assert found["raygp_grown_connections"][0][1] > 0
    assert found["raygp_examples_per_second"][0][1] > 0


def test_a_job_with_bad_input_fails_with_our_message_and_exit_code(head: Head, checkout: Path, tmp_path: Path) -> None:
    options = ("--root", str(tmp_path / "root"), "--source", "imagefolder:nowhere")
    ran = finish(head, submit(head, checkout, "bad", *options), "bad")
    assert ran.exit_code != 0
    assert (ran.job["status"], ran.job["driver_exit_code"]) == ("FAILED", 2)
    assert re.search("^raygp: nowhere does not exist$", ran.output, re.MULTILINE)
    assert "Traceback" not in ran.output
    assert not (tmp_path / "root").exists()


def test_a_job_ships_code_and_nothing_heavy(head: Head, checkout: Path, stopped: Ran) -> None:
    (package,) = (head.session / "runtime_resources" / "working_dir_files").glob("_ray_pkg_*[0-9a-f]")
    shipped = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"jobs/imagenet_incremental.py", "raygp/line/update.py", "raygp/sparse/growth.py"} <= shipped
    assert shipped.isdisjoint(HEAVY)
    assert sum((package / name).stat().st_size for name in shipped) < 3_000_000


def test_without_the_token_nothing_is_answered(head: Head) -> None:
    stranger = dict(head.environment) | {"RAY_AUTH_TOKEN": "0" * 64}
    command = [str(RAY), "job", "list", "--address", head.address]
    refused = subprocess.run(command, env=stranger, capture_output=True, text=True, timeout=120)
    assert refused.returncode != 0
    assert "submission_id" not in refused.stdout + refused.stderr
    assert re.search("401|403|[Uu]nauth|InvalidAuth|[Ii]nvalid", refused.stdout + refused.stderr)
