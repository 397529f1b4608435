"""Storage that fails under a run: it goes on without checkpoints, and ends with a clear message if it stays so."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from drills.line import update
from raygp.data.ingest import IngestSettings, ingest
from raygp.errors import RaygpError
from raygp.settings import load_settings
from raygp.store import Location, read_head
from tests.digits import FewDigits

pytestmark = [pytest.mark.cluster, pytest.mark.drill, pytest.mark.usefixtures("cluster")]

SETTINGS = load_settings(
    "lenet-300-100", None,
    ["synthesis.batch_size=32", "synthesis.lr=0.05", "synthesis.epochs=60", "workers=1", "checkpoint_minutes=0.02"],
)  # fmt: skip
PATIENCE_S = 150.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def publish(folder: Path) -> Location:
    location = Location(str(folder / "line"))
    ingest(location, {"name": "lenet-300-100"}, FewDigits(0, 500), IngestSettings(["one"], [1.0], 0.15, 0.15))
    return location


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(1 << 12)):
            pass
    return path


@contextlib.contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Run ``action`` in a thread for the time of the block."""
    thread = threading.Thread(target=action)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def checkpoints(location: Location) -> list[str]:
    return [file.path for file in location.walk("updates") if file.path.endswith("state.json")]


def test_a_disk_that_is_full_for_a_while_costs_checkpoints_only(small_disk: Path) -> None:
    location, out = publish(small_disk), io.StringIO()

    def disturb() -> None:
        wait_for(lambda: checkpoints(location))
        filler = fill(small_disk)
        wait_for(lambda: "warning" in out.getvalue())
        filler.unlink()

    with meanwhile(disturb):
        (card,) = update(Console(file=out, width=160), location, SETTINGS)
    (warning, *_) = [line for line in out.getvalue().splitlines() if "warning" in line]
    assert f"v0000  warning: no checkpoint ({location.root}: the disk is full (updates/" in warning
    assert "going on, the next one is tried again" in warning
    assert card.val_accuracy > 0.8 and location.list("updates") == []


def test_a_disk_that_stays_full_ends_the_run_which_goes_on_when_there_is_space(small_disk: Path) -> None:
    location = publish(small_disk)

    def disturb() -> None:
        # Ray keeps two; an epoch is over by then.
        wait_for(lambda: len(checkpoints(location)) > 1)
        fill(small_disk)

    out = io.StringIO()
    with meanwhile(disturb), pytest.raises(RaygpError, match=r"the disk is full.*: free some space") as error:
        update(Console(file=out, width=160), location, SETTINGS)
    assert error.value.exit_code == 1 and "\n" not in str(error.value)
    assert read_head(location) is None
    assert checkpoints(location)
    (small_disk / "filler").unlink()
    # What writing in place leaves behind on a full disk. Ours may not have been written: the disk was full before.
    run = location.local_path(checkpoints(location)[0]).parents[1]
    (run / "checkpoint_manager_snapshot.json").write_bytes(b"")
    out = io.StringIO()
    (card,) = update(Console(file=out, width=160), location, SETTINGS)
    assert card.version == "v0000" and card.val_accuracy > 0.8
    epochs = re.findall(r"epoch (\d+)/60", out.getvalue())
    assert int(epochs[0]) > 1
