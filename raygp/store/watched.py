"""What watchers of a line remember: failures, arrivals that are left alone, what was taken out of a drop folder.

One small document for all watchers of the line. It is changed by compare-and-swap, so that no watcher undoes what
another has noted. What becomes of arrivals stands in versions and refusals: a watcher that loses this asks again, and
does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from raygp.errors import ConflictError, InputError
from raygp.store.documents import Document, decode, encode
from raygp.store.location import Location

WATCH_FILE = "watch.json"
WEEK_S = 7 * 86_400.0
"""What was spent counts for so long."""
_TRIES = 8
Why = Literal["refused", "failed", "drifted", "aside"]
"""Why an arrival is left alone."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Left(_Part):
    """An arrival that watchers leave alone for now."""

    why: Why
    reason: str
    """For people."""
    since: str
    """UTC, ISO 8601."""
    head: str | None
    """The head that it was tried on. On another, what was refused or failed is tried again."""
    settings: str = ""
    """Digest of the settings that it was tried with. With others, the same."""
    attempts: int = Field(default=0, ge=0)


class Failing(_Part):
    """An update that failed and is tried again."""

    arrivals: list[str]
    attempts: int = Field(ge=1)
    reason: str
    again: str
    """When, UTC, ISO 8601."""


class Spent(_Part):
    """What an update cost that became no version."""

    at: str
    """UTC, ISO 8601."""
    examples: float
    worker_seconds: float


class Drop(_Part):
    """Something in the drop folder, as it was when it was last dealt with."""

    state: Literal["noted", "taken", "done", "refused"]
    """noted: maybe not complete; taken: it is being ingested, or was when its watcher was killed; done; refused."""
    digest: str
    """Of names, sizes and times of its files."""
    since: str
    """UTC, ISO 8601."""
    arrival: str = ""
    """What it is called in the line; empty: the line had every row of it, or it is not there yet."""
    reason: str = ""
    attempts: int = Field(default=0, ge=0)
    again: str = ""
    """When it is tried again, UTC, ISO 8601; empty: not before it changes."""


class Watched(Document):
    """What the watchers of a line remember. A value: changed copies are stored."""

    model_config = ConfigDict(frozen=True)

    failing: Failing | None = None
    left: dict[str, Left] = Field(default_factory=dict)
    """By arrival."""
    apart: list[str] = Field(default_factory=list)
    """Arrivals that were refused together and are tried one by one."""
    spent: dict[str, Spent] = Field(default_factory=dict)
    """By update. What one costs that is tried again includes what it had cost before."""
    drops: dict[str, Drop] = Field(default_factory=dict)
    """By name in the drop folder."""
    rolled_back: str = ""
    """Time of the head whose rollback has been taken notice of."""


class WatchNotes:
    """The document of a line, as it was last read.

    Args:
        location: root of the line.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self.content: bytes | None = None
        """As last read or written; None: there is none."""
        self.now = Watched()
        """What that says."""

    def read(self) -> Watched:
        """Read it anew.

        Raises:
            InputError: it cannot be read.
        """
        self.content = self._location.read_if_exists(WATCH_FILE)
        where = self._location.url(WATCH_FILE)
        try:
            self.now = Watched() if self.content is None else decode(Watched, self.content, where)
        except InputError as error:
            raise InputError(f"{error}; or delete it: watchers then ask again, and do nothing twice") from error
        return self.now

    def change(self, change: Callable[[Watched], Watched]) -> Watched:
        """Store what ``change`` makes of it, whatever others have changed meanwhile. Nothing is written if that is what
        there is.

        Args:
            change: called again if another watcher was faster.

        Raises:
            ConflictError: others were faster again and again.
            InputError: what is there cannot be read.
        """
        for attempt in range(_TRIES):
            if attempt:
                self.read()
            wanted = change(self.now)
            if wanted == self.now:
                return wanted
            content = encode(wanted)
            try:
                self._location.replace(WATCH_FILE, content, self.content)
            except ConflictError:
                continue
            self.content, self.now = content, wanted
            return wanted
        raise ConflictError(f"{self._location.url(WATCH_FILE)}: others keep changing it: try again later")
