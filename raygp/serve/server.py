"""The server: which request is answered how. It knows no Ray and no web framework."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from raygp import __version__
from raygp.serve.access import check_token
from raygp.serve.batching import Answered, Batcher
from raygp.serve.figures import Figures, exposition
from raygp.serve.follower import Follower
from raygp.serve.infer import inferred, input_tensors, output_tensors, read_infer
from raygp.serve.limits import Held, Limits
from raygp.serve.messages import Refused, Reply, Request, json_reply, refusal
from raygp.serve.samples import predicted, read_samples, read_top
from raygp.serve.served import Sample, Served

Gather = Callable[[], Awaitable[Mapping[str, Figures]]]
"""Figures of all replicas, by their names."""

_MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?(?P<rest>/ready|/infer)?")
_OPEN = ("/v2/health/live", "/v2/health/ready")
"""Places that need no token."""
_LARGE = 64 * 1024
"""Bytes of a body from which on parsing it takes a while."""
_Parsed = TypeVar("_Parsed")
_PLACES = "POST /predict, POST /v2/models/{name}/infer, GET /v2/models/{name}, /v2/health/ready, /status, /metrics"


class Server:
    """Answers requests with the version that a follower keeps. Its methods belong to one event loop."""

    def __init__(
        self,
        name: str,
        follower: Follower,
        limits: Limits = Limits(),  # noqa: B008  # It is frozen.
        token: bytes | None = None,
        gather: Gather | None = None,
    ) -> None:
        """Start the thread that answers; the follower is started by whoever made it.

        Args:
            name: of the model in addresses.
            follower: keeps the version that answers.
            limits: what is refused.
            token: of :func:`raygp.serve.access.token_hash`; None: everybody may ask.
            gather: asks all replicas; None: this is the only one.
        """
        self.name, self._follower, self._limits, self._token = name, follower, limits, token
        self._gather = gather
        self._batcher = Batcher(lambda: follower.current, limits)
        self._held = Held(limits)
        self._figures = Figures()
        self._open, self._ending = 0, False
        self._places: dict[str, tuple[str, Callable[[Request], Awaitable[Reply]]]] = {
            "/predict": ("POST", self._predict),
            "/v2": ("GET", self._about),
            "/v2/health/live": ("GET", self._live),
            "/v2/health/ready": ("GET", self._ready),
            "/status": ("GET", self._status),
            "/metrics": ("GET", self._metrics),
        }

    @property
    def alive(self) -> bool:
        """Whether the thread that answers runs."""
        return self._batcher.alive

    @property
    def figures(self) -> Figures:
        """What was counted so far, and where it stands."""
        return self._figures.now(self._follower.standing, self._batcher.waiting, self._open)

    def end(self) -> None:
        """Refuse requests that come from now on, and say that this server is not ready. What has begun is answered."""
        self._ending = True

    def close(self) -> None:
        """Answer what waits, and end."""
        self._follower.close()
        self._batcher.close()

    async def answer(self, request: Request) -> Reply:
        """The reply to a request. Whatever goes wrong becomes a reply too."""
        started = time.perf_counter()
        self._open += 1
        try:
            reply = await self._route(request)
        except Refused as error:
            reply = refusal(error)
        except Exception as error:
            reply = refusal(Refused(500, f"{type(error).__name__}: {error}"))
        finally:
            self._open -= 1
        self._figures.count(_route_name(request.path), reply.status, time.perf_counter() - started)
        return reply

    async def _route(self, request: Request) -> Reply:
        path = request.path.rstrip("/")
        # Whoever balances load has no token, and learns no more here than that somebody is there.
        if path not in _OPEN:
            check_token(request.headers, self._token)
            if self._ending:
                raise Refused(503, "this server ends", Retry_After="1")
        if found := _MODEL.fullmatch(path):
            return await self._model(request, found)
        if path not in self._places:
            raise Refused(404, f"nothing is at {request.path}; there are {_PLACES.format(name=self.name)}")
        method, answer = self._places[path]
        _check_method(request, method)
        return await answer(request)

    async def _model(self, request: Request, found: re.Match[str]) -> Reply:
        """What is below ``/v2/models/``."""
        _check_method(request, "POST" if found["rest"] == "/infer" else "GET")
        if found["name"] != self.name:
            raise Refused(404, f"there is no model '{found['name']}'; the one here is '{self.name}'")
        if found["rest"] == "/ready":
            return self._readiness(found["version"])
        served = self._served()
        _check_version(found["version"], served.version)
        if found["rest"] == "/infer":
            return await self._infer(request, served, found["version"])
        return json_reply(
            {
                "name": self.name,
                "versions": [served.version],
                "platform": "raygp",
                "inputs": input_tensors(served.task),
                "outputs": output_tensors(served.task, len(served.predictor.classes)),
            }
        )

    async def _infer(self, request: Request, served: Served, wanted: str | None) -> Reply:
        body = await self._read(request)
        try:
            asked = await _parsed(body, lambda: read_infer(body, request.headers, served.task, self._limits))
            answered = await self._ask(asked.samples)
        finally:
            self._held.give_back(len(body))
        _check_version(wanted, answered.version)
        return _with_version(inferred(asked, answered, self.name), answered)

    async def _predict(self, request: Request) -> Reply:
        top = read_top(request.query)
        body = await self._read(request)
        try:
            kind = request.headers.get("content-type", "")
            files, form = await _parsed(body, lambda: read_samples(kind, body, self._limits))
            answered = await self._ask([content for _, content in files])
        finally:
            self._held.give_back(len(body))
        return _with_version(predicted(answered, files, form, self.name, top), answered)

    async def _ask(self, samples: list[Sample] | list[bytes]) -> Answered:
        answered = await asyncio.wrap_future(self._batcher.submit(samples))
        self._figures.samples += len(samples)
        return answered

    async def _read(self, request: Request) -> bytes:
        """The body; what is read of it is counted as held until it is given back.

        Raises:
            Refused: 413: it is larger than the limit, or says so.
        """
        said = request.headers.get("content-length", "")
        if said.isascii() and said.isdigit() and int(said[:18]) > self._limits.max_bytes:
            raise self._too_large()
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in request.body:
                if size + len(piece) > self._limits.max_bytes:
                    raise self._too_large()
                self._held.take(len(piece))
                size += len(piece)
                pieces.append(piece)
        except BaseException:
            self._held.give_back(size)
            raise
        return b"".join(pieces)

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self._limits.max_bytes:,} bytes, the limit (--max-bytes)")

    def _served(self) -> Served:
        served = self._follower.current
        if served is None:
            raise Refused(503, f"no version is loaded: {self._follower.standing.problem}", Retry_After="1")
        return served

    def _readiness(self, version: str | None = None) -> Reply:
        served = self._follower.current
        if served is None or self._ending:
            return json_reply({"ready": False}, 503)
        _check_version(version, served.version)
        return json_reply({"ready": True})

    async def _live(self, request: Request) -> Reply:
        return json_reply({"live": True})

    async def _ready(self, request: Request) -> Reply:
        return self._readiness()

    async def _about(self, request: Request) -> Reply:
        return json_reply({"name": "raygp", "version": __version__, "extensions": []})

    async def _status(self, request: Request) -> Reply:
        return json_reply({"model": self.name, **asdict(self._follower.standing)})

    async def _metrics(self, request: Request) -> Reply:
        replicas = await self._gather() if self._gather else {"0": self.figures}
        return Reply(200, exposition(replicas), "text/plain; version=0.0.4; charset=utf-8")


async def _parsed(body: bytes, parse: Callable[[], _Parsed]) -> _Parsed:
    """What ``parse`` makes of a body. A large one is parsed in a thread, so that others are answered meanwhile."""
    return parse() if len(body) < _LARGE else await asyncio.to_thread(parse)


def _with_version(value: dict[str, Any], answered: Answered) -> Reply:
    return json_reply(value, headers={"Raygp-Version": answered.version})


def _check_method(request: Request, method: str) -> None:
    """Raises Refused where another method is used."""
    if request.method != method and not (method == "GET" and request.method == "HEAD"):
        raise Refused(405, f"{request.path} takes {method}, not {request.method}", Allow=method)


def _check_version(wanted: str | None, served: str) -> None:
    if wanted is not None and wanted != served:
        raise Refused(404, f"version {wanted} does not answer here; {served} does")


def _route_name(path: str) -> str:
    """The label of a request's figures: few different ones, whatever clients send."""
    if path.rstrip("/") == "/predict":
        return "predict"
    return "infer" if path.startswith("/v2/models/") and path.rstrip("/").endswith("/infer") else "other"
