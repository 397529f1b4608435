"""Makes the page "What raygp accepts" from the tables and docstrings that the code itself goes by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from raygp.data.sources import SOURCES
from raygp.data.sources.formats import FORMATS
from raygp.tasks import decoding

_SECTIONS = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)


def inputs_page(made: str) -> str:
    """The page.

    Args:
        made: its first line, which says where it comes from.
    """
    lines = [
        made,
        "# What raygp accepts",
        "",
        "The tables below are those that the code itself goes by. What a source holds besides is passed over with a",
        "line that counts it (`--strict` makes that an error). A row that cannot be used is left out, listed in",
        "`quarantine.jsonl` of its arrival with the reason, and counts against `--max-bad-share`.",
        "",
        *_sources(),
        *_formats(),
        *_pixels(),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _sources() -> Iterator[str]:
    yield from ("## Sources", "", "`raygp ingest --source KIND:PATH`. Each kind says how it is to be laid out.", "")
    for name in SOURCES:
        kind = SOURCES.get(name)
        yield from (f"### {name}", "", f"`{kind.form(name)}`" + (f" ({kind.note})" if kind.note else ""), "")
        yield from (_text(kind.make), "")


def _formats() -> Iterator[str]:
    yield from ("## Formats", "")
    yield "A file with one of these suffixes is listed as a sample; one with another suffix, or none, if its first"
    yield "bytes are those of one of these formats. It is decoded by its content alone, so a wrong suffix does no harm."
    yield from ("", "| format | medium | suffixes | what counts |", "|---|---|---|---|")
    for form in FORMATS:
        suffixes = ", ".join(f"`{suffix}`" for suffix in form.suffixes)
        yield f"| {form.name} | {form.medium} | {suffixes} | {form.note or 'all of it'} |"
    yield ""


def _pixels() -> Iterator[str]:
    # Without its first paragraph, which says what the module is.
    yield from ("## Pixels", "", _text(decoding).partition("\n\n")[2])


def _text(documented: object) -> str:
    """A docstring as Markdown, up to its arguments."""
    text = _SECTIONS.split(inspect.getdoc(documented) or "")[0].strip()
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
