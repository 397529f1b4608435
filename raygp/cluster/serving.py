"""Ray Serve around :mod:`raygp.serve`: replicas, the port, the end. What is answered how is not decided here."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError, RaygpError
from raygp.serve.figures import Figures
from raygp.serve.follower import Follower
from raygp.serve.limits import Limits
from raygp.serve.messages import Request
from raygp.serve.server import Server
from raygp.store import Location

if TYPE_CHECKING:
    from starlette.requests import Request as WebRequest
    from starlette.responses import Response

    from raygp.tasks.own import TaskCode

_APP = "raygp"
_DEPLOYMENT = "Line"
_DRAIN_S = 30.0
"""Seconds that requests have to be answered after the end was asked for."""
_NOT_QUEUED = 256
"""Requests that a replica takes beyond a full queue: to refuse them with a reason, and to answer health and metrics,
which wait for no batch."""
_LOGS = "/tmp/ray/session_latest/logs/serve"
_ASK_S = 10.0
"""Seconds that a replica has to say where it stands."""


@dataclass(frozen=True)
class ServeSettings:
    """What is served, and where."""

    location: Location
    name: str
    """Of the model, in addresses."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0: one that is free."""
    token: bytes | None = field(default=None, repr=False)
    """Of :func:`raygp.serve.access.token_hash`; None: everybody may ask."""
    pinned: str | None = None
    """A version; None: the head, wherever it moves."""
    poll_s: float = 5.0
    """Between two looks at the head."""
    replicas: int = 1
    """Each takes one CPU and holds the model."""
    code: TaskCode | None = None
    """Of a task of one's own."""
    limits: Limits = field(default_factory=Limits)


class _Replica:
    """One copy of the model, in a process of its own."""

    def __init__(self, settings: ServeSettings) -> None:
        from ray import serve

        from raygp.serve.served import load_served

        location = settings.location
        load = partial(load_served, location, code=settings.code)
        self.name = serve.get_replica_context().replica_tag
        self._follower = Follower(location, load, settings.pinned, settings.poll_s)
        gather = _gather if settings.replicas > 1 else None
        self._server = Server(settings.name, self._follower, settings.limits, settings.token, gather)
        self._follower.start()

    async def __call__(self, request: WebRequest) -> Response:
        """Answer over HTTP."""
        from starlette.responses import Response

        asked = Request(request.method, request.url.path, request.stream(), request.headers, request.query_params)
        reply = await self._server.answer(asked)
        return Response(reply.body, reply.status, dict(reply.headers), reply.content_type)

    async def figures(self) -> tuple[str, Figures]:
        """What this replica counted and where it stands, with its name."""
        return self.name, self._server.figures

    async def end(self) -> None:
        """Refuse what comes from now on."""
        self._server.end()

    def check_health(self) -> None:
        """Asked by Serve, which starts another replica in the place of one that raises."""
        if not self._server.alive:
            raise RuntimeError("the thread that answers has ended")

    def __del__(self) -> None:
        """Serve has drained the replica before."""
        if hasattr(self, "_server"):
            self._server.close()


async def _gather() -> dict[str, Figures]:
    """All replicas' figures, as one of them."""
    from ray import serve

    handle: Any = serve.get_deployment_handle(_DEPLOYMENT, _APP)
    return _by_name(await handle.broadcast("figures").results_async(timeout_s=_ASK_S, return_exceptions=True))


def _by_name(results: list[Any]) -> dict[str, Figures]:
    """Without replicas that have gone meanwhile."""
    return dict(result for result in results if not isinstance(result, BaseException))


class Serving:
    """A line that is being served."""

    def __init__(self, handle: Any, address: str) -> None:
        """See :func:`serving`, which makes it."""
        self._handle, self.address = handle, address

    def figures(self) -> Mapping[str, Figures]:
        """What each replica counted and where it stands; without those that do not answer in time."""
        try:
            return _by_name(self._handle.broadcast("figures").results(timeout_s=_ASK_S, return_exceptions=True))
        except Exception as error:  # Ray has many; all of them mean that nobody answered.
            raise RaygpError(f"the replicas cannot be asked: {' '.join(str(error).split())[:300]}") from error

    def drain(self) -> None:
        """Have new requests refused, and wait until those that have begun are answered, for 30 s at most."""
        self._handle.broadcast("end").results(timeout_s=_ASK_S, return_exceptions=True)
        deadline = time.monotonic() + _DRAIN_S
        while any(figures.open for figures in self.figures().values()) and time.monotonic() < deadline:
            time.sleep(0.1)


@contextlib.contextmanager
def serving(settings: ServeSettings) -> Iterator[Serving]:
    """Serve a line for the time of the block, inside a :func:`raygp.cluster.session.ray_session`. At the end, requests
    that have begun are answered.

    Raises:
        InputError: the port is taken, or Serve runs on the cluster already.
        RaygpError: Serve did not start.
    """
    serve = require_serve()
    _hush()
    if serve.status().proxies:
        raise InputError("Ray Serve runs on this cluster already: raygp serve needs a cluster, or the time, of its own")
    port = settings.port or free_port(settings.host)
    try:
        served = Serving(_start(serve, settings, port), f"http://{_in_url(settings.host)}:{port}")
        try:
            yield served
        finally:
            with contextlib.suppress(Exception):  # Replicas or a cluster that are gone have nothing to answer.
                served.drain()
    finally:
        serve.shutdown()


def require_serve() -> Any:
    """Ray Serve.

    Raises:
        InputError: it is not installed.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise InputError(f"raygp serve needs Ray Serve ({error}): pip install 'raygp[serve]'") from error
    return serve


def check_port(host: str, port: int) -> None:
    """Raises InputError where nothing can listen there on this machine."""
    if port:
        _listen(host, port)


def free_port(host: str) -> int:
    """A port on which nothing listens. Raises InputError where nothing can listen on the host."""
    return _listen(host, 0)


def _listen(host: str, port: int) -> int:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            return int(listener.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"--host {host} --port {port}: {reason}; choose another") from error


def application(settings: ServeSettings) -> Any:
    """What Ray Serve runs, whoever starts it. Its name there has to be "raygp". Raises as :func:`require_serve`."""
    deployment = (
        require_serve()
        .deployment(_Replica)
        .options(
            name=_DEPLOYMENT,
            num_replicas=settings.replicas,
            # The replica has a queue of its own, and says so when it is full. What is above this limit would wait in
            # Serve's queue, which says nothing. A request has one sample at least.
            max_ongoing_requests=settings.limits.max_waiting + _NOT_QUEUED,
            graceful_shutdown_timeout_s=_DRAIN_S,
            graceful_shutdown_wait_loop_s=0.2,
        )
    )
    return deployment.bind(settings)


def _start(serve: Any, settings: ServeSettings, port: int) -> Any:
    from ray.serve.config import HTTPOptions
    from ray.serve.schema import LoggingConfig

    quiet = LoggingConfig(enable_access_log=False)
    try:
        serve.start(
            proxy_location="HeadOnly", http_options=HTTPOptions(host=settings.host, port=port), logging_config=quiet
        )
        return serve.run(application(settings), name=_APP, route_prefix="/", logging_config=quiet)
    except Exception as error:  # Serve raises RuntimeError and errors of its own, with long messages.
        # They end with the cause; before it come the frames of a traceback.
        cause = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        raise RaygpError(f"Ray Serve did not start: {cause[:500]}; its logs are in {_LOGS}") from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _hush() -> None:
    """Keep Serve's log in this process off the terminal; its log files keep it."""
    logger = logging.getLogger("ray.serve")
    logger.propagate = False
    logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, logging.StreamHandler)]
    logger.addHandler(logging.NullHandler())
