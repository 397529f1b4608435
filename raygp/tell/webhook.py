"""``webhook``: an HTTP server that gets each event as JSON, signed."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from raygp import __version__
from raygp.errors import InputError
from raygp.tell.base import HookSettings, NotAgain, NotTold, Told

SIGNATURE, TIMESTAMP, DELIVERY = "Raygp-Signature", "Raygp-Timestamp", "Raygp-Delivery"
"""Headers of a request."""
_MAY_PASS = frozenset({408, 425, 429})
"""Status codes of the client's errors that may be over soon; so may all of the server's (5xx)."""
_REDIRECTS = 3
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEEPS_METHOD = frozenset({307, 308})


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What the header ``Raygp-Signature`` says: ``sha256=`` and HMAC-SHA256, 64 hex digits, of the header
    ``Raygp-Timestamp``, a dot and the body."""
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookSettings(HookSettings):
    """An HTTP server that gets each event as the body of a POST, JSON in UTF-8. Any answer of 2xx is a success. Lost
    connections, 408, 425, 429 and 5xx are tried again. A redirect to another host is not followed."""

    kind: Literal["webhook"] = "webhook"
    url: str = ""
    """Where it is sent: http or https. Messages show its host alone."""
    url_env: str = ""
    """Environment variable that has the URL, where the URL itself is a secret."""
    secret_env: str = ""
    """Environment variable that has the secret which requests are signed with. Without a secret they are not signed."""
    secret_file: str = ""
    """File that has the secret, in place of a variable; white space at its ends does not count."""
    timeout_s: Annotated[float, Field(gt=0.0, le=600.0)] = 10.0
    """Seconds that one try may wait for the server."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often it is tried again after a failure, with growing pauses: 1 s, 2 s, 4 s, ..., a minute at most."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if bool(self.url) == bool(self.url_env):
            raise ValueError("a webhook needs url or url_env, and not both")
        if self.secret_env and self.secret_file:
            raise ValueError("a webhook takes its secret from secret_env or secret_file, not from both")
        for key in ("url_env", "secret_env"):
            # Messages show the name: what is no name is the secret itself, and shown nowhere.
            if getattr(self, key) and not _VARIABLE.fullmatch(getattr(self, key)):
                raise ValueError(f"{key} takes the name of an environment variable, which has the secret in it")
        if self.url:
            _check_url(self.url)
        return self

    @property
    def title(self) -> str:
        """What messages call it: the path of a URL may be a secret, too."""
        return f"webhook {_host(self.url)}" if self.url else f"webhook ${self.url_env}"

    def check(self) -> None:
        """Raises InputError if the URL or the secret is missing."""
        self.address()
        self.secret()

    def address(self) -> str:
        """The URL.

        Raises:
            InputError: it is missing or none.
        """
        if self.url:
            return self.url
        url = os.environ.get(self.url_env, "")
        if not url:
            raise InputError(f"url_env: the environment has no {self.url_env}")
        try:
            _check_url(url)
        except ValueError as error:
            raise InputError(f"url_env: {self.url_env}: {error}") from error
        return url

    def secret(self) -> bytes | None:
        """What requests are signed with; None: they are not.

        Raises:
            InputError: it is missing.
        """
        if self.secret_env:
            found = os.environ.get(self.secret_env, "").strip().encode()
        elif self.secret_file:
            try:
                found = Path(self.secret_file).expanduser().read_bytes().strip()
            except OSError as error:
                raise InputError(f"secret_file: {self.secret_file} cannot be read: {error.strerror}") from error
        else:
            return None
        if not found:
            raise InputError(f"there is no secret in {self.secret_env or self.secret_file}")
        return found

    def make(self) -> _Webhook:
        """Nothing is connected yet. Raises as :meth:`check`."""
        return _Webhook(self)


class _Webhook:
    def __init__(self, settings: WebhookSettings) -> None:
        self._url, self._secret, self._limit = settings.address(), settings.secret(), settings.timeout_s
        self._opener = urllib.request.build_opener(_SameHost)
        self._last: Told | None = None
        self._delivery = ""

    def tell(self, told: Told) -> None:
        """Send an event. A further try of the same event has the same ``Raygp-Delivery``.

        Raises:
            NotAgain: the server refuses it.
            NotTold: it cannot be reached, or says that it is busy or broken.
        """
        if told is not self._last:
            self._last, self._delivery = told, str(uuid.uuid4())
        body = told.encoded()
        request = urllib.request.Request(self._url, body, self._headers(told, body), method="POST")
        try:
            with self._opener.open(request, timeout=self._limit):
                return
        except urllib.error.HTTPError as error:
            error.close()
            said = f"the server answered {error.code} {error.reason}".rstrip()
            if error.code >= 500 or error.code in _MAY_PASS:
                raise NotTold(said) from None
            raise NotAgain(said) from None
        except (OSError, HTTPException) as error:
            # Chained errors may hold the whole URL.
            raise NotTold(f"it cannot be reached: {getattr(error, 'reason', None) or error}") from None

    def _headers(self, told: Told, body: bytes) -> Mapping[str, str]:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"raygp/{__version__}",
            "Raygp-Event": told.type,
            DELIVERY: self._delivery,
            TIMESTAMP: timestamp,
        }
        return headers | ({SIGNATURE: signature(self._secret, timestamp, body)} if self._secret else {})

    def close(self) -> None:
        """Nothing is open."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects that keep the method and stay on the host: an event and its signature go nowhere else."""

    max_redirections = _REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows.

        Raises:
            NotAgain: it would go to another host, or be no POST.
        """
        if _origin(newurl) != _origin(req.full_url):
            raise NotAgain(f"the server sends it on to {_host(newurl)}, which is not followed: give that as url")
        if code not in _KEEPS_METHOD:
            raise NotAgain(f"the server sends it on with code {code}, which is no answer to a POST: give the final url")
        return urllib.request.Request(newurl, req.data, dict(req.header_items()), method="POST")


def _check_url(url: str) -> None:
    """Raises ValueError unless it is one that can be sent to."""
    parts = urlsplit(url)
    if any(letter <= " " for letter in url):
        raise ValueError("a webhook's url has no space in it")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a webhook's url begins with https:// or http:// and has a host")
    if parts.username or parts.password:
        raise ValueError("a webhook's url has no user and no password in it: sign requests with secret_env")


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname + (f":{parts.port}" if parts.port else "") if parts.hostname else "?"
