"""Samples that are copied into a temporary file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raygp.data.sources import spool
from raygp.data.sources.spool import Spool
from raygp.errors import InputError


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool writes to a device that never has room."""
    monkeypatch.setattr(spool.tempfile, "mkstemp", lambda **names: (os.open("/dev/full", os.O_WRONLY), "/dev/full"))
    monkeypatch.setattr(spool, "_remove", lambda path: None)


def test_samples_are_read_back_in_any_order_and_the_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool.tempfile, "tempdir", str(tmp_path))
    kept = Spool()
    slices = [kept.add(content) for content in (b"one", b"", b"three" * 9999)]
    kept.close()
    assert [piece() for piece in reversed(slices)] == [b"three" * 9999, b"", b"one"]
    assert len(list(tmp_path.iterdir())) == 1
    del kept
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [10, 1_000_000])
@pytest.mark.usefixtures("full_disk")
def test_no_room_is_said_whether_it_shows_while_writing_or_at_the_end(size: int) -> None:
    kept = Spool()
    with pytest.raises(InputError, match=r"no room in .* to unpack samples: set TMPDIR to a larger folder"):
        kept.add(bytes(size))
        kept.close()
