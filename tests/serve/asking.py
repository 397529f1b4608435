"""A server in this process, and requests to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from raygp.line import Line
from raygp.serve.follower import Follower
from raygp.serve.limits import Limits
from raygp.serve.messages import Reply, Request
from raygp.serve.served import load_served
from raygp.serve.server import Server


@contextmanager
def server_of(line: Line, token: bytes | None = None, **limits: int) -> Iterator[Server]:
    """A server of a line's head, as it is now."""
    follower = Follower(line.location, partial(load_served, line.location))
    follower.look()
    server = Server("digits", follower, Limits(**limits), token)
    yield server
    server.close()


async def pieces(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """A body as it comes from the network."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def request(
    method: str, path: str, body: bytes | Any = b"", headers: Mapping[str, str] | None = None, **query: str
) -> Request:
    """A request; what is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method, path, pieces(content), headers or {}, query)


def ask(server: Server, method: str, path: str, *rest: Any, **query: str) -> tuple[int, Any]:
    """Status and decoded JSON of a reply."""
    reply = asyncio.run(server.answer(request(method, path, *rest, **query)))
    return reply.status, json.loads(reply.body)


def replies(server: Server, *requests: Request) -> list[Reply]:
    """Replies to requests that come at once."""

    async def together() -> list[Reply]:
        return list(await asyncio.gather(*map(server.answer, requests)))

    return asyncio.run(together())
