"""``raygp watch --report``: what is served, when it is made anew, and what becomes of a report that cannot be made."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from raygp.cli import main
from raygp.errors import RaygpError
from raygp.loopback import serving
from raygp.store import Location, Refusal, create_line, rollback, write_refusal
from raygp.watch.page import ServedReport, standing_of
from tests.checkout import PROJECT
from tests.line.fakes import publish
from tests.page.lines import write_line
from tests.watch.rig import TASK

COUNT = "import sys, pathlib; log = pathlib.Path(sys.argv[1]); log.open('a').write('x')\n"
GOOD = "pathlib.Path(sys.argv[2]).write_text('<p>page %d' % len(log.read_text()))"
BAD = "sys.exit('raygp: <b>no</b> such thing')"
SLOW = "import time; time.sleep(600)"


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Rig:
    """A report that is made by a small program, and how often it was made."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.log = folder / "log"
        self.log.touch()
        self.standing: object = 1
        self.said: list[str] = []
        self.now = 0.0
        self._stack = stack

    def begin(self, program: str) -> ServedReport:
        """Make reports until the test ends."""
        command = [sys.executable, "-c", COUNT + program, str(self.log)]
        report = ServedReport(command, self._look, self.said.append, 30.0, lambda: self.now)
        self._stack.enter_context(report.working())
        return report

    @property
    def made(self) -> int:
        return len(self.log.read_text())

    def _look(self) -> object:
        if isinstance(self.standing, Exception):
            raise self.standing
        return self.standing


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(tmp_path, stack)


def test_it_is_made_at_the_start_and_then_only_when_the_line_changed_and_somebody_looks(rig: Rig) -> None:
    report = rig.begin(GOOD)
    soon(lambda: report.answer().status == 200)
    assert report.answer().body == b"<p>page 1" and report.answer().kind.startswith("text/html")
    rig.standing = 2
    for _ in range(3):
        report.answer()
    time.sleep(0.2)
    assert rig.made == 1, "looked at a moment ago"
    rig.now += 31
    assert report.answer().body == b"<p>page 1", "nobody waits for the new one"
    soon(lambda: report.answer().body == b"<p>page 2")
    rig.now += 31
    report.answer()
    report.look()
    time.sleep(0.2)
    assert rig.made == 2, "nothing has changed"
    rig.standing = 3
    report.look()
    soon(lambda: report.answer().body == b"<p>page 3")
    assert not rig.said


def test_before_the_first_page_the_browser_is_told_to_come_back(rig: Rig) -> None:
    report = rig.begin(SLOW)
    soon(lambda: rig.made == 1)
    found = report.answer()
    assert found.status == 503 and b"being made" in found.body and found.headers["Refresh"] == "3"


def test_a_watcher_that_ends_does_not_wait_for_a_report(tmp_path: Path) -> None:
    with ExitStack() as stack:
        rig = Rig(tmp_path, stack)
        rig.begin(SLOW)
        soon(lambda: rig.made == 1)
        began = time.monotonic()
    assert time.monotonic() - began < 20 and not rig.said


def test_what_is_wrong_is_said_once_and_shown_and_tried_again(rig: Rig) -> None:
    report = rig.begin(BAD)
    soon(lambda: b"There is no report" in report.answer().body)
    found = report.answer()
    assert found.status == 503 and b"&lt;b&gt;no&lt;/b&gt; such thing" in found.body
    rig.now += 31
    report.answer()
    soon(lambda: rig.made == 2)
    assert rig.said == ["the report could not be made: <b>no</b> such thing"]


def test_a_storage_that_fails_leaves_the_page_that_there_is(rig: Rig) -> None:
    report = rig.begin(GOOD)
    soon(lambda: report.answer().status == 200)
    rig.standing = RaygpError("storage is away")
    report.look()
    soon(lambda: bool(rig.said))
    assert report.answer().body == b"<p>page 1" and rig.said == ["the report could not be made: storage is away"]


def test_a_report_depends_on_head_refusals_and_arrivals(location: Location) -> None:
    head, cards = write_line(location, 2)
    seen = {standing_of(location)}
    assert standing_of(location) in seen
    refusal = Refusal(reason="", val_accuracy=0.0, ledger=cards[0].ledger)
    changes: list[Callable[[], object]] = [
        lambda: publish(location, "late"),
        lambda: write_refusal(location, "updates/v0002-late-0123abcd", refusal),
        lambda: rollback(location, cards[0].version, head),
    ]
    for number, change in enumerate(changes):
        change()
        assert standing_of(location) not in seen, number
        seen.add(standing_of(location))
    location.write_bytes("updates/v0002-late-aaaa0000/checkpoint_1/state.json", b"{}")
    assert standing_of(location) in seen, "an update that has begun changes nothing yet"


def test_nothing_but_the_page_is_served_and_a_head_request_gets_no_body(rig: Rig) -> None:
    report = rig.begin(GOOD)
    soon(lambda: report.answer().status == 200)
    with serving({"/": report.answer}, 0, "the report", is_private=True) as port:
        url = f"http://127.0.0.1:{port}/"
        with urllib.request.urlopen(f"{url}?again") as got:
            assert got.read() == b"<p>page 1" and got.headers["Cache-Control"] == "no-store"
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as got:
            assert got.read() == b"" and got.headers["Content-Length"] == "9"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}../line.json")
        for name, code in (("evil.example", "403"), ("evil.example:80", "403"), ("[", "403"), ("localhost:8080", "")):
            asked = urllib.request.Request(url, headers={"Host": name})
            with contextlib.nullcontext() if not code else pytest.raises(urllib.error.HTTPError, match=code):
                urllib.request.urlopen(asked).close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--once", "--report"], "raygp report makes the page once"),
        (["--retry", "--report", "0"], "raygp report makes the page once"),
        (["--report", "70000"], "'70000' is no port"),
        (["--report", "watch.refused=wait"], "give the option last"),
    ],
    ids=["once", "retry", "too large", "a setting"],
)
def test_what_does_not_fit_is_said(
    options: list[str], says: str, location: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    create_line(location, TASK)
    try:
        code: object = main(["watch", "--root", location.root, *options])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2 and says in capsys.readouterr().err


def test_a_port_that_is_taken_ends_the_watcher(location: Location, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("vl_convert")
    create_line(location, TASK)
    with serving({}, 0, "nothing") as port:
        assert main(["watch", "--root", location.root, "--report", str(port)]) == 2
    assert "the report cannot be served" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is looked up in /proc")
def test_a_watcher_serves_the_page_and_loads_nothing_for_it(location: Location) -> None:
    pytest.importorskip("vl_convert")
    write_line(location, 1)
    watcher = subprocess.Popen(
        [sys.executable, "-m", "raygp", "watch", "--root", location.root, "--report", "--interval", "3600"],
        stdout=subprocess.PIPE, text=True, cwd=PROJECT,
    )  # fmt: skip
    try:
        assert watcher.stdout is not None
        url = next(line.split()[-1] for line in watcher.stdout if "  report: http://127.0.0.1:" in line)

        def is_there() -> bool:
            try:
                with urllib.request.urlopen(url) as got:
                    return b"What happened</h2>" in got.read()
            except urllib.error.HTTPError as error:
                assert b"being made" in error.read()
                return False

        soon(is_there)
        maps = Path(f"/proc/{watcher.pid}/maps").read_text()
        assert not any(name in maps for name in ("libtorch", "libarrow", "vl_convert"))
        watcher.terminate()
        assert watcher.wait(20) == 0
    finally:
        watcher.kill()
        watcher.wait()
        assert watcher.stdout is not None
        watcher.stdout.close()
