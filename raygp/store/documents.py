"""JSON documents with a format number: how they are written, and what is said when one cannot be read."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from mmap import mmap
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raygp.errors import InputError
from raygp.store.location import Location

FORMAT = 1
"""Newest format of any document that this raygp reads and writes."""


class Document(BaseModel):
    """Base of what is stored as JSON. Unknown keys are errors; a change of meaning raises ``format``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: int = Field(default=FORMAT, ge=1)


D = TypeVar("D", bound=Document)


def encode(document: Document) -> bytes:
    """The document as indented JSON, UTF-8, keys sorted: equal documents are equal bytes."""
    return (json.dumps(plain(document), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def plain(model: BaseModel) -> dict[str, Any]:
    """What the model is once stored: lists for tuples, null for numbers that are not finite in free-form fields."""
    content: dict[str, Any] = json.loads(model.model_dump_json())
    return content


def decode(kind: type[D], data: bytes, where: str) -> D:
    """Parse a stored document.

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
    number = content.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise InputError(f"{where} has format {number}, this raygp reads formats up to {FORMAT}: upgrade raygp")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {key}: {first['msg']}") from error


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
