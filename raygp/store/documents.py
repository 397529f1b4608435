"""JSON documents with a format number: how they are written, read, and what is said when one cannot be read.

Each kind of document counts its own formats. A kind that gains, loses or changes a field raises its ``FORMAT`` by one
and says how a document of the format before becomes one of the new format. So every document that raygp ever wrote can
be read, and a document that a newer raygp wrote is recognised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from mmap import mmap
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from raygp.errors import InputError
from raygp.store.location import Location

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes the content of a document of one format that of the next. It returns a new dictionary, or the one it got if
there is nothing to change; it never changes the one it got."""


class Document(BaseModel):
    """Base of what is stored as JSON. Unknown keys are errors.

    A document in memory always has the newest format; what it was read from may have been older.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    FORMAT: ClassVar[int] = 1
    """The format that this raygp writes for this kind of document, and the newest one that it reads."""
    UPGRADES: ClassVar[Mapping[int, Upgrade]] = {}
    """For each older format, how one of its documents becomes one of the format after it."""

    format: int = Field(default=1, ge=1)
    """What is given here is the format of the other values. It is raised to ``FORMAT`` together with them."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if set(cls.UPGRADES) != set(range(1, cls.FORMAT)):
            raise TypeError(f"{cls.__name__}: UPGRADES must lead from each format below {cls.FORMAT} to the next")

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, content: Any) -> Any:
        """Bring the values to the newest format. Without a number they are taken for the newest."""
        if not isinstance(content, dict):
            return content
        number = content.get("format", cls.FORMAT)
        if not isinstance(number, int) or number < 1:
            return content  # The check of the field itself says what is wrong.
        for older in range(number, cls.FORMAT):
            content = cls.UPGRADES[older](content)
        return {**content, "format": max(number, cls.FORMAT)}


D = TypeVar("D", bound=Document)


def encode(document: Document) -> bytes:
    """The document as indented JSON, UTF-8, keys sorted: equal documents are equal bytes."""
    return (json.dumps(plain(document), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def plain(model: BaseModel) -> dict[str, Any]:
    """What the model is once stored: lists for tuples, null for numbers that are not finite in free-form fields."""
    content: dict[str, Any] = json.loads(model.model_dump_json())
    return content


def decode(kind: type[D], data: bytes, where: str) -> D:
    """Parse a stored document of the newest or any older format. One without a number has format 1.

    Args:
        where: the file, for messages.

    Raises:
        InputError: it is no JSON object, is newer than this raygp, or a key is missing, unknown or wrong.
    """
    try:
        content = json.loads(data)
    except ValueError as error:
        raise InputError(f"{where} is no JSON ({error}): it is damaged or not raygp's") from error
    if not isinstance(content, dict):
        raise InputError(f"{where} is no JSON object: it is damaged or not raygp's")
    content.setdefault("format", 1)
    if isinstance(content["format"], int):
        check_format(content["format"], kind.FORMAT, where)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {key}: {first['msg']}") from error


def check_format(found: int, newest: int, where: str) -> None:
    """Raises InputError if what lies at ``where`` has a format that only a newer raygp can read."""
    if found > newest:
        raise InputError(f"{where} has format {found}, this raygp reads formats up to {newest}: upgrade raygp")


def read_document(location: Location, path: str, kind: type[D]) -> D | None:
    """The document at ``path``, or None if there is none.

    Raises:
        InputError: as :func:`decode`.
    """
    data = location.read_if_exists(path)
    return None if data is None else decode(kind, data, location.url(path))


def sha256_hex(data: bytes | mmap) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def utc_now() -> str:
    """Now, ISO 8601 in UTC with microseconds: strings that sort as times do."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def instant(moment: float) -> str:
    """Seconds since 1970 as :func:`utc_now` writes times."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).isoformat(timespec="microseconds")


def seconds(moment: str) -> float:
    """A time in this form as seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
