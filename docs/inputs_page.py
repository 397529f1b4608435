"""Makes the page "What raygp accepts" from the tables and docstrings that the code itself goes by."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator

from raygp.data import text
from raygp.data.sources import SOURCES, columns, naming, skipping, tarkeys, tarlabels, walk
from raygp.data.sources.compression import COMPRESSIONS
from raygp.data.sources.formats import FORMATS
from raygp.data.sources.parquet_columns import Columns
from raygp.tasks import decoding, sound

_SECTIONS = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)
_EXPLAINED = {
    "raygp.data.sources.columns": "[Columns](#columns)",
    "raygp.data.sources.idxnames": "[your own images](../guides/own-images.md#idx-files)",
    "raygp.data.sources.naming.split_of": "[Names of splits](#names-of-splits)",
    "raygp.data.sources.parquet_columns.Columns": "[Columns](#columns)",
    "raygp.data.sources.tarkeys": "[Members of tars](#members-of-tars)",
    "raygp.data.sources.tarlabels": "[a table](#members-of-tars)",
    "raygp.data.text.parse_table": "[Tables of text](#tables-of-text)",
}
"""Where the page has what docstrings refer to."""
_MEDIA = {"image": "picture", "audio": "recording"}


def inputs_page(made: str) -> str:
    """The page.

    Args:
        made: its first line, which says where it comes from.
    """
    lines = [
        made,
        "# What raygp accepts",
        "",
        _wrapped(
            "This page is made from the tables and rules that the code itself goes by. What a source holds and gives "
            "no row is passed over with a line that counts it (`--strict` makes that an error). A row that cannot be "
            "used is left out, listed in `quarantine.jsonl` of its arrival with the reason, and counts against "
            "`--max-bad-share`. [Your own images](../guides/own-images.md), [Text](../guides/text.md) and "
            "[Speech](../guides/speech.md) explain with examples."
        ),
        "",
    ]
    for part in (_sources, _formats, _pixels, _sounds, _splits, _columns, _tables, _tars, _skipped):
        lines += [*part(), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _sources() -> Iterator[str]:
    yield from ("## Sources", "", "`raygp ingest --source KIND:PATH`. Each kind says how it is to be laid out.")
    for name in SOURCES:
        kind = SOURCES.get(name)
        yield from ("", f"### {name}", "", f"`{kind.form(name)}`" + (f" ({kind.note})" if kind.note else ""), "")
        yield _text(kind.make)


def _formats() -> Iterator[str]:
    yield from ("## Formats", "")
    yield _wrapped(
        "A file with one of these suffixes is listed as a sample; one with another suffix, or none, if its first bytes "
        "are those of one of these formats. It is decoded by its content alone, so a wrong suffix does no harm. Files "
        f"with these suffixes are not looked into: {_list(walk.NO_SAMPLES)}."
    )
    yield from ("", *_head("format", "medium", "suffixes", "what counts"))
    for form in FORMATS:
        yield _row(form.name, form.medium, _list(form.suffixes), form.note or "all of it")


def _pixels() -> Iterator[str]:
    # Without its first paragraph, which says what the module is.
    yield from ("## Pixels", "", _text(decoding).partition("\n\n")[2])


def _sounds() -> Iterator[str]:
    yield from ("## Sound", "", "Channels are averaged.")
    yield from _head("what", "how much")
    yield _row("rate of a file", f"from {sound.LOWEST_RATE:,} to {sound.HIGHEST_RATE:,} Hz")
    yield _row("rate that it is brought to", f"{sound.SAMPLE_RATE:,} Hz")
    yield _row("longest recording", f"{sound.LONGEST_S:,} s")


def _splits() -> Iterator[str]:
    yield from ("## Names of splits", "", _text(naming.split_of), "")
    yield from _head("split", "words, in any case")
    for split, words in naming.SPLIT_WORDS.items():
        yield _row(split, _list(words))
    yield ""
    yield _wrapped(
        f"Such a word may be joined to one that says nothing, as in `trainset`: {_list(sorted(naming.PLAIN_WORDS))}. "
        f"In a folder such as `split=train`, these keys say a split: {_list(naming.PARTITIONS)}."
    )


def _columns() -> Iterator[str]:
    yield from ("## Columns", "", _text(Columns).partition("\n\n")[2], "")
    yield from _head("column", "names; the first that is there counts")
    yield _row("sample", _list(columns.SAMPLES))
    yield _row("file of a sample", _list(columns.FILES))
    yield _row("text that is a sample", _list(columns.TEXTS))
    yield _row("label, where it is a class", _list(columns.LABELS))
    yield _row("label of a text, where none of these is there", _list(columns.TEXT_LABELS))
    yield _row("label, where it is a text", _list(columns.TRANSCRIPTS))
    yield _row("label, where the other columns are the sample", _list(columns.TARGETS))
    yield _row("split", _list(columns.SPLITS))
    yield _row("split, where every value is a word for one", _list(columns.MAYBE_SPLITS))


def _tables() -> Iterator[str]:
    first = f"The names of tables end in {_list(text.TABLES)}. Their first line has the names of the columns."
    yield from ("## Tables of text", "", first, "", _text(text.parse_table).partition("\n\n")[2], "")
    yield from ("Labels and transcripts of every source get one spelling.", _text(text.tidy).partition("\n\n")[2])


def _tars() -> Iterator[str]:
    yield from ("## Members of tars", "", _text(tarkeys).partition("\n\n")[2], "")
    yield _wrapped(
        f"The names of tars end in {_list(naming.TARS)}. Their content says how they are compressed: by "
        f"{', '.join(COMPRESSIONS)}, or not at all. In WebDataset, the label of a sample is the first of these that is "
        "there:"
    )
    yield from ("", *_head("sample", "where its label is looked for"))
    for medium, places in tarlabels.LABEL_PLACES.items():
        shown = [f"`.{suffix}`" + (f" ({_list(keys)})" if keys else "") for suffix, keys in places]
        yield _row(_MEDIA[medium], ", ".join(shown))


def _skipped() -> Iterator[str]:
    yield from ("## What is passed over by its name", "", _text(skipping.skipped).partition("\n\n")[2], "")
    yield from _head("what", "names")
    yield _row(skipping.HIDDEN, "`.*`")
    yield _row(skipping.UNDERSCORE, "`_*`, unless it ends as samples do")
    yield _row(skipping.SYSTEM, _list(sorted({*skipping.SYSTEM_NAMES, "._*"})))
    yield _row(skipping.PARTIAL, _list([*(f"*{end}" for end in skipping.PARTIAL_ENDS), "~$*"]))


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)


def _head(*titles: str) -> tuple[str, str]:
    return _row(*titles), "|" + "---|" * len(titles)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name.encode('unicode_escape').decode()}`" for name in names)


def _text(documented: object) -> str:
    """A docstring as Markdown, up to its arguments."""
    plain = _SECTIONS.split(inspect.getdoc(documented) or "")[0].strip()
    linked = re.sub(r":\w+:`~?(raygp[^`]+)`", lambda reference: _EXPLAINED[reference[1]], plain)
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", linked).replace("``", "`")
