"""``raygp serve``: answer requests over HTTP with the head of a line."""

from __future__ import annotations

import argparse
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rich.console import Console

from raygp.cli.options import add_own_task, line_of
from raygp.cli.running import load_slow_modules, make_console
from raygp.errors import InputError, RaygpError
from raygp.stopping import on_sigterm

if TYPE_CHECKING:
    from raygp.cluster.serving import ServeSettings, Serving
    from raygp.serve.figures import Figures

NAME = "serve"
HELP = "answer requests over HTTP with the head, and follow it without a pause"
_LOOK_S = 1.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0: one that is free (default 8000)")
    token = parser.add_mutually_exclusive_group()
    token.add_argument(
        "--token",
        metavar="TOKEN|@FILE",
        help="what clients send as 'Authorization: Bearer TOKEN', or the file that holds it (default: what RAYGP_TOKEN "
        "says, else a new one, which is printed)",
    )
    token.add_argument("--no-token", action="store_true", help="everybody on this machine may ask")
    parser.add_argument("--name", help="of the model in addresses (default: the last part of --root)")
    parser.add_argument(
        "--version", dest="served", default="head", metavar="head|vNNNN", help="what answers (default head: follow it)"
    )
    parser.add_argument("--poll", type=float, default=5.0, metavar="SECONDS", help="between looks at the head (5)")
    add_own_task(parser)
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="copies, each on one CPU (default 1)")
    parser.add_argument("--max-bytes", type=int, default=8 * 2**20, metavar="N", help="of a request (default 8 MiB)")
    parser.add_argument("--max-batch", type=int, default=64, metavar="N", help="samples of a request (default 64)")
    parser.add_argument("--max-waiting", type=int, default=1024, metavar="N", help="samples that wait (default 1024)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show Ray's logs")


def run(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM; then what has begun is answered.

    Raises:
        InputError: an option does not fit, there is no such version, it is damaged, or the port is taken.
        RaygpError: Ray could not be started.
    """
    console = make_console()
    settings, shown = _settings(options)
    from raygp.cluster.serving import check_port, require_serve, serving
    from raygp.cluster.session import ray_session

    require_serve()
    if "RAY_ADDRESS" not in os.environ:
        check_port(settings.host, settings.port)
    _say(console, f"starting Ray to serve {settings.location.root} ...")
    with _ending() as ended, ray_session(options.verbose), serving(settings) as served:
        _greet(console, served, settings, shown)
        _watch(console, served, ended)
        _say(console, "answering what has begun, then ending ...")


def _settings(options: argparse.Namespace) -> tuple[ServeSettings, str]:
    """What the options say, and the token where it has to be shown."""
    from raygp.serve.access import VARIABLE, check_host, choose_token, token_hash
    from raygp.store import check_weights

    for name in ("replicas", "max_bytes", "max_batch", "max_waiting"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: must be 1 or more")
    if not 0 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: must be from 0 (one that is free) to 65535")
    if not 0.05 <= options.poll <= 3600:
        raise InputError(f"--poll {options.poll:g}: must be from 0.05 to 3600 seconds")
    check_host(options.host, not options.no_token)
    token, source = ("", "none") if options.no_token else choose_token(options.token, os.environ)
    os.environ.pop(VARIABLE, None)  # Processes that Ray starts inherit the environment.
    line = line_of(options)
    # Find out before Ray is started whether there is something to serve.
    check_weights(line.location, line.version(options.served).card)
    load_slow_modules()
    from raygp.cluster.serving import ServeSettings
    from raygp.serve.limits import Limits

    settings = ServeSettings(
        location=line.location,
        name=_name(options.name, line.root),
        host=options.host,
        port=options.port,
        token=token_hash(token) if token else None,
        pinned=None if options.served == "head" else options.served,
        poll_s=options.poll,
        code=line.code,
        replicas=options.replicas,
        limits=Limits(options.max_bytes, options.max_batch, options.max_waiting),
    )
    return settings, token if source == "new" else ""


def _name(given: str | None, root: str) -> str:
    name = given if given is not None else re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(root).name).strip("-._")
    if given is None:
        return name[:100] or "line"
    if not _NAME.fullmatch(given):
        raise InputError(f"--name {given}: use 1 to 100 of A-Z a-z 0-9 . _ -, a letter or digit first")
    return given


def _greet(console: Console, served: Serving, settings: ServeSettings, token: str) -> None:
    _say(console, f"serving {settings.name} at {served.address} (Ctrl-C ends it)")
    if token:
        _say(console, f"token: {token}")
    header = " -H 'Authorization: Bearer TOKEN'" if settings.token else ""
    _say(console, f"try: curl{header} --data-binary @FILE {served.address}/predict")


@contextmanager
def _ending() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C ends at once."""
    ended = threading.Event()

    def end(*_: object) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    before = signal.signal(signal.SIGINT, end)
    try:
        with on_sigterm(ended.set):
            yield ended
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(console: Console, served: Serving, ended: threading.Event) -> None:
    """Print what changes in the replicas, until the end."""
    said: dict[str, str] = {}
    while not ended.is_set():
        try:
            news = _news(served.figures())
        except RaygpError as error:
            news = {"problem": str(error)}
        for what, text in news.items():
            if text and said.get(what) != text:
                _say(console, text)
        said = news
        ended.wait(_LOOK_S)


def _news(replicas: Mapping[str, Figures]) -> dict[str, str]:
    """Lines about where the replicas stand."""
    standings = [figures.standing for figures in replicas.values()]
    versions = sorted({standing.version for standing in standings if standing.version})
    news: dict[str, str] = {}
    for version in versions:
        those = [standing for standing in standings if standing.version == version]
        probed = f", after {those[0].probed} held-out rows" if those[0].probed else ""
        share = f" in {len(those)} of {len(standings)} replicas" if len(standings) > 1 else ""
        news[version] = f"{version} answers{share}{probed}"
    for standing in standings:
        if standing.failed:
            news["failed"] = f"{standing.failed} cannot take over: {standing.problem}; {_stays(standing.version)}"
        elif standing.problem:
            news["problem"] = f"{standing.problem}; {_stays(standing.version)}"
    return news


def _stays(version: str | None) -> str:
    return f"{version} goes on" if version else "nothing answers yet"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
