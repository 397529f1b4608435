"""MLflow: a real server on this machine, asked with its own client. Runs where mlflow is installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raygp.events import Adopted, Approved, AwaitsApproval, Event, Notice, Promoted, Rejected, RolledBack
from raygp.store import Location
from raygp.tell import listeners, try_out
from raygp.tell.mlflow_runs import MlflowSettings
from tests.tell.story import BEGIN, PHASE_OVER, PROMOTED, REFUSED, Place, card, started

pytest.importorskip("mlflow", reason="pip install 'raygp[mlflow]'")
for needed in ("flask", "sqlalchemy", "alembic", "uvicorn"):
    pytest.importorskip(needed, reason="MLflow's server needs it: pip install mlflow")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Without jobs, which need further packages.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder}/db", "--artifacts-destination", f"{folder}/artifacts",
            ],
            stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 300
        while True:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tell_all(settings: MlflowSettings, location: Location, events: list[Any]) -> None:
    notices: list[Event] = []
    with listeners([settings], Place(location), notice=notices.append, wait_s=120) as tell:
        for event in events:
            tell(event)
    assert [notice.text for notice in notices if isinstance(notice, Notice)] == []


@pytest.mark.drill  # The server alone takes 13 s of a CPU to start.
def test_runs_and_registered_versions(server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from mlflow import MlflowClient

    location = Location(str(tmp_path / "our-line"))
    settings = MlflowSettings(uri=server)
    assert try_out(settings, Place(location)).problem == ""
    # An update is interrupted, goes on, and is promoted; the next one is refused; the head moves back and forth.
    tell_all(settings, location, BEGIN[:3])
    first = [BEGIN[0], *BEGIN[4:], PHASE_OVER, PROMOTED]
    second = [started("v0002"), *BEGIN[1:], REFUSED]
    tell_all(settings, location, [*first, *second])
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("our-line")
    assert experiment is not None
    runs = {run.data.tags["raygp.version"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"v0001", "v0002"}
    run = runs["v0001"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "v0001-ab12-tue")
    assert run.data.params["phases.1.kind"] == "prune-permanent" and run.data.params["lr"] == "0.1"
    assert run.data.tags["raygp.outcome"] == "promoted" and runs["v0002"].data.tags["raygp.outcome"] == "refused"
    history = client.get_metric_history(run.info.run_id, "val_accuracy")
    assert [(one.step, one.value) for one in history] == [(100, 0.6), (200, 0.7)]
    assert run.data.metrics["density/fc.weight"] == 0.05 and run.data.metrics["final/test_accuracy"] == 0.79
    assert [file.path for file in client.list_artifacts(run.info.run_id, "version")] == ["version/card.json"]
    model = client.get_registered_model("our-line")
    assert model.aliases == {"champion": "1"} and model.tags["raygp.line"] == location.root
    version = client.get_model_version_by_alias("our-line", "champion")
    assert version.tags["raygp.version"] == "v0001" and version.run_id == run.info.run_id
    third = PROMOTED.__class__(card=card("v0003"), reason="better")
    back = RolledBack(version="v0001", before="v0003")
    tell_all(settings, location, [started("v0003"), *BEGIN[1:], third])
    assert client.get_registered_model("our-line").aliases == {"champion": "2"}
    tell_all(settings, location, [back])
    assert client.get_registered_model("our-line").aliases == {"champion": "1"}
    # A version from before MLflow was told: nothing that is registered is the head.
    tell_all(settings, location, [RolledBack(version="v0000", before="v0001")])
    assert client.get_registered_model("our-line").aliases == {}
    # One waits for a person, who approves it; the next is rejected.
    for number, answer in ((4, Approved(version="v0004", by="me", before="v0001")), (5, None)):
        waits = AwaitsApproval(root=location.root, card=card(f"v000{number}"), since="now", reason="ok", is_new=True)
        tell_all(settings, location, [started(f"v000{number}"), *BEGIN[1:], waits])
        aliases = client.get_registered_model("our-line").aliases
        assert client.get_model_version("our-line", aliases["candidate"]).tags["raygp.version"] == f"v000{number}"
        answer = answer or Rejected(card=card("v0005"), because="no", by="me", head="v0004")
        tell_all(settings, location, [answer])
        aliases = client.get_registered_model("our-line").aliases
        assert list(aliases) == ["champion"]
        assert client.get_model_version("our-line", aliases["champion"]).tags["raygp.version"] == "v0004"
    # One that was adopted, in no update.
    adopted = Adopted(
        card=card("v0006"),
        prefix="",
        head_is_new=False,
        without_rows=(),
        new_classes=(),
        test_left_out=0,
        guesses=False,
    )
    tell_all(settings, location, [adopted, Promoted(card=card("v0006"))])
    champion = client.get_model_version_by_alias("our-line", "champion")
    assert champion.tags["raygp.version"] == "v0006" and champion.run_id
    # Of another line, nothing is registered.
    tell_all(settings, Location(str(tmp_path / "other")), [back])
    assert capfd.readouterr() == ("", "")


def test_a_server_that_is_not_there_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(Location(str(tmp_path)))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert try_out(MlflowSettings(uri="http://127.0.0.1:9"), place).problem
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "say where MLflow's server is" in try_out(MlflowSettings(), place).problem
