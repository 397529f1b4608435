"""Where labelled samples come from: files of images, recordings and tables, and two that need no data.

A new kind of source is one file with a :class:`SourceKind`, and one line: in :data:`SOURCES`, or as an entry point of
the group ``raygp.sources`` in a package of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raygp.data.sources.kind import (
    LIKELY,
    POSSIBLE,
    SOURCES,
    UNLIKELY,
    SourceKind,
    form_of,
    guess_source,
    is_form,
    open_source,
    source_forms,
)
from raygp.data.sources.source import (
    FileSlice,
    PassedOver,
    Source,
    SourceSample,
    SplitName,
    fetch_files,
    notes_of,
    passed_over_lines,
    tell_labels,
    tell_task,
)

if TYPE_CHECKING:
    from raygp.data.sources.split import draw_splits

__all__ = [
    "LIKELY",
    "POSSIBLE",
    "SOURCES",
    "UNLIKELY",
    "FileSlice",
    "PassedOver",
    "Source",
    "SourceKind",
    "SourceSample",
    "SplitName",
    "draw_splits",
    "fetch_files",
    "form_of",
    "guess_source",
    "is_form",
    "notes_of",
    "open_source",
    "passed_over_lines",
    "source_forms",
    "tell_labels",
    "tell_task",
]


def __getattr__(name: str) -> Any:
    # It needs numpy, whose import takes a tenth of a second: a help text that lists the sources does without.
    if name == "draw_splits":
        from raygp.data.sources.split import draw_splits

        return draw_splits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
