"""Where the token comes from, and where none is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygp.errors import InputError
from raygp.serve.access import check_host, choose_token

LONG = "0123456789abcdef"


def test_it_is_given_read_or_made(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{LONG}\n")
    assert choose_token(LONG, {}) == (LONG, "option")
    assert choose_token(f"@{file}", {"RAYGP_TOKEN": "x"}) == (LONG, "option")
    assert choose_token(None, {"RAYGP_TOKEN": LONG}) == (LONG, "environment")
    made = {choose_token(None, {})[0] for _ in range(3)}
    assert len(made) == 3 and all(len(token) >= 32 for token in made)


@pytest.mark.parametrize("token", ["", "short", "spaces are not allowed", "0123456789abcdefé", LONG + "\n"])
def test_one_that_is_no_secret_or_no_header_is_refused(token: str) -> None:
    with pytest.raises(InputError, match="at least 16 characters"):
        choose_token(token, {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere cannot be read"):
        choose_token(f"@{tmp_path / 'nowhere'}", {})


def test_the_network_is_answered_only_with_a_token() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_host(host, has_token=False)
    check_host("0.0.0.0", has_token=True)
    for host in ("0.0.0.0", "::", "192.0.2.1", ""):
        with pytest.raises(InputError, match="--no-token"):
            check_host(host, has_token=False)
