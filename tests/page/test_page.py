"""The page in a browser: complete, quiet, self-contained, and what the story says."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raygp
from raygp.page import Story
from raygp.page.cells import Table
from raygp.page.tables import arrivals_table, classes_table, costs_table, matrix_table, refusals_table, versions_table
from raygp.page.update_tables import epochs_table, layers_table, phases_table
from raygp.page.writing import LIMIT, fitted
from raygp.store import Location
from tests.page.lines import EVIL, write_line

WIDE, PHONE = {"width": 1180, "height": 900}, {"width": 390, "height": 844}
READ = """table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.dataset.value))"""


class Opened:
    """The page in a tab, with all that it said and asked for."""

    def __init__(self, browser: Any, file: Path, viewport: dict[str, int], scheme: str) -> None:
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.tab = self.context.new_page()
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(file.as_uri())

    def open_all(self) -> None:
        """Open everything that is closed, and have every chart drawn."""
        self.tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for _ in range(100):
            waiting = self.tab.query_selector(".plot:not([data-drawn])")
            if waiting is None:
                return
            waiting.scroll_into_view_if_needed()
            self.tab.wait_for_timeout(20)
        raise AssertionError("charts are not drawn")


@pytest.fixture(scope="module", params=["light", "dark"])
def opened(request: pytest.FixtureRequest, browser: Any, page: tuple[Story, Path]) -> Iterator[Opened]:
    found = Opened(browser, page[1], WIDE, request.param)
    found.open_all()
    yield found
    found.context.close()


def test_every_chart_is_drawn_without_errors_and_nothing_is_asked_of_a_network(opened: Opened) -> None:
    assert opened.wrong == []
    assert [url for url in opened.requests if not url.startswith(("data:", "file:"))] == []
    assert sum(url.startswith("file:") for url in opened.requests) == 1
    drawn = opened.tab.evaluate(
        "[...document.querySelectorAll('.plot')].map(one => one.querySelectorAll('svg').length)"
    )
    assert len(drawn) > 15 and set(drawn) == {1}


def test_what_a_user_named_is_text(opened: Opened) -> None:
    assert (
        opened.tab.evaluate("document.querySelectorAll('img[src=x], td script, th script, li script, p b').length") == 0
    )
    assert EVIL in opened.tab.inner_text("#table-classes")
    assert "<b>20.00 points</b> & more" in opened.tab.inner_text("#refusals")


def tables_of(story: Story) -> list[Table]:
    """Tables whose figures the page must have."""
    update = story.updates[0]
    return [
        versions_table(story), costs_table(story), arrivals_table(story), matrix_table(story), classes_table(story),
        refusals_table(story.refusals, ""), phases_table(update, ""), epochs_table(update, ""), layers_table(update),
    ]  # fmt: skip


def test_figures_equal_the_story(opened: Opened, story: Story) -> None:
    for table in tables_of(story):
        shown = opened.tab.eval_on_selector(f"[id='table-{table.name}']", READ)
        assert shown == [[cell.key for cell in row] for row in table.rows], table.name
    cells = opened.tab.eval_on_selector("#table-matrix", READ)
    for arrival, row, values in zip(story.matrix.arrivals, cells, story.matrix.cells, strict=True):
        assert row[0] == arrival
        assert [float(cell) if cell else None for cell in row[2:]] == values
    accuracies = [float(row[4]) for row in opened.tab.eval_on_selector("#table-versions", READ)]
    assert accuracies == [version.accuracy for version in story.versions]


def test_tables_are_sorted_by_a_click(opened: Opened, story: Story) -> None:
    heading = opened.tab.locator("#table-classes thead th", has_text="accuracy")
    order = [[name, float(value)] for name, _, value, *_ in opened.tab.eval_on_selector("#table-classes", READ)]
    heading.locator("button").click()
    rising = [[row[0], float(row[2])] for row in opened.tab.eval_on_selector("#table-classes", READ)]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert rising == sorted(order, key=lambda row: row[1]) and rising != order
    heading.locator("button").click()
    falling = opened.tab.eval_on_selector("#table-classes", READ)
    assert [row[0] for row in falling] == [row[0] for row in reversed(rising)]
    assert heading.get_attribute("aria-sort") == "descending"
    opened.tab.locator("#table-classes thead th", has_text="class").first.locator("button").click()
    assert [row[0] for row in opened.tab.eval_on_selector("#table-classes", READ)][-2:] == ["0", "1"]


def test_no_serious_finding_of_axe(opened: Opened) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core is not installed (pip install axe-playwright-python)")
    opened.tab.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
    # A plot is one picture with a description: what is inside it is not read out. Updates are all made alike.
    result = opened.tab.evaluate("axe.run({exclude: [['.plot'], ['.update ~ .update']]})")
    serious = [one for one in result["violations"] if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


def test_every_chart_says_what_it_shows(opened: Opened) -> None:
    labels = opened.tab.evaluate("[...document.querySelectorAll('.plot')].map(one => one.getAttribute('aria-label'))")
    assert all(len(label) > 30 for label in labels)
    assert opened.tab.evaluate("[...document.querySelectorAll('img')].every(one => one.alt.length > 8)")
    assert opened.tab.evaluate("[...document.querySelectorAll('table')].every(one => one.caption && one.tHead)")


def test_dark_paper_has_other_colours(browser: Any, page: tuple[Story, Path]) -> None:
    papers = set()
    for scheme in ("light", "dark"):
        tab = Opened(browser, page[1], WIDE, scheme)
        papers.add(tab.tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        tab.context.close()
    assert len(papers) == 2


def test_a_phone_does_not_scroll_sideways(browser: Any, page: tuple[Story, Path]) -> None:
    phone = Opened(browser, page[1], PHONE, "light")
    phone.open_all()
    assert phone.tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert phone.tab.evaluate("[...document.querySelectorAll('.plot svg')].every(one => one.clientWidth <= 390)")
    assert phone.wrong == []
    phone.context.close()


OVERFLOWS = """() => [...document.querySelectorAll('.scroll')].filter(one => one.clientWidth > 0
  && one.scrollWidth > one.clientWidth + 1).map(one => one.querySelector('table').id)"""
NOT_FOLDED = "[...document.querySelectorAll('.plot')].filter(one => one.clientWidth > 0)"
INK = """() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor,
  document.querySelector('[data-chart=accuracy] svg text').getAttribute('fill')]"""


def test_tables_are_not_cut_on_a_common_screen(browser: Any, page: tuple[Story, Path]) -> None:
    wide = Opened(browser, page[1], {"width": 1200, "height": 900}, "light")
    wide.open_all()
    assert wide.tab.evaluate(OVERFLOWS) == []
    wide.context.close()


def test_the_table_of_versions_says_which_rows_are_the_same_where_classes_came(story: Story) -> None:
    assert "brings classes" not in versions_table(story).caption
    pair = story.versions[2].known.model_copy(update={"among_known": 0.9})
    versions = [*story.versions[:2], story.versions[2].model_copy(update={"known": pair}), *story.versions[3:]]
    table = versions_table(story.model_copy(update={"versions": versions}))
    assert "those of classes that its parent knows" in table.caption and table.rows[2][6].value == 0.9


def test_long_names_are_broken_and_push_nothing_off_the_screen(browser: Any, story: Story, tmp_path: Path) -> None:
    name = "n" * 300
    classes = [story.classes[0].model_copy(update={"name": name}), *story.classes[1:]]
    arrivals = [story.arrivals[0].model_copy(update={"arrival": "a" * 200, "source": name}), *story.arrivals[1:]]
    matrix = story.matrix.model_copy(update={"arrivals": ["a" * 200, *story.matrix.arrivals[1:]]})
    told = story.model_copy(update={"classes": classes, "arrivals": arrivals, "matrix": matrix, "line": name})
    (tmp_path / "report.html").write_bytes(fitted(told)[1])
    for viewport in ({"width": 1200, "height": 900}, PHONE):
        tab = Opened(browser, tmp_path / "report.html", viewport, "light")
        tab.open_all()
        assert tab.tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        if viewport is not PHONE:
            assert tab.tab.evaluate(OVERFLOWS) == []
        tab.context.close()


def test_charts_that_nobody_has_scrolled_to_are_on_paper_in_colours_of_paper(
    browser: Any, page: tuple[Story, Path]
) -> None:
    tab = Opened(browser, page[1], WIDE, "dark")
    for _ in range(1200):  # The page's policy allows no text that becomes code, which waiting in it would need.
        if tab.tab.evaluate(f"{NOT_FOLDED}.every(one => one.dataset.drawn)"):
            break
        tab.tab.wait_for_timeout(50)
    else:
        raise AssertionError("charts are not drawn")
    folded = "[...document.querySelectorAll('.plot')].filter(one => one.dataset.drawn && !one.clientWidth).length"
    assert tab.tab.evaluate(folded) == 0, "what is folded away is left for when it is opened"
    on_screen = tab.tab.evaluate(INK)
    tab.tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    tab.tab.emulate_media(media="print", color_scheme="dark")
    printed = tab.tab.evaluate(INK)
    light = Opened(browser, page[1], WIDE, "light")
    light.tab.wait_for_selector("[data-chart=accuracy] svg")
    expected = light.tab.evaluate(INK)
    assert printed[0] == expected[0] and printed[1] == "rgb(255, 255, 255)" and printed[2] == expected[2]
    tab.tab.emulate_media(media="screen", color_scheme="dark")
    tab.tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert tab.tab.evaluate(INK) == on_screen != printed
    for one in (tab, light):
        assert one.wrong == []
        one.context.close()


def test_a_page_that_is_printed_at_once_has_its_charts(browser: Any, page: tuple[Story, Path]) -> None:
    tab = Opened(browser, page[1], WIDE, "light")
    tab.tab.evaluate("window.requestIdleCallback = () => 0")
    tab.tab.pdf()
    assert tab.tab.evaluate(f"{NOT_FOLDED}.every(one => one.querySelectorAll('svg').length == 1)")
    assert tab.wrong == []
    tab.context.close()


@pytest.fixture
def long_page(tmp_path: Path) -> Path:
    """The page of a line of a hundred versions."""
    location = Location(str(tmp_path / "long"))
    write_line(location, 100)
    out = tmp_path / "long.html"
    told = raygp.open(location.root).report(out, examples=False)
    assert len(told.updates) == 100
    return out


def test_a_line_of_a_hundred_versions_has_a_page_that_opens(browser: Any, long_page: Path) -> None:
    assert long_page.stat().st_size < LIMIT
    _opening(browser, long_page)


@pytest.mark.drill
def test_it_opens_in_two_seconds_on_an_idle_machine(browser: Any, long_page: Path) -> None:
    assert any(_opening(browser, long_page) < 2.0 for _ in range(3)), "the machine may be busy once or twice"


def _opening(browser: Any, file: Path) -> float:
    """Seconds until the page is there and its first chart is drawn."""
    started = time.monotonic()
    tab = Opened(browser, file, {"width": 1180, "height": 1400}, "light")
    tab.tab.wait_for_selector(".plot[data-drawn]")
    taken = time.monotonic() - started
    tab.context.close()
    return taken


def test_a_page_that_would_be_too_large_leaves_the_oldest_updates_out_and_says_so(story: Story) -> None:
    pytest.importorskip("vl_convert")
    whole = len(fitted(story)[1])
    told, content = fitted(story, whole - 1)
    assert len(content) < whole and [update.version for update in told.updates] == ["v0004", "v0003"]
    assert told.left_out[-1].startswith("details of the 3 oldest updates") and told.left_out[-1] in content.decode()
