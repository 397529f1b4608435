"""Makes docs/guides/report.png, the start of a report of a small line of digits: ``python docs/report_picture.py``.

It needs playwright and a Chromium that is installed, and takes about a minute.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).resolve().parent / "guides" / "report.png"
if __name__ == "__main__":
    sys.path.insert(0, str(PICTURE.parents[2]))

from PIL import Image  # noqa: E402

import raygp  # noqa: E402
from raygp.data.ingest_settings import IngestSettings  # noqa: E402

PHASES = "plan.phases=[{kind: grow-all, epochs: 2}, {kind: prune-permanent, gradual: true, epochs: 3}]"


def make_report(folder: Path) -> Path:
    """A line of four arrivals of the bundled digits, and its report."""
    line = raygp.open(str(folder / "digits"))
    days = IngestSettings(arrivals=("monday", "tuesday", "wednesday", "thursday"))
    line.ingest("digits", days, task={"name": "lenet-300-100"})
    line.update(line.settings(None, PHASES, "plan.alpha=0.1"))
    line.report(folder / "report.html")
    return folder / "report.html"


def take_picture(page: Path, out: Path) -> None:
    """The first screen of a page, in few colours."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        tab = browser.new_page(viewport={"width": 1100, "height": 1280})
        tab.goto(page.as_uri())
        tab.wait_for_timeout(3000)
        tab.screenshot(path=out)
        browser.close()
    with Image.open(out) as picture:
        picture.convert("RGB").quantize(32).save(out, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        take_picture(make_report(Path(folder)), PICTURE)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")
