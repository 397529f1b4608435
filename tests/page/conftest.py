"""A line with a past, its story and its page, made once; and a browser to look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raygp
from raygp.page import Story
from raygp.store import Location
from tests.page.lines import eventful

CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the line lives."""
    place = str(tmp_path_factory.mktemp("page") / "shapes")
    eventful(Location(place))
    return place


@pytest.fixture(scope="session")
def page(root: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, Path]:
    """The story and the file of the page."""
    pytest.importorskip("vl_convert")
    out = tmp_path_factory.mktemp("out") / "report.html"
    return raygp.open(root).report(out), out


@pytest.fixture(scope="session")
def story(page: tuple[Story, Path]) -> Story:
    """The story alone."""
    return page[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium. It ends with the module: as long as it is there, Playwright has an event loop run in this
    thread, and whatever calls ``asyncio.run`` fails.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    assert os.access(CHROMIUM, os.X_OK)
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()
