"""Storage that fails, lies or has another clock; lines that are damaged or wait for a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from raygp.cli import main
from raygp.doctor import Host, examine, run
from raygp.doctor.line import check_line
from raygp.doctor.storage import check_storage, try_out
from raygp.errors import RaygpError
from raygp.finding import Finding
from raygp.line.unfinished import find_unfinished
from raygp.record import CostLedger
from raygp.store import Location, line_lease, read_card, read_head, write_refusal, write_version
from raygp.store.documents import encode
from raygp.store.lease import LEASE_FILE, PUBLISHING_FILE, Lease
from raygp.store.refusals import Refusal
from raygp.store.waiting import Waiting, mark_waiting
from raygp.store.watched import WATCH_FILE, Drop, Failing, Left, Watched
from tests.checkout import PROJECT
from tests.conftest import LEDGER, UseServer, line_of_two_versions, new_card
from tests.test_start import SLOW

Told = dict[str, tuple[str, str]]


def by_name(findings: list[Finding]) -> Told:
    return {finding.check: (finding.state, finding.text) for finding in findings}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def line(tmp_path: Path) -> Location:
    """Two versions, and an arrival that waits."""
    return line_of_two_versions(Location(str(tmp_path / "line")))


# -- storage ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_tried_out_and_left_as_it_was(line: Location) -> None:
    before = files(Path(line.root))
    told = by_name(list(check_storage(line)))
    assert {state for state, _ in told.values()} == {"ok"}
    assert set(told) == {"root's disk", "storage", "conditional writes", "clock"}
    assert files(Path(line.root)) == before and not line.exists("probes")


def test_a_root_that_is_not_there_stays_so(location: Location) -> None:
    told = by_name(list(check_storage(location)))
    assert told["storage"] == ("ok", f"{location.root} does not exist yet: raygp ingest makes it")
    assert not location.exists()


def test_a_clock_that_is_wrong(line: Location) -> None:
    def clock(ahead: float) -> tuple[str, str]:
        return by_name(list(check_storage(line, lambda: time.time() + ahead)))["clock"]

    assert clock(0)[0] == "ok"
    state, text = clock(60)
    assert state == "warning" and "60 s behind this machine's" in text
    state, text = clock(-1000)
    assert state == "problem" and "1,000 s ahead of this machine's" in text


class Careless(Location):
    """Storage that lets every write through."""

    def create(self, path: str, data: bytes) -> None:
        self.write_bytes(path, data)

    def replace(self, path: str, data: bytes, expected: bytes | None) -> None:
        self.write_bytes(path, data)


class Forgetful(Location):
    """Storage that gives back something else."""

    def read_bytes(self, path: str) -> bytes:
        return b"something else"


class Slow(Location):
    """Storage that takes its time."""

    def create(self, path: str, data: bytes) -> None:
        time.sleep(0.02)
        super().create(path, data)


class Full(Location):
    """Storage that has no room."""

    def create(self, path: str, data: bytes) -> None:
        raise RaygpError(f"{self.root}: the disk is full")


def test_storage_that_ignores_conditional_writes(line: Location) -> None:
    told = by_name(list(check_storage(Careless(line.root))))
    assert told["conditional writes"][0] == "problem" and told["storage"][0] == "ok"


def test_storage_that_forgets(line: Location) -> None:
    state, text = by_name(list(check_storage(Forgetful(line.root))))["storage"]
    assert state == "problem" and "is not what was written" in text
    assert not line.exists("probes"), "cleaned up all the same"


def test_storage_that_fails_and_storage_that_is_slow(line: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_name(list(check_storage(Full(line.root))))["storage"] == ("problem", f"{line.root}: the disk is full")
    monkeypatch.setattr("raygp.doctor.storage._SLOW_S", 0.01)
    state, text = by_name(list(check_storage(Slow(line.root))))["storage"]
    assert state == "warning" and "which is slow" in text


def test_a_server_of_s3(moto: str, use_server: UseServer) -> None:
    bucket = use_server(moto)
    line = line_of_two_versions(Location(f"s3://{bucket}/line"))
    before = sorted(file.path for file in line.walk())
    assert {finding.state for finding in check_storage(line)} == {"ok"}
    assert sorted(file.path for file in line.walk()) == before
    (gone,) = check_storage(Location(f"s3://{bucket}-2/line"))
    assert gone.state == "problem" and "there is no such bucket" in gone.text


def test_a_server_of_s3_that_ignores_conditions(rclone: str, use_server: UseServer) -> None:
    location = Location(f"s3://{use_server(rclone)}/line")
    probe = try_out(location)
    assert probe.created_twice and not location.list()


# -- the line ---------------------------------------------------------------------------------------------------------


def test_a_line_in_order(line: Location) -> None:
    before = files(Path(line.root))
    told = by_name(list(check_line(line)))
    assert {state for state, _ in told.values()} == {"ok"} and set(told) == {"line", "head", "arrivals"}
    assert "1 wait (wed), the oldest for" in told["arrivals"][1]
    assert files(Path(line.root)) == before


def test_no_line_yet(location: Location) -> None:
    assert by_name(list(check_line(location)))["line"][0] == "ok"


def test_a_folder_that_holds_something_else(location: Location) -> None:
    location.write_bytes("holiday.jpg", b"")
    state, text = by_name(list(check_line(location)))["line"]
    assert state == "problem" and "holds files that are no raygp model line" in text


def test_a_head_that_is_damaged(line: Location) -> None:
    (name,) = (name for name in line.list("versions/v0001") if name.startswith("weights"))
    line.write_bytes(f"versions/v0001/{name}", b"x")
    assert by_name(list(check_line(line)))["head"][0] == "problem"
    line.write_bytes("versions/v0001/card.json", b"{}")
    assert by_name(list(check_line(line)))["line"][0] == "problem"


def test_an_arrival_that_waits_for_long(line: Location) -> None:
    content = json.loads(line.read_bytes("arrivals/wed/manifest.json"))
    content["published"] = "2026-01-01T00:00:00.000000+00:00"
    line.write_bytes("arrivals/wed/manifest.json", json.dumps(content).encode())
    state, text = by_name(list(check_line(line)))["arrivals"]
    assert state == "warning" and "nothing updates this line" in text


def test_an_update_that_was_refused_and_one_that_is_half_done(line: Location) -> None:
    refusal = Refusal(reason="lost 1.20 points", val_accuracy=0.5, ledger=CostLedger(**dict.fromkeys(LEDGER, 1.0)))
    write_refusal(line, "updates/v0002-wed-01234567", refusal)
    line.write_bytes("updates/v0002-wed-89abcdef/checkpoint_000001/state.json", b"{}")
    assert len(find_unfinished(line)) == 1
    told = by_name(list(check_line(line)))
    assert told["refusals"] == ("warning", "an update of wed was refused: lost 1.20 points")
    assert told["unfinished"][0] == "warning" and "wed to v0002, no checkpoint yet" in told["unfinished"][1]
    line.write_bytes("updates/v0002-wed-01234567/rejected.json", b"{")
    assert by_name(list(check_line(line)))["refusals"][0] == "problem"


def test_a_version_that_waits_for_a_person(line: Location) -> None:
    head = read_head(line)
    assert head is not None
    seen = {"arrivals": ["mon", "tue", "wed"], "arrival": "wed", "manifests": read_card(line, "v0001").manifests}
    write_version(line, new_card("v0002", "v0001", "u2", **seen), {"a": torch.ones(2)})
    mark = {"version": "v0002", "update": "u2", "folder": "u2", "parent": "v0001", "since": head.updated}
    mark_waiting(line, Waiting(**mark, reason="passed"))
    state, text = by_name(list(check_line(line)))["approval"]
    assert state == "warning" and "v0002 waits for a person since" in text and text.endswith("UTC: passed")


def test_what_a_watcher_has_given_up(line: Location) -> None:
    now = datetime.now(UTC).isoformat()
    notes = Watched(
        failing=Failing(arrivals=["wed"], attempts=2, reason="the loss is not finite", again=now),
        left={"tue": Left(why="aside", reason="lost 3 points", since=now, head="v0001")},
        drops={"week9": Drop(state="refused", digest="a", since=now, reason="no samples"),
               "week8": Drop(state="done", digest="a", since=now)},
    )  # fmt: skip
    line.write_bytes(WATCH_FILE, encode(notes))
    found = [finding for finding in check_line(line) if finding.check == "watcher"]
    assert [(finding.state, finding.text) for finding in found] == [
        ("warning", "an update of wed failed 2 times: the loss is not finite"),
        ("warning", "tue is left alone (aside): lost 3 points"),
        ("warning", "week9 of the drop folder was not taken in: no samples"),
    ]
    line.write_bytes(WATCH_FILE, b"{")
    assert by_name(list(check_line(line)))["watcher"][0] == "problem"


def lease(line: Location, **changes: object) -> tuple[str, str]:
    ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    claim = {"holder": "a", "what": "raygp update", "host": "elsewhere", "pid": 1, "since": ago, "beats": 0}
    line.write_bytes(LEASE_FILE, encode(Lease.model_validate(claim | changes)))
    return by_name(list(check_line(line)))["update's lease"]


def test_leases_of_the_living_and_of_the_dead(line: Location) -> None:
    with line_lease(line, "raygp ingest", PUBLISHING_FILE):
        assert by_name(list(check_line(line)))["ingest's lease"][0] == "ok"
    assert "ingest's lease" not in by_name(list(check_line(line)))
    assert lease(line, beats=700)[0] == "ok", "an hour of beats, each a little late"
    state, text = lease(line, beats=100)
    assert state == "warning" and "last sign of life came about 52 min ago" in text
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    state, text = lease(line, host=os.uname().nodename, pid=child)
    assert state == "warning" and "has ended without giving the line free" in text
    line.write_bytes(LEASE_FILE, b"{")
    assert by_name(list(check_line(line)))["update's lease"][0] == "problem"


# -- all together -----------------------------------------------------------------------------------------------------


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which nothing is to be said."""
    monkeypatch.setattr(run, "HERE", ())


def test_what_a_check_raises_is_a_finding_and_the_rest_goes_on(
    line: Location, calm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(host: Host) -> list[Finding]:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(run, "HERE", (("machine", fails),))
    told = by_name(list(examine(line.root)))
    assert told["machine"][0] == "problem" and "ZeroDivisionError" in told["machine"][1]
    assert told["head"][0] == "ok"


def test_a_root_that_is_none(calm: None) -> None:
    assert by_name(list(examine("s3:/bucket")))["storage"][0] == "problem"
    assert by_name(list(examine()))["storage"] == ("not looked at", "no --root was given")


def test_the_command_loads_nothing_slow(line: Location) -> None:
    code = "import json, sys; from raygp.cli import main; main(sys.argv[1:]); print(json.dumps(list(sys.modules)))"
    command = [sys.executable, "-c", code, "doctor", "--root", line.root]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=120)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert SLOW & loaded == set() and "raygp.doctor.run" in loaded


def test_the_command(line: Location, calm: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--root", line.root]) == 0
    out = capsys.readouterr().out
    assert "ok             head                v0001 can be read, and every digest is right\n" in out
    assert out.endswith("0 problems, 0 warnings, 7 ok\n")
    line.write_bytes("updates/v0002-wed-89abcdef/checkpoint_000001/state.json", b"{}")
    assert main(["doctor", "--root", line.root]) == 0, "warnings alone are no failure"
    assert "-> the same command goes on with it\n" in capsys.readouterr().out
    line.write_bytes("head.json", b"{")
    assert main(["doctor", "--root", line.root, "--json"]) == 1
    captured = capsys.readouterr()
    found = {row["check"]: row for row in json.loads(captured.out)}
    assert found["line"]["state"] == "problem" and "raygp versions" in found["line"]["advice"]
    assert captured.err.endswith("raygp: 1 problem, 0 warnings, 4 ok: see above\n")
