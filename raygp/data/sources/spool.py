"""Samples copied one after the other into a temporary file, so that they can be read in any order afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import weakref
from collections.abc import Iterator

from raygp.data.sources.source import FileSlice
from raygp.errors import InputError


class Spool:
    """A temporary file that goes with this object, at the latest when the process ends; readable only until then."""

    def __init__(self) -> None:
        descriptor, self._path = tempfile.mkstemp(prefix="raygp-", suffix=".spool")
        self._file = os.fdopen(descriptor, "wb")
        self._end = 0
        weakref.finalize(self, _remove, self._path)

    def add(self, content: bytes) -> FileSlice:
        """Append a sample.

        Raises:
            InputError: there is no room.
        """
        with _room_is_needed():
            self._file.write(content)
        found = FileSlice(self._path, self._end, len(content))
        self._end += len(content)
        return found

    def close(self) -> None:
        """Nothing is added any more. Only now can all samples be read.

        Raises:
            InputError: there is no room.
        """
        # What waits in the buffer is written now.
        with _room_is_needed():
            self._file.close()


@contextlib.contextmanager
def _room_is_needed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        room = f"no room in {tempfile.gettempdir()} to unpack samples: set TMPDIR to a larger folder"
        raise InputError(room) from error


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
