"""Makes the pages of docs/, and those beside it that they link to, into a site: ``make docs``.

The pages stay plain Markdown that a forge shows as it is. What the site has beyond that is added here while they are
read: the list of pages at the side, which is docs/README.md, and the Python reference, from docstrings.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))  # The reference is that of this checkout, whatever is installed.

from raygp import __version__  # noqa: E402

project = "raygp"
copyright = "the authors of raygp, Apache License 2.0"
version = release = __version__
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md"]
# Folders that are not looked through at all.
exclude_patterns = ["build", ".*", "raygp", "tests", "benchmarks", "drills", "jobs", "examples", "ops", "*-demo"]
smartquotes = False  # Of --json it would make a dash and json.
highlight_language = "none"  # Of blocks that do not say theirs: mostly what a terminal shows.
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = "raygp"
html_static_path = ["_site"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1d4ed8", "color-brand-content": "#1d4ed8"},
    "dark_css_variables": {"color-brand-primary": "#8ab4ff", "color-brand-content": "#8ab4ff"},
}

_FOR_ALL = {
    # Blocks that are wider than the page are scrolled by keyboard, too.
    "<pre>": '<pre tabindex="0">',
    # Between an argument and what is said of it. Dashes as such are left alone, because of options.
    "</strong> -- ": "</strong>: ",
    "</strong></a> -- ": "</strong></a>: ",
    # Captions at the side are headings without a level.
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
}
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+\.md)\)")
_MEMBERS = re.compile(r"^[^\n#]+\n\n<!-- members: ([\w.]+) -->$", re.MULTILINE)
"""A sentence for those who read the page on a forge, and below it the module whose docstrings stand in its place."""
_BESIDE = {"Contributing": "CONTRIBUTING", "Security": "SECURITY", "Changelog": "CHANGELOG"}
"""Pages beside docs/, by what they are called at the side."""


def sections() -> dict[str, dict[str, str]]:
    """The pages that docs/README.md lists, by the heading above them: their file, without suffix, by its title."""
    text = (PROJECT / "docs" / "README.md").read_text()
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    found: dict[str, dict[str, str]] = {}
    for heading, end in zip(headings, ends, strict=True):
        links = _LINK.findall(text[heading.end() : end])
        found[heading[1]] = {title: f"docs/{file.removesuffix('.md')}" for title, file in links}
    return found | {"Project": {"All pages": "docs/README", **_BESIDE}}


def _toctree(caption: str, pages: dict[str, str]) -> str:
    entries = "\n".join(f"{title} </{page}>" for title, page in pages.items())
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def _members(module: str) -> str:
    return f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"


def add_what_the_site_has(app: Sphinx, page: str, content: list[str]) -> None:
    """Called with the text of each page, which it changes."""
    if page == root_doc:
        trees = "\n".join(_toctree(caption, pages) for caption, pages in sections().items())
        content[0] += f"\n{trees}"
    content[0] = _MEMBERS.sub(lambda found: _members(found[1]), content[0])


def finish(app: Sphinx, error: Exception | None) -> None:
    """Mend what screen readers and keyboards trip over, and put the front page under the name that servers look for."""
    if error is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text()
            mended = text
            for before, after in _FOR_ALL.items():
                mended = mended.replace(before, after)
            if mended != text:
                page.write_text(mended)
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_what_the_site_has)
    app.connect("build-finished", finish)
