"""The reference pages are what the code says."""

import pytest

from docs.make_reference import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYGP_ROOT", raising=False)
    assert (REFERENCE / name).read_text() == PAGES[name](), "run: python docs/make_reference.py"


@pytest.mark.parametrize("name", PAGES)
def test_every_option_and_setting_is_explained(name: str) -> None:
    empty = [line for line in PAGES[name]().splitlines() if line.endswith("|  |")]
    assert not empty, "give these a docstring or a help text"
