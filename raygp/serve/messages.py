"""Requests and replies of HTTP, as far as answering needs them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    """In capitals."""
    path: str
    """Without the query."""
    body: AsyncIterator[bytes]
    """The body's pieces, as they come. It is read once, and not at all where the head is refused."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in small letters."""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What it is told."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that is not answered, and why: the message is for the person who sent it."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        """What the reply says.

        Args:
            status: 4xx or 5xx.
            message: what was wrong and what to do.
            headers: of the reply, ``_`` for ``-`` in their names.
        """
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Plain data as a reply."""
    return Reply(status, json.dumps(value, ensure_ascii=False).encode(), headers=headers or {})


def refusal(error: Refused) -> Reply:
    """``{"error": why}``, as the Open Inference Protocol has it."""
    return json_reply({"error": str(error)}, error.status, error.headers)
