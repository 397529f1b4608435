"""What a look at an idle line costs."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from drills.fault_proxy import FaultProxy, Faults
from raygp.line import Line
from raygp.store import Location
from raygp.store.local_files import LocalFiles
from tests.checkout import PROJECT
from tests.conftest import UseServer
from tests.line.fakes import publish
from tests.test_start import REPORT, SLOW
from tests.watch.rig import Rig, put

READS = ("read", "list", "exists", "size", "walk")


def test_two_reads_of_a_local_line(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(location)
    for name in ("mon", "tue"):
        publish(location, name)
        rig.watch(1)
    calls: list[str] = []
    for name in READS:
        method = getattr(LocalFiles, name)

        def counted(self: LocalFiles, path: str, method=method, name=name) -> object:  # type: ignore[no-untyped-def]
            calls.append(f"{name} {path}")
            return method(self, path)

        monkeypatch.setattr(LocalFiles, name, counted)
    counts: list[int] = []
    for number in range(2, 12):
        rig.meanwhile[len(rig.slept) + number] = lambda: counts.append(len(calls))
    rig.watch(13)
    assert [after - before for before, after in itertools.pairwise(counts)] == [2] * 9
    assert set(calls[counts[0] :]) == {"list arrivals", "read head.json"}


def test_an_ingest_that_was_left_half_done_costs_no_more(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(location)
    publish(location, "mon")
    (location.local_path("arrivals") / "half").mkdir()
    rig.watch(1)
    rig.meanwhile[len(rig.slept) + 2] = lambda: publish(location, "half")
    rig.watch(7)
    assert rig.head == "v0001", "and it is seen once it is whole"


@pytest.mark.parametrize("with_drop", [False, True])
def test_two_requests_to_s3(moto: str, use_server: UseServer, with_drop: bool) -> None:
    with FaultProxy(moto, Faults(), 0).running() as proxy:
        bucket = use_server(proxy.address)
        location = Location(f"s3://{bucket}/line")
        drop = [f"watch.drop.folder=s3://{bucket}/drop", "watch.drop.source=imagefolder"] if with_drop else []
        rig = Rig(location, None, *drop)
        publish(location, "mon")
        rig.watch(2)
        assert rig.head == "v0000"
        counts: list[int] = []
        for number in range(2, 12):
            rig.meanwhile[len(rig.slept) + number] = lambda: counts.append(len(proxy.requests))
        rig.watch(13)
        steps = [after - before for before, after in itertools.pairwise(counts)]
        assert max(steps) <= 2, proxy.requests[counts[0] : counts[-1]]
        publish(location, "tue")
        rig.watch(3)
        assert rig.head == "v0001"


def test_a_drop_folder_on_s3(moto: str, use_server: UseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYGP_CACHE", str(tmp_path / "cache"))
    bucket = use_server(moto)
    location, drop = Location(f"s3://{bucket}/line"), Location(f"s3://{bucket}/drop", single_writer=True)
    rig = Rig(location, None, f"watch.drop.folder={drop.root}", "watch.drop.source=imagefolder")
    for file in put(tmp_path / "mon", 0, 200).rglob("*.png"):
        drop.write_bytes(f"mon/{file.relative_to(tmp_path / 'mon').as_posix()}", file.read_bytes())
    rig.watch(6)
    rig.watch(4)
    assert Line(location).head.card.arrivals == ["mon"] and len(rig.told(type(rig.events[0]))) == 2  # type: ignore[union-attr]


def test_an_idle_watcher_loads_nothing_slow(location: Location, tmp_path: Path) -> None:
    rig = Rig(location)
    publish(location, "mon")
    rig.once()
    (tmp_path / "drop").mkdir()
    command = f"watch --once --interval 0.1 --root {location.root} --drop {tmp_path / 'drop'}"
    done = subprocess.run(
        [sys.executable, "-c", REPORT, command], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    report = json.loads(done.stderr)
    assert report["code"] == 0 and SLOW & set(report["loaded"]) == set()
    first, last = (line.split("  ", 1)[1] for line in done.stdout.splitlines())
    assert first.startswith(f"looks after {location.root} every 0.1 s, and after the drop folder")
    assert last == "nothing to do: v0000 has seen 1 arrival"
