"""The process that updates for a watcher: what it tells, how it ends, and what happens when either is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raygp.errors import RaygpError, RejectedError
from raygp.events import Event, Notice
from raygp.watch.hands import Intake
from raygp.watch.process import OtherHands
from tests.checkout import PROJECT


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtherHands]:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    found = OtherHands("tests.watch.child", {"folder": str(tmp_path)})
    yield found
    found.rest()


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().split()[2] != "Z"


def test_one_process_as_long_as_there_is_something_to_do(hands: OtherHands) -> None:
    told: list[Event] = []
    assert hands.pid is None
    assert hands.ingest(Intake("imagefolder:week", "week"), told.append) == ["week"]
    assert hands.update(["week"], told.append) == ["v0001"]
    pid = hands.pid
    with pytest.raises(RejectedError, match="v0001 is worse"):
        hands.update(["bad"], told.append)
    assert hands.pid == pid is not None
    assert told == [Notice(text="imagefolder:week"), *[Notice(text=f"process {pid}")] * 2]
    hands.rest()
    assert hands.pid is None and not lives(pid)
    hands.rest()


def test_a_crash_is_a_failed_update_and_the_next_one_has_a_new_process(hands: OtherHands) -> None:
    with pytest.raises(RaygpError, match=r"ended without a word \(signal SIGKILL\)"):
        hands.update(["crash"], lambda event: None)
    assert hands.pid is None
    assert hands.update(["week"], lambda event: None) == ["v0001"]


def test_whoever_is_asked_to_end_lets_the_update_store_a_checkpoint(hands: OtherHands, tmp_path: Path) -> None:
    def tell(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hands.update(["long"], tell)
    assert (tmp_path / "checkpoint").exists() and hands.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_when_the_watcher_is_killed_the_update_stores_a_checkpoint_and_ends(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom raygp.watch.process import OtherHands\n"
        f"OtherHands('tests.watch.child', {{'folder': {str(tmp_path)!r}}})"
        ".update(['long'], lambda event: print(event.text, flush=True))"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert watcher.stdout is not None
    pid = int(watcher.stdout.readline().split()[1])
    watcher.kill()
    watcher.wait()
    watcher.stdout.close()
    soon(lambda: not lives(pid))
    assert (tmp_path / "checkpoint").exists()
