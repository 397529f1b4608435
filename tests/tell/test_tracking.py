"""Trackers and OpenTelemetry: what they keep is read back with their own readers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from raygp.events import Failed, Notice, TrialEnded
from raygp.store import Location
from raygp.tell import TellSettings, listeners, try_out
from raygp.tell.otel import OtelSettings
from raygp.tell.tensorboard import LINE_FOLDER, TensorBoardSettings
from raygp.tell.tracking import flat
from raygp.tell.wandb_runs import WandbSettings
from tests.tell.story import BEGIN, LAYERS, PHASE_OVER, PROMOTED, REFUSED, Place, started


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(str(tmp_path / "line"))


def tell_all(settings: TellSettings, location: Location, events: list[Any]) -> list[str]:
    """Tell one teller; the notices that came of it."""
    notices: list[Any] = []
    with listeners([settings], Place(location), notice=notices.append) as tell:
        for event in events:
            tell(event)
    assert all(isinstance(notice, Notice) for notice in notices)
    return [notice.text for notice in notices]


# -- TensorBoard ------------------------------------------------------------------------------------------------------


def read_back(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], dict[str, str]]:
    """Scalars as steps and values, and texts, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={TENSORS: 0})
    found.Reload()
    scalars = {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    texts = {tag: found.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in found.Tags()["tensors"]}
    return scalars, texts


@pytest.mark.parametrize("where", ["folder", "line", "remote line"])
def test_tensorboard_shows_every_update(where: str, tmp_path: Path, location: Location) -> None:
    settings = TensorBoardSettings(folder=str(tmp_path / "runs") if where == "folder" else "")
    if where == "remote line":
        location = Location("memory://tell-tensorboard")
    events = [*BEGIN, PHASE_OVER, PROMOTED, started("v0002"), Failed(doing="raygp update", error="lost", exit_code=1)]
    assert tell_all(settings, location, events) == []
    folder = tmp_path / "runs"
    if where == "line":
        folder = location.local_path(LINE_FOLDER)
    if where == "remote line":
        for file in location.walk(LINE_FOLDER):
            path = folder / file.path.removeprefix(f"{LINE_FOLDER}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(location.read_bytes(file.path))
    assert sorted(path.name for path in folder.iterdir()) == ["v0001-ab12-tue", "v0002-ab12-tue"]
    scalars, texts = read_back(folder / "v0001-ab12-tue")
    assert scalars["loss"] == [(100, pytest.approx(0.01)), (200, pytest.approx(0.005))]
    assert scalars["val_accuracy"] == [(100, pytest.approx(0.6)), (200, pytest.approx(0.7))]
    assert scalars["final/test_accuracy"] == [(300, pytest.approx(0.79))]
    for layer, density in LAYERS.items():
        assert scalars[f"density/{layer}"] == [(100, pytest.approx(density)), (200, pytest.approx(density))]
    assert scalars["grown"] == [(100, 3.0), (200, 3.0)] and scalars["pruned"] == [(100, 2.0), (200, 2.0)]
    assert (
        texts["outcome/text_summary"].startswith("promoted: within") and "phases.1.kind" in texts["plan/text_summary"]
    )
    assert read_back(folder / "v0002-ab12-tue")[1]["outcome/text_summary"] == "failed: lost"


def test_an_update_that_was_killed_goes_on_in_the_same_run(tmp_path: Path, location: Location) -> None:
    settings = TensorBoardSettings(folder=str(tmp_path))
    assert tell_all(settings, location, BEGIN[:3]) == []
    assert tell_all(settings, location, [BEGIN[0], *BEGIN[4:], REFUSED]) == []
    scalars, texts = read_back(tmp_path / "v0001-ab12-tue")
    assert [step for step, _ in scalars["loss"]] == [100, 200] and texts[
        "outcome/text_summary"
    ] == "refused: lost 3 points"


def test_trials_of_a_sweep_are_logged_by_number(tmp_path: Path, location: Location) -> None:
    trial = TrialEnded(version="v0001", number=2, trials=4, point={"lr": 1}, state="finished", val_accuracy=0.75)
    assert tell_all(TensorBoardSettings(folder=str(tmp_path)), location, [BEGIN[0], trial, REFUSED]) == []
    assert read_back(tmp_path / "v0001-ab12-tue")[0]["trial/val_accuracy"] == [(2, 0.75)]


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path, location: Location) -> None:
    (tmp_path / "file").write_text("")
    settings = TensorBoardSettings(folder=str(tmp_path / "file" / "runs"))
    assert "NotADirectoryError" in try_out(settings, Place(location)).problem
    (notice,) = tell_all(settings, location, [*BEGIN, PROMOTED])
    assert "update_started was not told" in notice


def test_settings_are_flat() -> None:
    assert flat({"a": {"b": [1, {"c": None}], "d": []}, "e": True}) == {
        "a.b.0": "1", "a.b.1.c": "null", "a.d": "[]", "e": "True",
    }  # fmt: skip


# -- OpenTelemetry ----------------------------------------------------------------------------------------------------


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.got: list[tuple[str, bytes, str]] = []
        self.code = 200


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, body, self.headers.get("X-Key", "")))
        self.send_response(self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of-ours")
    yield server
    server.shutdown()
    server.server_close()


def spans_and_metrics(collector: Collector) -> tuple[list[Any], dict[str, Any], dict[str, str]]:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans: list[Any] = []
    metrics: dict[str, Any] = {}
    resource: dict[str, str] = {}
    for path, body, key in collector.got:
        assert key == "of-ours"
        if path == "/v1/traces":
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource |= {one.key: one.value.string_value for one in part.resource.attributes}
                spans += [span for scope in part.scope_spans for span in scope.spans]
        else:
            for part in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                metrics |= {
                    one.name: one.gauge.data_points[-1] for scope in part.scope_metrics for one in scope.metrics
                }
    return spans, metrics, resource


def test_an_update_is_a_span_with_its_phases_inside_and_metrics(collector: Collector, location: Location) -> None:
    assert tell_all(OtelSettings(), location, [*BEGIN, PHASE_OVER, PROMOTED]) == []
    spans, metrics, resource = spans_and_metrics(collector)
    assert [span.name for span in spans] == ["phase grow-new", "phase prune-permanent", "raygp update"]
    *phases, update = spans
    assert {span.parent_span_id for span in phases} == {update.span_id}
    assert {span.trace_id for span in spans} == {update.trace_id} and not update.parent_span_id
    known = {one.key: one.value.string_value for one in update.attributes}
    assert known["raygp.line"] == location.root and known["raygp.outcome"] == "promoted"
    assert known["raygp.arrival"] == "tue" and known["raygp.version"] == "v0001"
    assert update.start_time_unix_nano <= phases[0].start_time_unix_nano <= phases[0].end_time_unix_nano
    assert phases[1].end_time_unix_nano <= update.end_time_unix_nano
    assert metrics["raygp.update.val_accuracy"].as_double == 0.8
    assert metrics["raygp.update.examples"].as_double == 300.0
    assert resource["service.name"] == "raygp"


def test_the_service_has_the_name_that_the_environment_gives_it(
    collector: Collector, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-line")
    failed = Failed(doing="raygp update", error="no memory", exit_code=1)
    assert tell_all(OtelSettings(), location, [BEGIN[0], BEGIN[1], failed]) == []
    (phase, update), _, resource = spans_and_metrics(collector)
    assert resource["service.name"] == "our-line" and phase.parent_span_id == update.span_id
    assert update.status.code == 2  # An error.


def test_a_collector_that_refuses_is_a_notice_and_nothing_is_printed(
    collector: Collector, location: Location, capfd: pytest.CaptureFixture[str]
) -> None:
    collector.code = 403
    assert "spans could not be sent" in try_out(OtelSettings(), Place(location)).problem
    notices = tell_all(OtelSettings(), location, [*BEGIN, PROMOTED])
    assert notices and all("could not be sent" in text for text in notices)
    assert capfd.readouterr() == ("", "")


# -- Weights & Biases -------------------------------------------------------------------------------------------------


def records_of(data: bytes) -> Iterator[bytes]:
    """Records of a file of Weights & Biases: a header of 7 bytes, then the log format of LevelDB."""
    block, place, parts = 32768, 7, b""
    while place + 7 <= len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # Whole, or the last part.
            yield parts
            parts = b""


def test_weights_and_biases_gets_offline_files(
    tmp_path: Path, location: Location, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb", reason="pip install 'raygp[wandb]'")
    from wandb.proto.wandb_internal_pb2 import Record

    assert tell_all(WandbSettings(folder=str(tmp_path / "w")), location, [*BEGIN, PHASE_OVER, PROMOTED]) == []
    (file,) = (tmp_path / "w").rglob("*.wandb")
    history, config, summary = list[dict[str, Any]](), dict[str, Any](), dict[str, Any]()
    for data in records_of(file.read_bytes()):
        record = Record.FromString(data)
        if record.HasField("history"):
            items = {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in record.history.item}
            history.append(items)
        for one in (*record.config.update, *record.run.config.update):
            config[one.key or "/".join(one.nested_key)] = json.loads(one.value_json)
        for one in record.summary.update:
            summary[one.key or "/".join(one.nested_key)] = json.loads(one.value_json)
    assert [(row["examples"], row["val_accuracy"]) for row in history] == [(100, 0.6), (200, 0.7)]
    assert config["phases.1.kind"] == "prune-permanent" and config["plan"] == "default"
    assert summary["outcome"] == "promoted" and summary["final/test_accuracy"] == 0.79
    assert capfd.readouterr() == ("", "")
