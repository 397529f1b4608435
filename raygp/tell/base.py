"""What every teller is: settings that make an object which is told of one event after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, field_validator

from raygp import events
from raygp.events import Event, as_json, type_name
from raygp.store import Location
from raygp.update.fields import Settings

OUTCOMES = frozenset(
    {
        "published", "withdrawn", "adopted", "promoted", "refused", "rolled_back", "failed", "awaits_approval",
        "approved", "rejected", "gave_up", "set_aside", "drop_refused", "drifted",
    }
)  # fmt: skip
"""Types of the events that say what came of something: what a person wants to be told of."""
PROGRESS = frozenset({"samples_checked", "files_copied", "rows_measured", "steps_done"})
"""Types of those that only say how far something is; they come by the second."""


@dataclass(frozen=True)
class Told:
    """An event, and what is not in it."""

    event: Event
    at: datetime
    """When it was told, UTC."""
    location: Location
    """Of the line that it happened to."""

    @property
    def type(self) -> str:
        """What the event is called in JSON, such as "promoted"."""
        return type_name(self.event)

    @property
    def content(self) -> dict[str, Any]:
        """The event as plain data (:func:`raygp.events.as_json`), and the line's root as ``line``."""
        plain = as_json(self.event, self.at)
        return {"type": plain.pop("type"), "time": plain.pop("time"), "line": self.location.root, **plain}

    def encoded(self) -> bytes:
        """The same as JSON in UTF-8, on one line without its end."""
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False).encode()


class NotTold(Exception):
    """A teller failed; the message says why. Any other exception counts as the same."""


class NotAgain(NotTold):
    """A teller failed in a way that the same event would meet again: it is not tried once more."""


class Teller(Protocol):
    """Passes events on. Both methods are called in one thread, which is not the one that works on the line."""

    def tell(self, told: Told) -> None:
        """Pass one event on. Whatever this raises is a failure (best a :class:`NotTold`): the event is tried again as
        often as the settings say, then the next one comes, and a Notice gives the reason."""
        ...

    def close(self) -> None:
        """Nothing follows: send what is left, and let go of what is open."""
        ...


class TellSettings(Settings):
    """What a teller of any kind takes."""

    kind: str
    """Which one: command, webhook, jsonl, otel, tensorboard, mlflow, wandb, or what an installed package adds."""
    retries: Annotated[int, Field(ge=0, le=20)] = 0
    """How often it is tried again after a failure, with growing pauses: 1 s, 2 s, 4 s, ..., a minute at most."""

    @property
    def title(self) -> str:
        """What messages call it. It holds no secret."""
        return self.kind

    def wants(self, type_: str) -> bool:
        """Whether events of a type are passed on."""
        return type_ not in PROGRESS

    def check(self) -> None:
        """Look for what would never work, before anything is done. Nothing slow is imported, nothing connected.

        Raises:
            InputError: a package or a secret is missing; the message says what to do.
        """

    def make(self) -> Teller:
        """What is told, made in its thread when the first event comes. What this raises is a failure of
        :meth:`Teller.tell`."""
        raise NotImplementedError


class HookSettings(TellSettings):
    """What a teller takes that passes single events on."""

    events: Literal["outcomes", "all"] | tuple[str, ...] = "outcomes"
    """Which ones: outcomes (arrivals published, withdrawn or drifted, candidates promoted, refused or waiting for
    approval, failures and the like), all, or a list of types such as [promoted, refused], as the page on events names
    them."""

    @field_validator("events", mode="before")
    @classmethod
    def _known_types(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            known = {type_name(kind) for kind in event_types()}
            for name in value:
                if name not in known:
                    raise ValueError(f"no event is called '{name}'; known are {', '.join(sorted(known))}")
        elif value not in ("outcomes", "all"):
            raise ValueError("expected outcomes, all, or a list of types such as [promoted, refused]")
        return value

    def wants(self, type_: str) -> bool:
        """Whether events of a type are passed on."""
        chosen = OUTCOMES if self.events == "outcomes" else self.events
        return chosen == "all" or type_ in chosen


def event_types(base: type[Event] = Event) -> Iterator[type[Event]]:
    """Every event of :mod:`raygp.events` that is told, without the classes between."""
    for kind in base.__subclasses__():
        if kind.__subclasses__():
            yield from event_types(kind)
        elif kind.__module__.startswith(f"{events.__name__}."):
            yield kind
