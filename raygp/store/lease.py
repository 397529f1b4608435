"""One update of a line at a time. Whoever works on a line claims it in a file, and changes that file every few seconds.
Others who find a living claim give up at once.

The line would stay whole without this, because the head moves by compare-and-swap. But the second updater would learn
only at the end that its work was in vain.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator

from raygp.errors import ConflictError, RaygpError
from raygp.store.documents import Document, decode, encode, utc_now
from raygp.store.location import Location

LEASE_FILE = "lease.json"
PUBLISHING_FILE = "publishing.json"
"""The claim of whoever publishes or withdraws arrivals: for seconds, and beside an update."""
BEAT_S = 5.0
"""A living holder changes its claim this often."""
LAPSE_S = 30.0
"""A claim that did not change for so long is dead."""
_PUBLISHING_S = 300.0
"""How long to wait for somebody else who publishes."""


class Lease(Document):
    """Who is at work on a line."""

    holder: str
    """Unique to this claim."""
    what: str
    """What it is doing, for people."""
    host: str
    pid: int
    since: str
    """UTC, ISO 8601."""
    beats: int = 0


@contextlib.contextmanager
def line_lease(location: Location, what: str, file: str = LEASE_FILE) -> Iterator[None]:
    """Claim the line for the time of the block.

    Args:
        location: root of the line.
        what: what is done, for people.
        file: holds the claim; claims in different files do not exclude each other.

    A claim of a process of this machine that has ended is taken over at once. Any other claim is taken over if it does
    not change while this process waits for :data:`LAPSE_S`.

    Raises:
        ConflictError: somebody else is at work on the line.
    """
    mine = Lease(holder=uuid.uuid4().hex, what=what, host=socket.gethostname(), pid=os.getpid(), since=utc_now())
    held = _Held(location, file, mine, _claim(location, file, mine))
    ended = threading.Event()
    thread = threading.Thread(target=held.keep, args=(ended,), name="raygp-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # First: a beat under way would claim the line once more.
        held.release()


@contextlib.contextmanager
def publishing_lease(location: Location, what: str = "raygp ingest") -> Iterator[None]:
    """Be the only one who publishes or withdraws arrivals of the line, for the time of the block. Waits for others.

    Raises:
        ConflictError: somebody else publishes, and does not come to an end in five minutes.
    """
    deadline = time.monotonic() + _PUBLISHING_S
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(line_lease(location, what, PUBLISHING_FILE))
                break
            except ConflictError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield


def _claim(location: Location, file: str, mine: Lease) -> bytes:
    wanted = encode(mine)
    # Several may wait for the same dead claim. One replaces it; to the others it is a living one then.
    for _ in range(5):
        found = location.read_if_exists(file)
        if found is not None:
            _wait_until_dead(location, file, found)
        with contextlib.suppress(ConflictError):
            location.replace(file, wanted, found)
            return wanted
    raise ConflictError(f"{location.root}: others keep claiming this line: try again later")


def _wait_until_dead(location: Location, file: str, found: bytes) -> None:
    """Return once the claim can be replaced.

    Raises:
        ConflictError: its holder lives.
    """
    other = decode(Lease, found, location.url(file))
    deadline = time.monotonic() + LAPSE_S
    while not is_gone(other) and time.monotonic() < deadline:
        time.sleep(min(0.5, BEAT_S))
        now = location.read_if_exists(file)
        if now is None:
            return
        if now != found:
            raise ConflictError(
                f"{location.root}: {other.what} is at work on this line (process {other.pid} on {other.host}, since "
                f"{other.since[:19]} UTC): wait until it has ended; the head did not move"
            )


def is_gone(other: Lease) -> bool:
    """Whether the holder was a process of this machine that has ended. A number that was given to another process since
    looks like a living holder; that its claim does not change tells."""
    if other.host != socket.gethostname():
        return False
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # There is one, of another user.
    return False


class _Held:
    """A claim, as it lies in storage now."""

    def __init__(self, location: Location, file: str, lease: Lease, content: bytes) -> None:
        self._location, self._file, self._lease, self._content = location, file, lease, content

    def keep(self, ended: threading.Event) -> None:
        """Show that the holder lives, until the event."""
        while not ended.wait(BEAT_S):
            self._lease = self._lease.model_copy(update={"beats": self._lease.beats + 1})
            beat = encode(self._lease)
            try:
                self._location.replace(self._file, beat, self._content)
                self._content = beat
            except RaygpError:
                # Storage failed, the beat got through without an answer, or this claim was taken for dead.
                with contextlib.suppress(RaygpError):
                    self._content = self._found() or self._content

    def release(self) -> None:
        """Remove the claim if it is still this one."""
        with contextlib.suppress(RaygpError):
            if self._found() is not None:
                self._location.delete(self._file)

    def _found(self) -> bytes | None:
        """What lies in storage, if it is this claim."""
        found = self._location.read_if_exists(self._file)
        ours = found is not None and decode(Lease, found, self._file).holder == self._lease.holder
        return found if ours else None
