"""A whole line on S3 behind a bad network, by the command line: it gets there, and no key is left anywhere."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.fault_proxy import FaultProxy, Faults
from drills.servers import environment
from raygp.store import Location, list_arrivals, open_head, read_head, read_tensors, verify_arrival
from tests.checkout import PROJECT
from tests.conftest import UseServer
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.drill]

PLANTED = {"AWS_ACCESS_KEY_ID": "PLANTEDKEYID000", "AWS_SECRET_ACCESS_KEY": "planted/secret/never/stored"}
QUICK = ["synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=2", "plan.batch_size=32", "plan.epochs=1"]


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where the commands' own cluster lives: short, as sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="rgp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def write_digits(path: Path, start: int, stop: int) -> Path:
    """Some digits as a WebDataset."""
    with tarfile.open(path, "w") as tar:
        for sample in FewDigits(start, stop).samples():
            for kind, content in (("jpg", sample.load()), ("cls", sample.label.encode())):
                info = tarfile.TarInfo(f"{sample.key}.{kind}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def test_a_line_grows_behind_a_bad_network(
    moto: str, use_server: UseServer, tmp_path: Path, ray_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = use_server(moto)
    root = f"s3://{bucket}/line"
    faults = Faults(refused=0.05, cut=0.03, slow=0.1, latency_s=0.2)
    with FaultProxy(moto, faults, seed=4).running() as proxy:
        env = {**os.environ, **environment(proxy.address), **PLANTED, "RAY_TMPDIR": str(ray_folder)}
        env.pop("RAY_ADDRESS", None)

        def raygp(*arguments: str) -> str:
            command = [sys.executable, "-m", "raygp", *arguments, "--root", root]
            done = subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout + done.stderr

        said = ""
        for name, start, stop, how in (("mon", 0, 300, ()), ("tue", 300, 450, ("--sweep", "--max-trials", "2"))):
            tar = write_digits(tmp_path / f"{name}.tar", start, stop)
            said += raygp("ingest", "--arrival", name, "--source", f"webdataset:{tar}", "--task", "lenet-300-100")
            said += raygp("update", *how, *QUICK, "gate_tolerance=1.0")
        said += raygp("ingest", "--verify")
    assert min(proxy.done[kind] for kind in ("refused", "cut", "slow")) > 0
    assert any("PUT" in request and "checkpoint" in request for request in proxy.requests)
    assert "v0000: promoted" in said and "v0001: promoted" in said

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    location = Location(root)
    head = read_head(location)
    assert head is not None and head.version == "v0001"
    card = open_head(location, head)
    assert card.arrivals == ["mon", "tue"] and read_tensors(location, card)
    assert card.sweep is not None and len(card.sweep["trials"]) == 2
    for manifest in list_arrivals(location):
        assert verify_arrival(location, manifest.arrival).problems == []
    contents = {file.path: location.read_bytes(file.path) for file in location.walk()}
    assert not [path for path in contents if path.startswith(("probes/", "lease.json", "updates/"))]
    assert contents["reports/v0001-sweep.png"].startswith(b"\x89PNG")
    logs = {str(path): path.read_bytes() for path in ray_folder.rglob("*") if path.is_file() and not path.is_symlink()}
    assert any("logs/" in path for path in logs)
    for where, content in {**contents, **logs, "output": said.encode()}.items():
        for key in PLANTED.values():
            assert key.encode() not in content, where
