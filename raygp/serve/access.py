"""Who may ask: whoever has the token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from raygp.errors import InputError
from raygp.serve.messages import Refused

VARIABLE = "RAYGP_TOKEN"
"""Environment variable that holds the token."""
_SHORTEST = 16
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def token_hash(token: str) -> bytes:
    """What a replica knows of the token: enough to compare, not enough to use."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def check_token(headers: Mapping[str, str], expected: bytes | None) -> None:
    """Compare what a request brings with the token.

    Args:
        headers: by name in small letters.
        expected: of :func:`token_hash`; None: everybody may ask.

    Raises:
        Refused: 401; it does not say which part of a token was wrong.
    """
    if expected is None:
        return
    scheme, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(token_hash(given.strip()), expected)
    if scheme.lower() != "bearer" or not same:
        what = "the token is not right" if given else "a token is needed"
        raise Refused(401, f"{what}: send the header 'Authorization: Bearer TOKEN'", WWW_Authenticate="Bearer")


def choose_token(given: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The token that is to be used, and where it comes from.

    Args:
        given: the token, or ``@FILE``; None: what the environment says, or a new one.
        environment: where ``RAYGP_TOKEN`` is looked up.

    Returns:
        The token, and "option", "environment" or "new".

    Raises:
        InputError: the file cannot be read, or the token is too short to be a secret or cannot stand in a header.
    """
    source = "option" if given is not None else "environment"
    token = given if given is not None else environment.get(VARIABLE)
    if token is None:
        return secrets.token_urlsafe(24), "new"
    if token.startswith("@"):
        token = _read(token[1:])
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"the token must have at least {_SHORTEST} characters, all of them printable ASCII and no spaces;"
            " without one, raygp serve makes one"
        )
    return token, source


def check_host(host: str, has_token: bool) -> None:
    """Refuse to answer the network without a token. Raises InputError."""
    if not has_token and host not in _LOOPBACK:
        raise InputError(
            f"--no-token with --host {host}: anybody who reaches this machine could ask. Leave out --no-token, or stay"
            " on --host 127.0.0.1"
        )


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the token's file {path} cannot be read: {error}") from error
